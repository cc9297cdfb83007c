using System.Diagnostics;

namespace PhoneBill.Demo;

/// <summary>One service as a process of its own.</summary>
public sealed class ServiceProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _log;

    private ServiceProcess(string name, string url, Process process, string log)
    {
        Name = name;
        Url = url;
        _process = process;
        _log = log;
    }

    public string Name { get; }

    public string Url { get; }

    /// <summary>Starts the service from its build output, which lies beside ours.</summary>
    public static ServiceProcess Start(string name, string project, int port, string directory, string? ownSettings)
    {
        var slash = Path.DirectorySeparatorChar;
        var output = AppContext.BaseDirectory.Replace($"{slash}Demo{slash}bin{slash}", $"{slash}{project}{slash}bin{slash}");
        var dll = Path.Combine(output, $"PhoneBill.{project}.dll");
        if (!File.Exists(dll))
            throw new DemoException($"{dll} is missing. Build it first: dotnet build samples/PhoneBill/Demo");

        var url = $"http://127.0.0.1:{port}";
        var log = Path.Combine(directory, $"{name}.log");
        var settings = Path.Combine(directory, "settings.json");
        string[] own = ownSettings is null ? [] : ["--PhoneBill:OwnSettings", ownSettings];
        var process = Process.Start(Programs.Piped("dotnet", [dll, "--urls", url, "--PhoneBill:Settings", settings, .. own]))!;
        var writer = TextWriter.Synchronized(new StreamWriter(log) { AutoFlush = true });
        process.OutputDataReceived += (_, line) => writer.WriteLine(line.Data);
        process.ErrorDataReceived += (_, line) => writer.WriteLine(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new ServiceProcess(name, url, process, log);
    }

    /// <exception cref="DemoException">The service ended instead.</exception>
    public async Task WaitUntilHealthyAsync(HttpClient http, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_process.HasExited)
                throw new DemoException($"{Name} ended with exit code {_process.ExitCode}. Its last lines:\n{LastLines()}");
            try
            {
                using var response = await http.GetAsync($"{Url}/health", cancellationToken);
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }

            await Task.Delay(50, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        // The end of its standard input tells it to end; it has three seconds for requests that are under way.
        _process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(6));
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    private string LastLines()
    {
        using var reader = new StreamReader(new FileStream(_log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        var lines = reader.ReadToEnd().Trim().Split('\n');
        // The message of what ended it stands above its long trace.
        var message = Array.FindIndex(lines, line => line.StartsWith("Unhandled exception", StringComparison.Ordinal));
        return string.Join('\n', message < 0 ? lines.TakeLast(8) : lines.Skip(message).Take(4));
    }
}
