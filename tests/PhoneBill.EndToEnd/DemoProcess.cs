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
    private readonly List<(string Text, TaskCompletionSource Said)> _awaited = [];
    private bool _silent;

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

    /// <summary>Done when it says that all is up.</summary>
    public Task Up => SaysAsync("All is up");

    /// <summary>The directory of its run: settings, database, logs.</summary>
    public string RunDirectory => Assert.Single(Directory.GetDirectories(Temp, "phonebill-*"));

    public static DemoProcess Start(params string[] arguments) => StartIn(NewTemp(), arguments);

    /// <summary>Starts it with the temporary directory of another one; whoever is disposed last removes it.</summary>
    public static DemoProcess StartIn(string temp, params string[] arguments)
    {
        var ports = FreePorts();
        return StartOn(ports.Redis, ports.Base, temp, arguments);
    }

    public static DemoProcess StartOn(int redisPort, int portBase, params string[] arguments) =>
        StartOn(redisPort, portBase, NewTemp(), arguments);

    private static string NewTemp() => Directory.CreateTempSubdirectory("phonebill-test-").FullName;

    private static DemoProcess StartOn(int redisPort, int portBase, string temp, string[] arguments)
    {
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
        process.OutputDataReceived += (_, line) => demo.Hear(line.Data);
        process.ErrorDataReceived += (_, line) => demo.Complain(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return demo;
    }

    /// <summary>Waits until it has printed a line with this text; fails with what it printed instead when it ends or takes a minute.</summary>
    public async Task SaysAsync(string text)
    {
        var said = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_output)
        {
            if (_silent || _output.ToString().Contains(text, StringComparison.Ordinal))
                said.SetResult();
            else
                _awaited.Add((text, said));
        }

        await Task.WhenAny(said.Task, Task.Delay(TimeSpan.FromMinutes(1)));
        Assert.True(
            Output.Contains(text, StringComparison.Ordinal),
            $"The demonstration did not say '{text}'. It said: {Output} It complained: {Errors}"
        );
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
        if (Directory.Exists(Temp))
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

    private void Hear(string? line)
    {
        lock (_output)
        {
            _output.AppendLine(line);
            _silent |= line is null;
            foreach (var (text, said) in _awaited)
            {
                if (line is null || line.Contains(text, StringComparison.Ordinal))
                    said.TrySetResult();
            }
        }
    }

    private void Complain(string? line)
    {
        lock (_errors)
            _errors.AppendLine(line);
    }
}
