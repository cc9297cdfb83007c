using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using PhoneBill.Contracts;

namespace PhoneBill.Demo;

/// <summary>A redis-server of our own, that ends when we end, however we end.</summary>
public sealed class RedisServer(int port, string directory) : IAsyncDisposable
{
    // The shell starts the server and waits for its own standard input to end, which it does when we are gone, even by kill -9.
    private const string Keeper = "\"$@\" >/dev/null 2>&1 & R=$!; echo $R; trap 'kill $R' TERM INT; cat >/dev/null; kill $R; wait $R";

    private Process? _keeper;
    private int _pid;

    /// <summary>The user of people and tools; services have users of their own.</summary>
    public const string Operator = "operator";

    /// <summary>How the service gets in: as itself, with the rights that the catalog gives it.</summary>
    public string ConnectionOf(string service) => $"127.0.0.1:{port},user={service},password={PasswordOf(service)}";

    /// <summary>The user's password. Made for this run; it stands in a file of its own, never on a command line.</summary>
    public string PasswordOf(string user) => File.ReadAllText(Path.Combine(Secrets, user));

    /// <summary>The folder of the passwords.</summary>
    public string Secrets => Path.Combine(directory, "secrets");

    /// <exception cref="DemoException">redis-server is not installed, or does not start.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var configuration = Path.Combine(directory, "redis.conf");
        await PrivateFile.WriteAsync(configuration, await ConfigurationAsync(cancellationToken), cancellationToken);
        EnsureInstalled();
        _keeper = Programs.Start(Programs.Piped("sh", "-c", Keeper, "sh", "redis-server", configuration), "");
        _pid = int.Parse(await _keeper.StandardOutput.ReadLineAsync(cancellationToken) ?? "0", CultureInfo.InvariantCulture);

        try
        {
            await using var client = await RedisClient.ConnectAsync(ConnectionOf(Operator), cancellationToken);
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

    // Settings and users as the tool makes them of the catalog, for a laptop as for a cluster.
    private async Task<string> ConfigurationAsync(CancellationToken cancellationToken)
    {
        var catalog = Path.Combine(directory, "keyspace.json");
        await File.WriteAllTextAsync(catalog, Catalog.Json, cancellationToken);
        var users = Path.Combine(directory, "users.acl");
        await OnggiTool.RunAsync(["acl", "file", "--catalog", catalog, "--secrets", Secrets, "--out", users], cancellationToken);
        var conf = await OnggiTool.RunAsync(
            ["conf", "show", "--catalog", catalog, "--dir", directory, "--aclfile", users, "--port", $"{port}", "--bind", "127.0.0.1"],
            cancellationToken
        );
        return conf + "\nlogfile redis.log\n";
    }
}
