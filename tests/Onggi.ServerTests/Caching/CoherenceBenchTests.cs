using System.Diagnostics;
using System.Text.Json;
using Onggi.ServerTests.Client;

namespace Onggi.ServerTests.Caching;

/// <summary>The short form of <c>./bench coherence</c>: fleets of processes with faults, and a checker of every read. One run for all of these tests.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class CoherenceBenchTests(CoherenceRun run) : IClassFixture<CoherenceRun>
{
    [Fact]
    public void The_checker_finds_out_a_cache_without_the_protocol_and_nothing_in_one_that_is_right()
    {
        Assert.True(run.Rows.Count > 0, run.Errors);
        Assert.All(
            run.Rows.Where(row => row.Name.StartsWith("control.", StringComparison.Ordinal)),
            row => Assert.True(row.Pass is not false, $"{row} {run.Errors}")
        );
        Assert.Contains(run.Rows, row => row is { Name: "control.naive", Pass: true });
        Assert.Contains(run.Rows, row => row is { Name: "control.lease", Pass: true });
    }

    [Fact]
    public void No_read_is_stale_beyond_what_its_invalidation_promised()
    {
        Assert.True(run.Rows.Count > 0, run.Errors);
        Assert.Empty(run.Rows.Where(row => row.Pass is false).Select(row => $"{row} {run.Errors}"));
        Assert.Contains(run.Rows, row => row is { Name: "all.strict.stale", Pass: true });
    }

    [Fact]
    public void Nothing_of_it_is_left_behind()
    {
        Assert.True(run.Rows.Count > 0, run.Errors);
        Assert.Empty(run.Left);
    }
}

/// <summary>What the bench measured.</summary>
/// <param name="Name">The row's name.</param>
/// <param name="Value">Its value.</param>
/// <param name="Goal">What is asked of it.</param>
/// <param name="Pass">Whether it is met; <c>null</c> where nothing is asked.</param>
public sealed record CoherenceRow(string Name, double Value, string? Goal, bool? Pass);

/// <summary>One run of the bench as a process, with a temporary directory of its own.</summary>
public sealed class CoherenceRun : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>Its rows; none when it broke down.</summary>
    public IReadOnlyList<CoherenceRow> Rows { get; private set; } = [];

    /// <summary>What it said beside its table: seed, examples.</summary>
    public string Errors { get; private set; } = "";

    /// <summary>The files and folders that it left in its temporary directory.</summary>
    public IReadOnlyList<string> Left { get; private set; } = [];

    /// <summary>The program of the benchmarks, which tests start as a process.</summary>
    public static string Bench()
    {
        var slash = Path.DirectorySeparatorChar;
        var output = AppContext.BaseDirectory.Replace(
            $"{slash}tests{slash}Onggi.ServerTests{slash}bin{slash}",
            $"{slash}benchmarks{slash}Onggi.Benchmarks{slash}bin{slash}"
        );
        return Path.Combine(output, "Onggi.Benchmarks.dll");
    }

    public async Task InitializeAsync()
    {
        var temp = Directory.CreateTempSubdirectory("coherence-test-").FullName;
        var rows = Path.Combine(temp, "rows.json");
        var start = new ProcessStartInfo("dotnet", [Bench(), "coherence", "--quick", "--seconds", "12", "--json", rows])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TMPDIR"] = temp;
        using var bench = Process.Start(start)!;
        using var patience = new CancellationTokenSource(Bound);
        try
        {
            var table = bench.StandardOutput.ReadToEndAsync(patience.Token);
            Errors = await bench.StandardError.ReadToEndAsync(patience.Token);
            await table;
            await bench.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            // What it started sees its end and ends, too.
            bench.Kill();
        }

        if (File.Exists(rows))
        {
            using var result = JsonDocument.Parse(await File.ReadAllBytesAsync(rows));
            Rows = result.RootElement.GetProperty("rows").Deserialize<CoherenceRow[]>(Json)!;
            File.Delete(rows);
        }

        Left = [.. Directory.EnumerateFileSystemEntries(temp)];
        Directory.Delete(temp, recursive: true);
    }

    public Task DisposeAsync() => Task.CompletedTask;
}
