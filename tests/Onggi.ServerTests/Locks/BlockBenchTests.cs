using System.Diagnostics;
using System.Text.Json;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;

namespace Onggi.ServerTests.Locks;

/// <summary>The short forms of what <c>./bench locks</c> and <c>./bench limits</c> do with processes of their own.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class BlockBenchTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    [Fact]
    public async Task Two_hundred_contenders_that_are_stopped_killed_and_cut_off_never_act_at_once()
    {
        var (rows, said) = await RunAsync("locks", "torture", seconds: 12);

        Assert.Contains(rows, row => row is { Name: "torture.overlaps", Pass: true });
        Assert.True(rows.All(row => row.Pass is not false), $"{string.Join('\n', rows.AsEnumerable())} {said}");
    }

    [Fact]
    public async Task A_lease_is_told_lost_while_Redis_stands_still_and_a_holder_that_stood_still_writes_nothing()
    {
        var (rows, said) = await RunAsync("locks", "lost", seconds: 10);

        var told = $"{string.Join('\n', rows.AsEnumerable())} {said}";
        // The margin itself is held to where leases are longer, in LockPromiseTests: of a second there is little to be late by.
        Assert.True(rows.Any(row => row is { Name: "lost.early", Value: > 0 }), told);
        Assert.True(rows.Any(row => row is { Name: "lost.redis", Value: > 0 }), told);
        Assert.True(rows.Any(row => row is { Name: "lost.holder.held", Pass: true }), told);
        Assert.True(rows.Any(row => row is { Name: "lost.holder.accepted", Pass: true }), told);
    }

    [Fact]
    public async Task Four_processes_with_clocks_an_hour_apart_never_exceed_a_policy()
    {
        var (rows, said) = await RunAsync("limits", "processes", seconds: 4);

        Assert.True(rows.Any(row => row is { Name: "processes.over", Pass: true }), $"{string.Join('\n', rows.AsEnumerable())} {said}");
        Assert.Contains(rows, row => row is { Name: "processes.allowed", Value: > 10 });
    }

    internal static async Task<(CoherenceRow[] Rows, string Said)> RunAsync(string name, string only, int seconds)
    {
        var file = Path.GetTempFileName();
        string[] arguments = [CoherenceRun.Bench(), name, "--quick", "--only", only, "--seconds", $"{seconds}", "--json", file];
        using var bench = Process.Start(
            new ProcessStartInfo("dotnet", arguments)
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        using var patience = new CancellationTokenSource(Bound);
        try
        {
            var table = bench.StandardOutput.ReadToEndAsync(patience.Token);
            var said = await bench.StandardError.ReadToEndAsync(patience.Token);
            await table;
            await bench.WaitForExitAsync(patience.Token);
            using var result = JsonDocument.Parse(await File.ReadAllBytesAsync(file));
            return (result.RootElement.GetProperty("rows").Deserialize<CoherenceRow[]>(Json)!, said);
        }
        catch (OperationCanceledException)
        {
            // What it started sees its end and ends, too.
            bench.Kill();
            throw;
        }
        finally
        {
            File.Delete(file);
        }
    }
}
