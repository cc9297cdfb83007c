using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Onggi.DeployTests.Production;

/// <summary>A server that one of the entry scripts starts: a real process in a folder of its own, that cannot outlive us.</summary>
/// <remarks>A small shell reads our end of a pipe: when we go, however we go, it kills the server and removes the folder of the whole set.</remarks>
internal sealed class EntryProcess(string name, string root, IReadOnlyList<string> command, IReadOnlyDictionary<string, string> environment)
    : IAsyncDisposable
{
    private const int SigKill = 9;
    private const int SigTerm = 15;
    private const int SigCont = 18;
    private const int SigStop = 19;

    // XFSZ: a file that may not grow is an error of the write, as a full disk is, not the end of the server.
    private const string Watchdog = """
        trap '' INT TERM XFSZ; root=$1; output=$2; shift 2
        exec 3<&0 2>/dev/null
        if command -v setsid >/dev/null; then set -- setsid "$@"; fi
        "$@" </dev/null >>"$output" 2>&1 3<&- & server=$!
        (cat <&3 >/dev/null; : >"$root/abandoned"; kill -KILL $server) >/dev/null 2>&1 & reader=$!
        echo $server
        wait $server; code=$?
        if [ -e "$root/abandoned" ]; then rm -rf "$root"; else kill -KILL $reader; fi
        exit $code
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private Process? _shell;

    /// <summary>What it is called in messages: <c>redis-0</c>.</summary>
    public string Name => name;

    /// <summary>Its process; 0 while it does not run.</summary>
    public int ProcessId { get; private set; }

    public bool IsRunning => _shell is { HasExited: false };

    /// <summary>Its last words.</summary>
    public string LastWords => File.Exists(Output) ? string.Join('\n', File.ReadLines(Output).TakeLast(8)) : "It said nothing.";

    private string Output => Path.Combine(root, $"{name}.log");

    /// <summary>Runs the script. The server is up some time after.</summary>
    /// <param name="more">What the script is told beside the usual.</param>
    public async Task StartAsync(params (string Name, string Value)[] more)
    {
        _shell?.Dispose();
        var start = new ProcessStartInfo("sh", ["-c", Watchdog, "sh", root, Output, .. command])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var (key, value) in environment.Select(pair => (pair.Key, pair.Value)).Concat(more))
            start.Environment[key] = value;
        _shell = Process.Start(start) ?? throw new InvalidOperationException("sh did not start.");
        var line = await _shell.StandardOutput.ReadLineAsync();
        ProcessId = int.Parse(line ?? throw new InvalidOperationException($"{name} did not start."), CultureInfo.InvariantCulture);
    }

    /// <summary>Ends it at once, as a crash does.</summary>
    public Task KillAsync() => EndAsync(SigKill);

    /// <summary>Ends it the polite way, as Kubernetes does.</summary>
    public Task StopAsync() => EndAsync(SigTerm);

    /// <summary>Freezes it: connections stay open, connects succeed, nothing is answered.</summary>
    public void Pause() => Signal(SigStop);

    /// <summary>Lets it go on.</summary>
    public void Resume() => Signal(SigCont);

    public async ValueTask DisposeAsync()
    {
        await EndAsync(SigKill);
        _shell?.Dispose();
        _shell = null;
    }

    private async Task EndAsync(int signal)
    {
        if (_shell is null || _shell.HasExited)
            return;
        // A frozen process keeps a polite signal for later, so it is woken after it.
        Signal(signal);
        Signal(SigCont);
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await _shell.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            Signal(SigKill);
            await _shell.WaitForExitAsync(CancellationToken.None);
        }

        ProcessId = 0;
    }

    // The shell waits for the server, so the number stays the server's own until the shell has ended: it cannot hit a stranger.
    private void Signal(int signal)
    {
        if (ProcessId != 0 && IsRunning && Kill(ProcessId, signal) != 0 && signal != SigCont)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
