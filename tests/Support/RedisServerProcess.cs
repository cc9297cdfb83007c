using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Onggi.Testing;

/// <summary>How a <see cref="RedisServerProcess"/> is started.</summary>
public sealed record RedisServerSettings
{
    /// <summary>The port on 127.0.0.1; 0 takes a free one.</summary>
    public int Port { get; init; }

    /// <summary>The password of the user <c>default</c>; <c>null</c> for none.</summary>
    public string? Password { get; init; }

    /// <summary>Whether the server also listens on a Unix socket in its own directory (<see cref="RedisServerProcess.SocketPath"/>).</summary>
    public bool UnixSocket { get; init; }

    /// <summary>The certificates with which the server also speaks TLS, on a port of its own (<see cref="RedisServerProcess.TlsPort"/>); <c>null</c> for no TLS.</summary>
    public RedisServerTls? Tls { get; init; }

    /// <summary>Makes it a Sentinel, with these lines in the file that a Sentinel reads first and rewrites later; <c>null</c> for an ordinary server.</summary>
    public string? Sentinel { get; init; }

    /// <summary>Further flags and their values, as on the command line: <c>["--maxmemory", "8mb"]</c>.</summary>
    public IReadOnlyList<string> Flags { get; init; } = [];
}

/// <summary>How a <see cref="RedisServerProcess"/> speaks TLS: files in PEM.</summary>
/// <param name="Certificate">Its certificate.</param>
/// <param name="Key">The certificate's key.</param>
/// <param name="Authority">Who must have signed the certificates of its clients.</param>
/// <param name="AskClients">Whether clients must show one: <c>yes</c>, <c>no</c> or <c>optional</c>.</param>
/// <param name="Protocols">Which versions of TLS it speaks, as in <c>--tls-protocols</c>.</param>
public sealed record RedisServerTls(
    string Certificate,
    string Key,
    string Authority,
    string AskClients = "no",
    string Protocols = "TLSv1.2 TLSv1.3"
);

/// <summary>A private redis-server on a free loopback port, with a directory of its own, that cannot outlive us.</summary>
/// <remarks>
/// The server runs under a small shell that reads our end of a pipe: when we go, however we go, the pipe ends, and the shell kills the server and
/// removes its directory. (The kernel's parent-death signal would not do: it follows the thread that started the process, not the process.)
/// It keeps nothing on disk unless flags say so.
/// </remarks>
public sealed class RedisServerProcess : IAsyncDisposable
{
    private const int SigKill = 9;
    private const int SigTerm = 15;
    private const int SigCont = 18;
    private const int SigStop = 19;

