using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Onggi.Testing;

namespace PhoneBill.EndToEnd;

/// <summary>The demonstration as its users start it: a process, on ports that are free, with a temporary directory of its own.</summary>
internal sealed class DemoProcess : IAsyncDisposable
{
    private static readonly int[] Offsets = [1, 2, 3, 4, 10, 103];

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly TaskCompletionSource _up = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private DemoProcess(Process process, string temp, int redisPort, int portBase)
    {
        _process = process;
        Temp = temp;
        RedisPort = redisPort;
        PortBase = portBase;
    }

    public int RedisPort { get; }

    public int PortBase { get; }

    /// <summary>Where all its files go; the processes that it starts inherit the path, so they can be found by it.</summary>
    public string Temp { get; }

    public string Output => Text(_output);

    public string Errors => Text(_errors);

    /// <summary>Done when it says that all is up, or when it ends.</summary>
    public Task Up => _up.Task;

    public static DemoProcess Start(params string[] arguments)
    {
        var ports = FreePorts();
        return StartOn(ports.Redis, ports.Base, arguments);
    }

    public static DemoProcess StartOn(int redisPort, int portBase, params string[] arguments)
    {
        var temp = Directory.CreateTempSubdirectory("phonebill-test-").FullName;
        var slash = Path.DirectorySeparatorChar;
        var output = AppContext.BaseDirectory.Replace(
            $"{slash}tests{slash}PhoneBill.EndToEnd{slash}bin{slash}",
            $"{slash}samples{slash}PhoneBill{slash}Demo{slash}bin{slash}"
        );
        var start = new ProcessStartInfo(
            "dotnet",
            [Path.Combine(output, "PhoneBill.Demo.dll"), "--redis-port", $"{redisPort}", "--port-base", $"{portBase}", .. arguments]
        )
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TMPDIR"] = temp;
        var process = Process.Start(start)!;
        var demo = new DemoProcess(process, temp, redisPort, portBase);
        process.OutputDataReceived += (_, line) => demo.Take(demo._output, line.Data);
        process.ErrorDataReceived += (_, line) => demo.Take(demo._errors, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return demo;
    }

    /// <summary>What Ctrl-C does.</summary>
    public void Interrupt()
    {
        using var kill = Process.Start("kill", ["-INT", $"{_process.Id}"]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }

    public void KillHard() => _process.Kill();

    /// <summary>Waits for its end; the exit code.</summary>
    public async Task<int> ExitAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(100));
        await _process.WaitForExitAsync(patience.Token);
        return _process.ExitCode;
    }

    /// <summary>The command lines of the processes that it has started and that still run.</summary>
    public IReadOnlyList<string> Children()
    {
        var mark = Encoding.UTF8.GetBytes($"TMPDIR={Temp}");
        List<string> found = [];
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), out var id) || id == _process.Id)
                continue;
            try
            {
                if (File.ReadAllBytes(Path.Combine(directory, "environ")).AsSpan().IndexOf(mark) >= 0)
                    found.Add(File.ReadAllText(Path.Combine(directory, "cmdline")).Replace('\0', ' '));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended meanwhile, or is none of ours.
            }
        }

        return found;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Interrupt();
            await ExitAsync();
        }

        _process.Dispose();
        Directory.Delete(Temp, recursive: true);
    }

    private static (int Redis, int Base) FreePorts()
    {
        var redis = LoopbackPorts.Free();
        while (true)
        {
            var portBase = LoopbackPorts.Free();
            if (Offsets.All(offset => portBase + offset != redis && IsFree(portBase + offset)))
                return (redis, portBase);
        }
    }

    private static bool IsFree(int port)
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static string Text(StringBuilder builder)
    {
        lock (builder)
            return builder.ToString();
    }

    private void Take(StringBuilder builder, string? line)
    {
        lock (builder)
            builder.AppendLine(line);
        if (line is null || line.Contains("All is up", StringComparison.Ordinal))
            _up.TrySetResult();
    }
}
