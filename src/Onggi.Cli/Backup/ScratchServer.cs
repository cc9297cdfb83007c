using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Backup;

/// <summary>A redis-server of our own for a while: on a free port of 127.0.0.1, with a random password, in a temporary folder, keeping nothing; it cannot outlive us.</summary>
/// <remarks>It runs under a small shell that reads our end of a pipe: when we go, however we go, the pipe ends, and the shell kills the server and removes the folder.</remarks>
internal sealed class ScratchServer : IAsyncDisposable
{
    /// <summary>Names the program where it is not on the PATH.</summary>
    public const string Variable = "ONGGI_REDIS_SERVER";

    private const int MostTries = 5;
    private const int MostDatabases = 1024;

    // The reader of the pipe is a process of its own, because a shell that waits for a child cannot read. Ctrl-C is ours to heed.
    private const string Watchdog = """
        trap '' INT TERM; dir=$1; server=$2
        exec 3<&0 2>/dev/null
        if command -v setsid >/dev/null; then set -- setsid "$server"; else set -- "$server"; fi
        "$@" "$dir/redis.conf" </dev/null >>"$dir/output" 2>&1 3<&- & server=$!
        (cat <&3 >/dev/null; : >"$dir/abandoned"; kill -KILL $server) >/dev/null 2>&1 & reader=$!
        wait $server; code=$?
        if [ -e "$dir/abandoned" ]; then rm -rf "$dir"; else kill -KILL $reader; fi
        exit $code
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Knock = TimeSpan.FromMilliseconds(20);

    private readonly DirectoryInfo _folder;
    private readonly TimeProvider _time;
    private Process? _shell;
    private RedisClient? _client;

    private ScratchServer(TimeProvider time)
    {
        _time = time;
        _folder = Directory.CreateTempSubdirectory("onggi-scratch-");
    }

    public RedisClient Client => _client!;

    /// <summary>Its version.</summary>
    public string Version { get; private set; } = "";

    /// <summary>The program to run.</summary>
    /// <param name="named">What the user named; <c>null</c> for the variable's or the PATH's.</param>
    /// <exception cref="ToolException">There is none.</exception>
    public static string Find(string? named)
    {
        var program = named ?? System.Environment.GetEnvironmentVariable(Variable) ?? "redis-server";
        if (OperatingSystem.IsWindows())
            throw new ToolException(
                "a backup is proven with a redis-server, which there is none of for Windows. Use --no-verify, and verify elsewhere."
            );
        return Programs.Find(program)
            ?? throw new ToolException(
                $"there is no {program} to prove the backup with. Install Redis's server (Debian: apt-get install redis-server), name it with --redis-server PATH, or use --no-verify and verify it elsewhere."
            );
    }

    /// <summary>Starts one and waits until it answers.</summary>
    /// <param name="program">From <see cref="Find"/>.</param>
    /// <param name="rdb">A file to begin with; <c>null</c> for none.</param>
    /// <param name="time">The clock of waits.</param>
    /// <param name="cancellationToken">Ends the wait, and the server.</param>
    /// <exception cref="ToolException">It does not start, or cannot read the file; the message has its last words.</exception>
    public static async Task<ScratchServer> StartAsync(string program, string? rdb, TimeProvider time, CancellationToken cancellationToken)
    {
        var server = new ScratchServer(time);
        try
        {
            if (rdb is not null)
                File.CreateSymbolicLink(Path.Combine(server._folder.FullName, "dump.rdb"), Path.GetFullPath(rdb));
            // Between finding a free port and its taking, somebody else can take it.
            for (var i = 1; ; i++)
            {
                var (port, password) = (FreePort(), RandomNumberGenerator.GetHexString(32));
                server.Launch(program, port, password, databases: rdb is null ? 1 : MostDatabases);
                if (await server.AnswersAsync(port, password, cancellationToken).ConfigureAwait(false))
                    return server;
                var words = server.LastWords();
                if (i == MostTries || !words.Contains("in use", StringComparison.Ordinal))
                    throw rdb is null
                        ? new ToolException($"{program} did not start: {words}")
                        : new BrokenBackupException($"{rdb} cannot be loaded by {program}: {words}");
                await server.EndAsync().ConfigureAwait(false);
            }
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>How much memory its data take.</summary>
    public async Task<long> MemoryAsync(CancellationToken cancellationToken)
    {
        var info = await ServerInfo.ReadAsync(Client, cancellationToken).ConfigureAwait(false);
        return Math.Max(0, (info.Count("used_memory") ?? 0) - (info.Count("used_memory_startup") ?? 0));
    }

    /// <summary>The same for another of its databases.</summary>
    public Task<RedisClient> ConnectAsync(int database, CancellationToken cancellationToken) =>
        ConnectAsync(Client.Options.Port, Client.Options.Password!, database, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_client is not null)
            await _client.DisposeAsync().ConfigureAwait(false);
        await EndAsync().ConfigureAwait(false);
        try
        {
            _folder.Delete(recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // The shell was quicker.
        }
    }

    private void Launch(string program, int port, string password, int databases)
    {
        var conf = Path.Combine(_folder.FullName, "redis.conf");
        File.Delete(conf);
        using (var writer = new StreamWriter(conf, ArchiveFormat.Private(FileMode.CreateNew)))
            writer.Write(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"""
                    bind 127.0.0.1
                    port {port}
                    requirepass {password}
                    dir "{_folder.FullName}"
                    dbfilename dump.rdb
                    save ""
                    appendonly no
                    daemonize no
                    databases {databases}

