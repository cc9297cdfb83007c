using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>Each defect that a running Redis can show, put into a good one by itself, is found under its code.</summary>
public sealed class VerifyDefectTests
{
    /// <summary>One defect.</summary>
    /// <param name="Code">Under which it is found.</param>
    /// <param name="Is">finding, warning or failed.</param>
    /// <param name="Flags">Settings that differ from the good ones.</param>
    /// <param name="Make">What is done to the server; gives what is to be ended afterwards.</param>
    /// <param name="Args">What verify is told.</param>
    private sealed record Defect(
        string Code,
        string Is,
        string[]? Flags = null,
        Func<ToolServer, Task<IAsyncDisposable?>>? Make = null,
        Func<ToolServer, string[]>? Args = null
    );

    private static readonly Dictionary<string, Defect> Defects = new()
    {
        ["nobody needs a password"] = new("ONG003", "finding", Make: Acl("default", "on", "nopass", "~*", "&*", "+@all")),
        ["any password is taken"] = new("ONG004", "finding", Make: Acl("operator", "nopass")),
        ["a service has no user"] = new("ONG005", "warning", Make: Command("ACL", "SETUSER", "billing", "off")),
        ["a service has no user, in production"] = new(
            "ONG005",
            "finding",
            Make: Command("ACL", "SETUSER", "billing", "off"),
            Args: _ => ["--production"]
        ),
        ["a service reads another's keys"] = new("ONG006", "finding", Make: Acl("front", "~dev:secret:*")),
        ["a service may FLUSHDB"] = new("ONG007", "finding", Make: Acl("front", "+flushdb")),
        ["a service may CONFIG SET"] = new("ONG007", "finding", Make: Acl("auth", "+config")),
        ["the operator may CONFIG SET"] = new("ONG007", "finding", Make: Acl("operator", "+config|set")),
        ["a service lacks a right"] = new("ONG008", "finding", Make: Acl("billing", "-get")),
        ["a service's password is another"] = new(
            "ONG009",
            "finding",
            Make: Acl("front", "resetpass", ">something-else"),
            Args: server => ["--secrets", server.SecretsFolder]
        ),
        ["no TLS in production"] = new("ONG010", "finding", Args: _ => ["--production"]),
        ["a forgotten user that may everything"] = new("ONG011", "finding", Make: Acl("old", "on", ">x", "~*", "&*", "+@all")),
        ["a user without a password"] = new("ONG011", "finding", Make: Acl("probe", "nopass")),
        ["a replica"] = new("ONG002", "finding", Flags: ["--replicaof", "127.0.0.1", "1"]),
        ["the memory is nearly full"] = new(
            "ONG012",
            "finding",
            Flags: ["--maxmemory", "7500kb", "--maxmemory-clients", "0", "--maxmemory-policy", "noeviction"],
            Make: FillAsync
        ),
        ["no limit of memory"] = new("ONG040", "finding", Flags: ["--maxmemory", "0"]),
        ["another limit of memory than the catalog's"] = new("ONG040", "warning", Flags: ["--maxmemory", "100mb"]),
        ["sessions are evicted"] = new("ONG013", "finding", Flags: ["--maxmemory", "3mb", "--maxmemory-clients", "0"], Make: FillAsync),
        ["the container is too small for snapshots"] = new(
            "ONG014",
            "finding",
            Flags: ["--save", "3600", "1"],
            Args: _ => ["--container", "1gb"]
        ),
        ["the container is too small"] = new("ONG014", "finding", Args: _ => ["--container", "600mb"]),
        ["a snapshot failed"] = new("ONG015", "finding", Make: FailSnapshotAsync),
        ["databases are used"] = new("ONG018", "finding", Flags: ["--databases", "2"], Make: FillDatabaseAsync),
        ["no service is connected"] = new("ONG019", "warning"),
        ["connections are refused"] = new("ONG020", "finding", Flags: ["--maxclients", "5"], Make: RefuseAsync),
        ["no metrics"] = new("ONG021", "finding", Args: _ => ["--metrics", $"http://127.0.0.1:{LoopbackPorts.Free()}/metrics"]),
        ["misses"] = new("ONG024", "finding", Make: MissAsync, Args: server => ["--metrics", server.MetricsAddress!]),
        ["a hundred connections"] = new("ONG025", "warning", Make: server => ConnectAsync(server, 100)),
        ["nearly all connections"] = new("ONG025", "finding", Flags: ["--maxclients", "30"], Make: server => ConnectAsync(server, 25)),
        ["somebody used KEYS"] = new("ONG026", "warning", Make: UseKeysAsync),
        ["reached from outside"] = new("ONG027", "finding", Args: _ => ["--outside"]),
        ["a service stays away after the drill"] = new(
            "ONG028",
            "finding",
            Make: ConnectOnceAsync,
            Args: _ => ["--drill", "--yes", "--patience", "500ms"]
        ),
        ["protected-mode off"] = new("ONG035", "finding", Flags: ["--protected-mode", "no"]),
        ["a command is renamed"] = new("ONG036", "finding", Flags: ["--rename-command", "FLUSHALL", "gone"]),
        ["timeout 30"] = new("ONG037", "finding", Flags: ["--timeout", "30"]),
        ["tcp-keepalive 300"] = new("ONG038", "finding", Flags: ["--tcp-keepalive", "300"]),
        ["maxclients 100"] = new("ONG039", "finding", Flags: ["--maxclients", "100"]),
        ["allkeys-lru, in production"] = new(
            "ONG041",
            "finding",
            Flags: ["--maxmemory-policy", "allkeys-lru"],
            Args: _ => ["--production"]
        ),
        ["sixteen databases"] = new("ONG042", "warning", Flags: ["--databases", "16"]),
        ["memory only, in production"] = new("ONG044", "finding", Args: _ => ["--production"]),
        ["appendfsync no"] = new("ONG045", "warning", Flags: ["--appendonly", "yes", "--appendfsync", "no"]),
        ["no latency monitor"] = new("ONG046", "warning", Flags: ["--latency-monitor-threshold", "0"]),
        ["no slow log"] = new("ONG046", "warning", Flags: ["--slowlog-log-slower-than", "-1"]),
        ["eager freeing"] = new("ONG047", "warning", Flags: ["--lazyfree-lazy-user-del", "no"]),
        ["DEBUG for everybody"] = new("ONG048", "finding", Flags: ["--enable-debug-command", "yes"]),
        ["sessions end by keyspace notifications"] = new("ONG049", "warning", Flags: ["--notify-keyspace-events", "Ex"]),
        ["slow readers take memory"] = new("ONG051", "warning", Flags: ["--maxmemory-clients", "0"]),
        ["no replica in production"] = new("ONG065", "warning", Args: _ => ["--production"]),
        ["no log of refusals"] = new("ONG067", "warning", Flags: ["--acllog-max-len", "0"]),
        ["a key of nobody's"] = new("ONG080", "finding", Make: Command("SET", "customer:1", "{}", "EX", "100")),
        ["a key without an end"] = new("ONG081", "finding", Make: Command("SET", "dev:bill:1", "{}")),
        ["nobody has signed"] = new("ONG076", "finding", Args: server => ["--readiness", server.SecretsFolder]),
    };

