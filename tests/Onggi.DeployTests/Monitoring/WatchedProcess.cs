using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Onggi.DeployTests.Monitoring;

/// <summary>A server of others that runs beside a test and never outlives it.</summary>
internal sealed class WatchedProcess : IAsyncDisposable
{
    // The shell prints the server's pid and waits for it; a reader of the pipe kills it when the test's process is gone, however that ended.
    private const string Watchdog = """
        trap '' INT TERM; log=$1; shift
        exec 3<&0 2>/dev/null
        if command -v setsid >/dev/null; then set -- setsid "$@"; fi
        "$@" </dev/null >>"$log" 2>&1 3<&- & server=$!
        (cat <&3 >/dev/null; kill -KILL $server) >/dev/null 2>&1 & reader=$!
        echo $server
        wait $server; code=$?
        kill -KILL $reader
        exit $code
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Process _shell;
    private readonly string _log;
    private readonly string _name;

    private WatchedProcess(Process shell, string log, string name) => (_shell, _log, _name) = (shell, log, name);

    public bool IsRunning => !_shell.HasExited;

    /// <summary>Starts it; what it says goes into a file of the folder.</summary>
    public static async Task<WatchedProcess> StartAsync(
        string tool,
        string folder,
        IReadOnlyDictionary<string, string> environment,
        params string[] arguments
    )
    {
        var log = Path.Combine(folder, $"{tool}.log");
        var start = new ProcessStartInfo("sh", ["-c", Watchdog, "sh", log, tool, .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        try
        {
            var shell = Process.Start(start)!;
            var pid = await shell.StandardOutput.ReadLineAsync();
            Assert.True(int.TryParse(pid, NumberStyles.None, CultureInfo.InvariantCulture, out _), $"{tool} did not start.");
            return new WatchedProcess(shell, log, tool);
        }
        catch (Win32Exception missing)
        {
            throw new InvalidOperationException("There is no sh.", missing);
        }
    }

    /// <summary>Waits until it answers at an address.</summary>
    public async Task AnswersAsync(HttpClient http, Uri address, TimeSpan bound)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(20))
        {
            Assert.True(IsRunning, $"{_name} has ended: {Log()}");
            try
            {
                using var answer = await http.GetAsync(address);
                if (answer.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not yet: nothing tells from outside when it begins to listen.
            }

            Assert.True(watch.Elapsed < bound, $"{_name} does not answer at {address}: {Log()}");
        }
    }

    /// <summary>Its last words.</summary>
    public string Log() => File.Exists(_log) ? string.Join('\n', File.ReadLines(_log).TakeLast(15)) : "it said nothing";

    public async ValueTask DisposeAsync()
    {
        if (IsRunning)
        {
            _shell.StandardInput.Close();
            using var patience = new CancellationTokenSource(Patience);
            await _shell.WaitForExitAsync(patience.Token);
        }

        _shell.Dispose();
    }
}