                    """
                )
            );
        var start = new ProcessStartInfo("sh")
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var argument in (string[])["-c", Watchdog, "sh", _folder.FullName, program])
            start.ArgumentList.Add(argument);
        _shell = Process.Start(start) ?? throw new ToolException("sh did not start.");
    }

    // As long as it loads a file it lives and does not answer: that takes as long as it takes.
    private async Task<bool> AnswersAsync(int port, string password, CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        while (!_shell!.HasExited)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var listens = await ListensAsync(port, cancellationToken).ConfigureAwait(false);
            if (listens && await TryConnectAsync(port, password, cancellationToken).ConfigureAwait(false))
                return true;
            if (!listens && _time.GetElapsedTime(began) > Patience)
                return false;
            await Task.Delay(Knock, _time, cancellationToken).ConfigureAwait(false);
        }

        return false;
    }

    private async Task<bool> TryConnectAsync(int port, string password, CancellationToken cancellationToken)
    {
        RedisClient? client = null;
        try
        {
            client = await ConnectAsync(port, password, 0, cancellationToken).ConfigureAwait(false);
            var info = await ServerInfo.ReadAsync(client, cancellationToken).ConfigureAwait(false);
            if (info["loading"] == "0")
            {
                (_client, client) = (client, null);
                Version = info["valkey_version"] ?? info["redis_version"] ?? "";
                return true;
            }
        }
        catch (RedisException)
        {
            // It is loading, or it is a stranger that took the port: ours says so when it ends.
        }
        finally
        {
            if (client is not null)
                await client.DisposeAsync().ConfigureAwait(false);
        }

        return false;
    }

    private static async Task<RedisClient> ConnectAsync(int port, string password, int database, CancellationToken cancellationToken) =>
        await RedisClient
            .ConnectAsync(
                BackupServers.Patient(
                    new RedisClientOptions
                    {
                        Port = port,
                        Password = password,
                        Database = database,
                        ConnectTimeout = TimeSpan.FromSeconds(5),
                    }
                ),
                cancellationToken: cancellationToken
            )
            .ConfigureAwait(false);

    private static async Task<bool> ListensAsync(int port, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private string LastWords()
    {
        var output = Path.Combine(_folder.FullName, "output");
        var lines = File.Exists(output)
            ? File.ReadLines(output).Where(line => line.Contains('#', StringComparison.Ordinal)).TakeLast(4)
            : [];
        return string.Join(' ', lines.Select(line => line[(line.IndexOf('#', StringComparison.Ordinal) + 1)..].Trim()));
    }

    private async Task EndAsync()
    {
        if (_shell is null)
            return;
        _shell.StandardInput.Close();
        await _shell.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        _shell.Dispose();
        _shell = null;
    }
}

/// <summary>Programs beside ours.</summary>
internal static class Programs
{
    /// <summary>The path of a program: as it is named, or on the PATH; <c>null</c> where there is none.</summary>
    public static string? Find(string name)
    {
        if (name.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal))
            return File.Exists(name) ? Path.GetFullPath(name) : null;
        return (System.Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, name))
            .FirstOrDefault(File.Exists);
    }

    /// <summary>Runs one to its end.</summary>
    /// <returns>Its exit code and what it said.</returns>
    public static async Task<(int Code, string Said)> RunAsync(
        string program,
        IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string>? environment,
        CancellationToken cancellationToken
    )
    {
        var start = new ProcessStartInfo(program)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        using var process = Process.Start(start) ?? throw new ToolException($"{program} did not start.");
        try
        {
            var (output, error) = (
                process.StandardOutput.ReadToEndAsync(cancellationToken),
                process.StandardError.ReadToEndAsync(cancellationToken)
            );
            await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
            return (process.ExitCode, (await output.ConfigureAwait(false) + await error.ConfigureAwait(false)).Trim());
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