    public static TheoryData<string> Names => [.. Defects.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Each_defect_by_itself_is_found(string name)
    {
        var defect = Defects[name];
        await using var server = await ToolServer.StartAsync(defect.Flags ?? []);
        await using var made = defect.Make is null ? null : await defect.Make(server);

        var (code, output, error) = await server.RunAsync(["verify", "--live", "--json", .. defect.Args?.Invoke(server) ?? []]);

        Assert.True(output.Length > 0, error);
        var found = Findings(output).Where(finding => finding.Code == defect.Code).ToList();
        Assert.True(found.Count > 0, $"{defect.Code} was not found: {output}");
        Assert.Contains(found, finding => finding.Severity == defect.Is);
        if (defect.Is == "finding")
            Assert.Equal(1, code);
        Assert.All(found, finding => Assert.EndsWith($"#{defect.Code.ToLowerInvariant()}", finding.Link, StringComparison.Ordinal));
    }

    private static IEnumerable<(string Code, string Severity, string Link)> Findings(string output) =>
        JsonElement
            .Parse(output)
            .GetProperty("checks")
            .EnumerateArray()
            .SelectMany(check => check.GetProperty("findings").EnumerateArray())
            .Select(finding =>
                (
                    finding.GetProperty("code").GetString()!,
                    finding.GetProperty("severity").GetString()!,
                    finding.GetProperty("link").GetString()!
                )
            );

    private static Func<ToolServer, Task<IAsyncDisposable?>> Acl(string user, params string[] rules) =>
        Command(["ACL", "SETUSER", user, .. rules]);

    private static Func<ToolServer, Task<IAsyncDisposable?>> Command(params string[] command) =>
        async server =>
        {
            await server.CommandAsync(command);
            return null;
        };

    private static async Task<IAsyncDisposable?> FillAsync(ToolServer server)
    {
        await using var op = await server.ConnectAsync("operator");
        for (var i = 0; i < 300; i++)
            await op.SetAsync($"dev:bill:{i}", new string('1', 20_000), TimeSpan.FromHours(1));
        return null;
    }

    // A folder stands where the file is to be.
    private static async Task<IAsyncDisposable?> FailSnapshotAsync(ToolServer server)
    {
        Directory.CreateDirectory(Path.Combine(server.Redis.Directory, "dump.rdb", "full"));
        await server.CommandAsync("BGSAVE");
        await Until.TrueAsync(async () =>
            (await server.CommandAsync("INFO", "persistence"))!.Contains("rdb_last_bgsave_status:err", StringComparison.Ordinal)
        );
        return null;
    }

    private static async Task<IAsyncDisposable?> FillDatabaseAsync(ToolServer server)
    {
        var options = RedisClientOptions.Parse(server.ConnectionOf("operator"));
        options.Database = 1;
        await using var other = await RedisClient.ConnectAsync(options);
        await other.SetAsync("session:1", "x", TimeSpan.FromHours(1));
        return null;
    }

    private static async Task<IAsyncDisposable?> RefuseAsync(ToolServer server)
    {
        using var connections = new Sockets();
        for (var i = 0; i < 8; i++)
            connections.Add(await ConnectAsync(server.Redis.Port));
        // The last ones were taken by the system before Redis refuses them: it has, when one of them is at its end.
        Assert.True(await connections.LastEndsAsync());
        return null;
    }

    private static Task<IAsyncDisposable?> MissAsync(ToolServer server)
    {
        var metrics = new MetricsServer("onggi_cache_requests_total{onggi_family=\"bill\",onggi_outcome=\"miss\"} 2000\n");
        server.MetricsAddress = metrics.Address;
        return Task.FromResult<IAsyncDisposable?>(metrics);
    }

    private static async Task<IAsyncDisposable?> ConnectAsync(ToolServer server, int count)
    {
        var connections = new Sockets();
        for (var i = 0; i < count; i++)
            connections.Add(await ConnectAsync(server.Redis.Port));
        await Until.TrueAsync(async () =>
            int.Parse(
                (await server.CommandAsync("INFO", "clients"))!.Split("connected_clients:")[1].Split('\r')[0],
                CultureInfo.InvariantCulture
            ) > count
        );
        return connections;
    }

    private static async Task<IAsyncDisposable?> UseKeysAsync(ToolServer server)
    {
        await server.CommandAsync("ACL", "SETUSER", "operator", "+keys");
        await server.CommandAsync("KEYS", "dev:bill:*");
        return null;
    }

    private static async Task<IAsyncDisposable?> ConnectOnceAsync(ToolServer server)
    {
        var connection = await RawRedis.ConnectAsync(server.Redis.Port);
        await connection.CommandAsync("AUTH", "front", server.PasswordOf("front"));
        return new Held(connection);
    }

    private static async Task<Socket> ConnectAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync("127.0.0.1", port);
        return socket;
    }

    private sealed class Held(RawRedis connection) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            connection.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Sockets : IDisposable, IAsyncDisposable
    {
        private readonly List<Socket> _all = [];

        public void Add(Socket socket) => _all.Add(socket);

        public async Task<bool> LastEndsAsync()
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            var buffer = new byte[256];
            while (await _all[^1].ReceiveAsync(buffer, patience.Token) > 0) { }
            return true;
        }

        public void Dispose() => _all.ForEach(socket => socket.Dispose());

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
