using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Onggi.Client;

namespace PhoneBill.Demo;

/// <summary>A redis-server of our own, that ends when we end, however we end.</summary>
public sealed class RedisServer(int port, string directory) : IAsyncDisposable
{
    // The shell starts the server and waits for its own standard input to end, which it does when we are gone, even by kill -9.
    private const string Keeper = "\"$@\" >/dev/null 2>&1 & R=$!; echo $R; trap 'kill $R' TERM INT; cat >/dev/null; kill $R; wait $R";

    private Process? _keeper;
    private int _pid;

    /// <summary>Made for this run. It stands in the configuration file only, never on a command line.</summary>
    public string Password { get; } = RandomNumberGenerator.GetHexString(32, lowercase: true);

    public string ConnectionString => $"127.0.0.1:{port},password={Password}";

    /// <exception cref="DemoException">redis-server is not installed, or does not start.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var configuration = Path.Combine(directory, "redis.conf");
        await PrivateFile.WriteAsync(configuration, Configuration(), cancellationToken);
        EnsureInstalled();
        _keeper = Programs.Start(Programs.Piped("sh", "-c", Keeper, "sh", "redis-server", configuration), "");
        _pid = int.Parse(await _keeper.StandardOutput.ReadLineAsync(cancellationToken) ?? "0", CultureInfo.InvariantCulture);

        try
        {
            await using var client = await RedisClient.ConnectAsync(ConnectionString, cancellationToken);
            await client.PingAsync(cancellationToken);
        }
        catch (RedisException e)
        {
            var log = Path.Combine(directory, "redis.log");
            var last = File.Exists(log) ? string.Join('\n', File.ReadLines(log).TakeLast(5)) : "It wrote no log.";
            throw new DemoException($"redis-server did not start on port {port}: {e.Message}\n{last}");
        }
    }

    /// <summary>kill -9: no farewell, and with it goes all that stood in memory.</summary>
    public async Task KillAsync()
    {
        using (var server = Process.GetProcessById(_pid))
            server.Kill();
        await EndKeeperAsync();
    }

    public async ValueTask DisposeAsync() => await EndKeeperAsync();

    private static void EnsureInstalled()
    {
        using var version = Programs.Start(
            Programs.Piped("redis-server", "--version"),
            "Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis; Windows: use WSL."
        );
        version.WaitForExit();
    }

    private async Task EndKeeperAsync()
    {
        if (_keeper is null)
            return;
        _keeper.StandardInput.Close();
        await _keeper.WaitForExitAsync();
        _keeper.Dispose();
        _keeper = null;
    }

    // The install plan's development settings, with its defects mended: no idle time-out that cuts pooled connections, a keep-alive
    // below the load balancers' 240 s, room for more than 100 clients, one database, freeing in the background, a latency monitor.
    private string Configuration() =>
        $"""
            bind 127.0.0.1
            port {port}
            requirepass {Password}
            dir {directory}
            logfile redis.log
            save ""
            appendonly no
            databases 1
            maxmemory 512mb
            maxmemory-policy allkeys-lru
            maxmemory-clients 10%
            maxclients 1000
            timeout 0
            tcp-keepalive 60
            lazyfree-lazy-eviction yes
            lazyfree-lazy-expire yes
            lazyfree-lazy-server-del yes
            lazyfree-lazy-user-del yes
            latency-monitor-threshold 50
            slowlog-log-slower-than 10000
            """ + "\n";
}