    // The shell prints the server's pid, waits for the server, and ends with its exit code. The reader of the pipe is a process of its own, because a
    // shell that waits for a child cannot read; background commands get no standard input, hence the copy under number 3.
    // Ctrl-C goes to everybody in front of the terminal, and the server heeds it: in a session of its own it lives until we end it.
    private const string Watchdog = """
        trap '' INT TERM; dir=$1; shift
        exec 3<&0 2>/dev/null
        if command -v setsid >/dev/null; then set -- setsid "$@"; fi
        "$@" </dev/null >>"$dir/output" 2>&1 3<&- & server=$!
        (cat <&3 >/dev/null; : >"$dir/abandoned"; kill -KILL $server) >/dev/null 2>&1 & reader=$!
        echo $server
        wait $server; code=$?
        if [ -e "$dir/abandoned" ]; then rm -rf "$dir"; else kill -KILL $reader; fi
        exit $code
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly RedisServerSettings _settings;
    private Process? _shell;

    private RedisServerProcess(RedisServerSettings settings)
    {
        _settings = settings;
        Directory = System.IO.Directory.CreateTempSubdirectory("onggi-redis-").FullName;
    }

    /// <summary>The port on 127.0.0.1. It stays the same over restarts.</summary>
    public int Port { get; private set; }

    /// <summary>The port on 127.0.0.1 where it speaks TLS; 0 for none.</summary>
    public int TlsPort { get; private set; }

    /// <summary>The password of the user <c>default</c>; <c>null</c> for none.</summary>
    public string? Password => _settings.Password;

    /// <summary>The server's own directory, removed at the end.</summary>
    public string Directory { get; }

    /// <summary>Where the Unix socket is, when one was asked for.</summary>
    public string SocketPath => Path.Combine(Directory, "redis.sock");

    /// <summary>The server's process id; 0 while it does not run.</summary>
    public int ProcessId { get; private set; }

    /// <summary>Whether the server runs (a paused one does).</summary>
    public bool IsRunning => _shell is { HasExited: false };

    /// <summary>What a client needs to connect: <c>127.0.0.1:port</c>, with the password if there is one.</summary>
    public string ConnectionString => Password is null ? $"127.0.0.1:{Port}" : $"127.0.0.1:{Port},password={Password}";

    /// <summary>Starts a server with flags as on the command line and waits until it answers.</summary>
    /// <exception cref="InvalidOperationException">There is no redis-server on this machine, or it did not start: the message has its last words.</exception>
    public static Task<RedisServerProcess> StartAsync(params string[] flags) => StartAsync(new RedisServerSettings { Flags = flags });

    /// <summary>Starts a server and waits until it answers.</summary>
    /// <exception cref="InvalidOperationException">There is no redis-server on this machine, or it did not start: the message has its last words.</exception>
    public static async Task<RedisServerProcess> StartAsync(RedisServerSettings settings, CancellationToken cancellationToken = default)
    {
        var server = new RedisServerProcess(settings);
        try
        {
            // Between finding a free port and the server's taking it, another process can take it: then the next one.
            for (var attempt = 1; ; attempt++)
            {
                server.Port = settings.Port == 0 ? LoopbackPorts.Free() : settings.Port;
                server.TlsPort = settings.Tls is null ? 0 : LoopbackPorts.Free();
                try
                {
                    await server.LaunchAsync(cancellationToken);
                    return server;
                }
                catch (InvalidOperationException)
                    when (settings.Port == 0 && attempt < 10 && server.Output().Contains("in use", StringComparison.Ordinal))
                {
                    File.Delete(server.OutputPath);
                }
            }
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>One command through a plain connection of its own; see <see cref="RawRedis.CommandAsync(string[])"/>.</summary>
    public async Task<string?> CommandAsync(params string[] command)
    {
        using var connection = await RawRedis.ConnectAsync(Port, Password);
        return await connection.CommandAsync(command);
    }

    /// <summary>Ends the server the polite way (SIGTERM) and waits for its end. Its directory and port remain for <see cref="RestartAsync"/>.</summary>
    public Task StopAsync() => EndAsync(SigTerm);

    /// <summary>Ends the server at once (SIGKILL), as a crash does, and waits for its end.</summary>
    public Task KillAsync() => EndAsync(SigKill);

    /// <summary>Freezes the server (SIGSTOP): connections stay open, connects succeed, nothing is answered.</summary>
    public void Pause() => Signal(SigStop);

    /// <summary>Lets a frozen server go on (SIGCONT).</summary>
    public void Resume() => Signal(SigCont);

    /// <summary>Starts the server on the same port again, after ending it if it runs, and waits until it answers.</summary>
    /// <param name="kill">Whether a running server is killed rather than stopped.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task RestartAsync(bool kill = false, CancellationToken cancellationToken = default)
    {
        if (IsRunning)
            await EndAsync(kill ? SigKill : SigTerm);
        await LaunchAsync(cancellationToken);
    }

    /// <summary>Ends the server and removes its directory.</summary>
    public async ValueTask DisposeAsync()
    {
        if (IsRunning)
            await EndAsync(SigKill);
        _shell?.Dispose();
        _shell = null;
        if (System.IO.Directory.Exists(Directory))
            System.IO.Directory.Delete(Directory, recursive: true);
    }

    private string OutputPath => Path.Combine(Directory, "output");

    private static string Executable => Environment.GetEnvironmentVariable("ONGGI_REDIS_SERVER") ?? "redis-server";

    private async Task LaunchAsync(CancellationToken cancellationToken)
    {
        _shell?.Dispose();
        _shell = StartShell();
        var line = await _shell.StandardOutput.ReadLineAsync(cancellationToken);
        ProcessId = int.Parse(line ?? throw NotStarted(), CultureInfo.InvariantCulture);
        var deadline = Stopwatch.StartNew();
        while (!await AnswersAsync(cancellationToken))
        {
            if (_shell.HasExited)
            {
                ProcessId = 0;
                throw NotStarted();
            }

            if (deadline.Elapsed > Patience)
                throw new InvalidOperationException(
                    $"redis-server on port {Port} did not answer within {Patience.TotalSeconds} s. {Output()}"
                );
            // Nothing tells from outside that a server begins to listen: knock again.
            await Task.Delay(5, cancellationToken);
        }
    }

    private Process StartShell()
    {
        RequireExecutable();
        var start = new ProcessStartInfo("sh")
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        string[] arguments =
        [
            "-c",
            Watchdog,
            "sh",
            Directory,
            Executable,
            .. _settings.Sentinel is null ? Array.Empty<string>() : new[] { SentinelFile(), "--sentinel" },
            "--port",
            Port.ToString(CultureInfo.InvariantCulture),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            Directory,
            .. Password is { } password ? new[] { "--requirepass", password } : [],
            .. _settings.UnixSocket ? new[] { "--unixsocket", SocketPath, "--unixsocketperm", "700" } : [],
            .. TlsFlags(),
            .. _settings.Flags,
        ];
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        return Process.Start(start) ?? throw new InvalidOperationException("sh did not start.");
    }

    private string[] TlsFlags() =>
        _settings.Tls is not { } tls
            ? []
            :
            [
                "--tls-port",
                TlsPort.ToString(CultureInfo.InvariantCulture),
                "--tls-cert-file",
                tls.Certificate,
                "--tls-key-file",
                tls.Key,
                "--tls-ca-cert-file",
                tls.Authority,
                "--tls-auth-clients",
                tls.AskClients,
                "--tls-protocols",
                tls.Protocols,
            ];

    private string SentinelFile()
    {
        var path = Path.Combine(Directory, "sentinel.conf");
        if (!File.Exists(path))
            File.WriteAllText(path, _settings.Sentinel);
        return path;
    }

    private static void RequireExecutable()
    {
        if (Path.IsPathRooted(Executable) ? File.Exists(Executable) : OnPath(Executable))
            return;
        throw new InvalidOperationException(
            $"{Executable} was not found. Install it (Debian and Ubuntu: apt-get install redis-server; Fedora: dnf install redis; macOS: brew install redis),"
                + " or name its path in the environment variable ONGGI_REDIS_SERVER."
        );
    }

    private static bool OnPath(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, name)));

    // The answer must come from our server, not from a stranger that took the port first: it tells its process id.
    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var connection = await RawRedis.ConnectAsync(Port, null, cancellationToken);
            if (Password is not null)
                await connection.CommandAsync(["AUTH", Password], cancellationToken);
            if (await connection.CommandAsync(["PING"], cancellationToken) != "PONG")
                return false;
            var info = await connection.CommandAsync(["INFO", "server"], cancellationToken);
            return info!.Contains($"process_id:{ProcessId}\r", StringComparison.Ordinal);
        }
        catch (InvalidOperationException refusal)
            when (refusal.Message.StartsWith("NOAUTH", StringComparison.Ordinal)
                || refusal.Message.StartsWith("NOPERM", StringComparison.Ordinal)
            )
        {
            // Flags gave it users of its own: it is up.
            return true;
        }
        catch (InvalidOperationException refusal) when (refusal.Message.StartsWith("LOADING", StringComparison.Ordinal))
        {
            return false;
        }
        catch (Exception failure) when (failure is SocketException or IOException)
        {
            return false;
        }
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
            // Deep in a script it does not hear politeness.
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

    private InvalidOperationException NotStarted() => new($"redis-server did not start on port {Port}. {Output()}");

    private string Output() => File.Exists(OutputPath) ? string.Join('\n', File.ReadLines(OutputPath).TakeLast(10)) : "It said nothing.";

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
