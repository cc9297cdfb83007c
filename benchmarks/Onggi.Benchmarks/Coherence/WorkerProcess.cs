using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Onggi.Benchmarks.Coherence;

/// <summary>A <see cref="NodeCommand"/> as a process of its own, that ends with us.</summary>
internal sealed class WorkerProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Process _process;

    private WorkerProcess(Process process) => _process = process;

    public static WorkerProcess Start() => new(OwnProcess.Start(NodeCommand.Name));

    public async Task PrepareAsync(WorkerPlan plan, CancellationToken cancellationToken)
    {
        await SayAsync(JsonSerializer.Serialize(plan, CoherenceJson.Default.WorkerPlan), cancellationToken);
        await ExpectAsync(NodeCommand.Ready, cancellationToken);
    }

    public Task BeginAsync(Start start, CancellationToken cancellationToken) =>
        SayAsync(JsonSerializer.Serialize(start, CoherenceJson.Default.Start), cancellationToken);

    public Task WhenWrittenAsync(CancellationToken cancellationToken) => ExpectAsync(NodeCommand.Written, cancellationToken);

    public async Task<NodeReport[]> FinishAsync(CancellationToken cancellationToken)
    {
        await SayAsync(NodeCommand.Finish, cancellationToken);
        return JsonSerializer.Deserialize(await HearAsync(cancellationToken), CoherenceJson.Default.NodeReportArray)!;
    }

    /// <summary>Stops the process (SIGSTOP) until the result is disposed.</summary>
    public Pause Pause() => Coherence.Pause.Begin(_process.Id);

    public async ValueTask DisposeAsync()
    {
        try
        {
            _process.StandardInput.Close();
            using var patience = new CancellationTokenSource(Patience);
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (Exception late) when (late is OperationCanceledException or IOException)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    private async Task SayAsync(string line, CancellationToken cancellationToken)
    {
        await _process.StandardInput.WriteLineAsync(line.AsMemory(), cancellationToken);
        await _process.StandardInput.FlushAsync(cancellationToken);
    }

    private async Task<string> HearAsync(CancellationToken cancellationToken) =>
        await _process.StandardOutput.ReadLineAsync(cancellationToken)
        ?? throw new InvalidOperationException("A node's process ended before its time; what it said stands above.");

    private async Task ExpectAsync(string word, CancellationToken cancellationToken)
    {
        if (await HearAsync(cancellationToken) is var line && line != word)
            throw new InvalidOperationException($"A node's process said '{line}' where '{word}' was expected.");
    }
}

/// <summary>A process that is stopped for as long as this lives, and goes on when this ends, however it ends.</summary>
internal sealed class Pause : IAsyncDisposable
{
    // A stopped process cannot see that we are gone, so somebody else wakes it: this shell sees the end of its input.
    private const string Keeper = "trap '' INT; kill -STOP $1; echo stopped; cat >/dev/null; kill -CONT $1";

    private readonly Process _keeper;

    private Pause(Process keeper) => _keeper = keeper;

    public static Pause Begin(int process)
    {
        var start = new ProcessStartInfo("sh", ["-c", Keeper, "sh", process.ToString(CultureInfo.InvariantCulture)])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        var keeper = Process.Start(start) ?? throw new InvalidOperationException("sh did not start.");
        keeper.StandardOutput.ReadLine();
        return new Pause(keeper);
    }

    public async ValueTask DisposeAsync()
    {
        _keeper.StandardInput.Close();
        await _keeper.WaitForExitAsync();
        _keeper.Dispose();
    }
}
