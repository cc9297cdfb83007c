using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

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
/// <remarks>It keeps nothing on disk unless flags say so.</remarks>
public sealed class RedisServerProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly RedisServerSettings _settings;
    private readonly WatchedProcess _process;

    private RedisServerProcess(RedisServerSettings settings)
    {
        _settings = settings;
        Directory = System.IO.Directory.CreateTempSubdirectory("onggi-redis-").FullName;
        _process = new WatchedProcess("redis-server", Directory, "output");
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
    public int ProcessId => _process.ProcessId;

    /// <summary>Whether the server runs (a paused one does).</summary>
    public bool IsRunning => _process.IsRunning;

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
                    when (settings.Port == 0 && attempt < 10 && server._process.LastWords.Contains("in use", StringComparison.Ordinal))
                {
                    server._process.Forget();
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
    public Task StopAsync() => _process.StopAsync();

    /// <summary>Ends the server at once (SIGKILL), as a crash does, and waits for its end.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>Freezes the server (SIGSTOP): connections stay open, connects succeed, nothing is answered.</summary>
    public void Pause() => _process.Pause();

    /// <summary>Lets a frozen server go on (SIGCONT).</summary>
    public void Resume() => _process.Resume();

    /// <summary>Starts the server on the same port again, after ending it if it runs, and waits until it answers.</summary>
    /// <param name="kill">Whether a running server is killed rather than stopped.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task RestartAsync(bool kill = false, CancellationToken cancellationToken = default)
    {
        if (IsRunning)
            await (kill ? KillAsync() : StopAsync());
        await LaunchAsync(cancellationToken);
    }

    /// <summary>Ends the server and removes its directory.</summary>
    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        if (System.IO.Directory.Exists(Directory))
            System.IO.Directory.Delete(Directory, recursive: true);
    }

    private static string Executable => Environment.GetEnvironmentVariable("ONGGI_REDIS_SERVER") ?? "redis-server";

    private async Task LaunchAsync(CancellationToken cancellationToken)
    {
        RequireExecutable();
        await _process.StartAsync(CommandLine(), cancellationToken: cancellationToken);
        var deadline = Stopwatch.StartNew();
        while (!await AnswersAsync(cancellationToken))
        {
            if (!IsRunning)
                throw new InvalidOperationException($"redis-server did not start on port {Port}. {_process.LastWords}");

            if (deadline.Elapsed > Patience)
                throw new InvalidOperationException(
                    $"redis-server on port {Port} did not answer within {Patience.TotalSeconds} s. {_process.LastWords}"
                );
            // Nothing tells from outside that a server begins to listen: knock again.
            await Task.Delay(5, cancellationToken);
        }
    }

    private string[] CommandLine() =>
        [
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
}
