using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Onggi.Testing;

/// <summary>A server in a process of its own, that cannot outlive us.</summary>
/// <remarks>
/// It runs under a small shell that reads our end of a pipe: when we go, however we go, the pipe ends, and the shell kills the server and
/// removes its folder. (The kernel's parent-death signal would not do: it follows the thread that started the process, not the process.)
/// </remarks>
/// <param name="name">What it is called in messages.</param>
/// <param name="folder">Removed when we go. What it prints is added to the file <paramref name="output"/> in it.</param>
/// <param name="output">The name of that file.</param>
public sealed class WatchedProcess(string name, string folder, string output) : IAsyncDisposable
{
    private const int SigKill = 9;
    private const int SigTerm = 15;
    private const int SigCont = 18;
    private const int SigStop = 19;

    // The shell prints the server's pid, waits for the server, and ends with its exit code. The reader of the pipe is a process of its own, because a
    // shell that waits for a child cannot read; background commands get no standard input, hence the copy under number 3.
    // Ctrl-C goes to everybody in front of the terminal, and the server heeds it: in a session of its own it lives until we end it.
    // XFSZ: a file that may not grow is an error of the write, as a full disk is, not the end of the server.
    private const string Shell = """
        trap '' INT TERM XFSZ; folder=$1; output=$2; shift 2
        exec 3<&0 2>/dev/null
        if command -v setsid >/dev/null; then set -- setsid "$@"; fi
        "$@" </dev/null >>"$output" 2>&1 3<&- & server=$!
        (cat <&3 >/dev/null; : >"$folder/abandoned"; kill -KILL $server) >/dev/null 2>&1 & reader=$!
        echo $server
        wait $server; code=$?
        if [ -e "$folder/abandoned" ]; then rm -rf "$folder"; else kill -KILL $reader; fi
        exit $code
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private Process? _shell;
    private int _id;

    /// <summary>Its process; 0 while it does not run.</summary>
    public int ProcessId => IsRunning ? _id : 0;

    /// <summary>Whether it runs (a paused one does).</summary>
    public bool IsRunning => _shell is { HasExited: false };

    /// <summary>The last that it has printed.</summary>
    public string LastWords => File.Exists(Output) ? string.Join('\n', File.ReadLines(Output).TakeLast(10)) : "It said nothing.";

    private string Output => Path.Combine(folder, output);

    /// <summary>Forgets what it has printed.</summary>
    public void Forget() => File.Delete(Output);

    /// <summary>Starts it. What it serves is up some time after.</summary>
    /// <param name="command">The program and its arguments.</param>
    /// <param name="environment">Beside our own.</param>
    /// <param name="cancellationToken">Ends the wait for its process id.</param>
    /// <exception cref="InvalidOperationException">The shell did not start it.</exception>
    public async Task StartAsync(
        IEnumerable<string> command,
        IEnumerable<KeyValuePair<string, string>>? environment = null,
        CancellationToken cancellationToken = default
    )
    {
        _shell?.Dispose();
        var start = new ProcessStartInfo("sh", ["-c", Shell, "sh", folder, Output, .. command])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var (key, value) in environment ?? [])
            start.Environment[key] = value;
        _shell = Process.Start(start) ?? throw new InvalidOperationException("sh did not start.");
        var line = await _shell.StandardOutput.ReadLineAsync(cancellationToken);
        _id = int.Parse(line ?? throw new InvalidOperationException($"{name} did not start. {LastWords}"), CultureInfo.InvariantCulture);
    }

    /// <summary>Ends it the polite way (SIGTERM) and waits for its end.</summary>
    public Task StopAsync() => EndAsync(SigTerm);

    /// <summary>Ends it at once (SIGKILL), as a crash does, and waits for its end.</summary>
    public Task KillAsync() => EndAsync(SigKill);

    /// <summary>Freezes it (SIGSTOP): connections stay open, connects succeed, nothing is answered.</summary>
    public void Pause() => Signal(SigStop);

    /// <summary>Lets it go on (SIGCONT).</summary>
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
            // Deep in a script, a Redis does not hear politeness.
            Signal(SigKill);
            await _shell.WaitForExitAsync(CancellationToken.None);
        }
    }

    // The shell waits for the server, so the number stays the server's own until the shell has ended: it cannot hit a stranger.
    private void Signal(int signal)
    {
        if (IsRunning && Kill(_id, signal) != 0 && signal != SigCont)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
