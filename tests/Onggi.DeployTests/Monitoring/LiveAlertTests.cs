using System.Diagnostics;
using System.Globalization;
using Onggi.Cli.Access;
using Onggi.Testing;

namespace Onggi.DeployTests.Monitoring;

/// <summary>Redis, its exporter, Prometheus, the alert manager and somebody who is told: every alert about a server fires when that server suffers, says what was seen, and is over when it is.</summary>
[Collection(Live)]
public sealed class LiveAlertTests
{
    internal const string Live = "monitoring that runs";

    private static readonly string[] ProductionOnly =
    [
        "RedisReplicasMissing",
        "RedisTwoPrimaries",
        "RedisNoPrimary",
        "RedisSentinelDown",
        "RedisPersistenceOff",
    ];

    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(45);

    [ToolFact(Tools.Exporter, Tools.Prometheus, Tools.Alertmanager)]
    public async Task Every_alert_about_a_server_fires_and_is_over_when_it_is_over()
    {
        await using var team = await TeamRedis.MakeAsync(Kit.PathOf(Kit.Catalog));
        await using var scene = await Scene.StartAsync(team);

        Task[] scenarios =
        [
            MemoryAsync(scene),
            EvictionsAsync(scene),
            ClientsAsync(scene),
            MissesAsync(scene),
            RestartAsync(scene),
            HangAsync(scene),
            ReplicaAsync(scene),
            FilesAsync(scene),
            DoorsAsync(scene),
            UnwatchedAsync(scene),
        ];
        await Task.WhenAll(scenarios);
        // What was healthy all the time, nobody was told of.
        Assert.DoesNotContain(scene.Told, alert => alert.Instance == "healthy");
        await ExporterAsync(scene);

        // Of all that were told.
        var names = Kit.Alerts().Select(alert => alert.Name).Where(name => name.StartsWith("Redis", StringComparison.Ordinal));
        Assert.Equal(
            names.Except(ProductionOnly).Order(StringComparer.Ordinal),
            scene
                .Told.Where(alert => alert.IsFiring)
                .Select(alert => alert.Name)
                .Where(name => name.StartsWith("Redis", StringComparison.Ordinal))
                .Distinct()
                .Order(StringComparer.Ordinal)
        );
        foreach (var alert in scene.Told.Where(alert => alert.IsFiring))
        {
            Assert.Equal($"{Kit.Runbook}#{alert.Name.ToLowerInvariant()}", alert.Annotations["runbook_url"]);
            Assert.NotEmpty(alert.Annotations["action"]);
            Assert.Equal(alert.Labels["severity"] == "critical" ? "on-call" : "team", alert.Receiver);
        }

        await scene.ExporterWasNeverRefusedAsync(team.PasswordOf("exporter"));
    }

    [ToolFact(Tools.Exporter, Tools.Prometheus, Tools.Alertmanager)]
    public async Task So_does_every_alert_that_only_production_has()
    {
        await using var team = await TeamRedis.MakeAsync(Kit.PathOf(Kit.Catalog));
        await using var scene = await Scene.StartProductionAsync(team);

        await Task.WhenAll(SentinelAsync(scene, team), SetAsync(scene));

        Assert.Equal(
            ProductionOnly.Order(StringComparer.Ordinal),
            scene.Told.Where(alert => alert.IsFiring).Select(alert => alert.Name).Intersect(ProductionOnly).Order(StringComparer.Ordinal)
        );
        foreach (var alert in scene.Told.Where(alert => ProductionOnly.Contains(alert.Name)))
        {
            Assert.Equal("production", alert.Labels["environment"]);
            Assert.Equal($"{Kit.Runbook}#{alert.Name.ToLowerInvariant()}", alert.Annotations["runbook_url"]);
            Assert.Equal(alert.Labels["severity"] == "critical" ? "on-call" : "team", alert.Receiver);
        }
    }

    private static async Task SetAsync(Scene scene)
    {
        var (primary, replica) = (scene["primary"], scene["replica"]);
        foreach (var name in (string[])["primary", "replica"])
            await scene.FiresAsync("RedisPersistenceOff", name, "no append-only file");
        foreach (var server in (RedisServerProcess[])[primary, replica])
            await TeamRedis.BreakAsync(server, "CONFIG", "SET", "appendonly", "yes");
        await scene.IsOverAsync("primary", "RedisPersistenceOff");
        await scene.IsOverAsync("replica", "RedisPersistenceOff");

        replica.Pause();
        await TeamRedis.BreakAsync(primary, "CLIENT", "KILL", "TYPE", "replica");
        await scene.FiresAsync("RedisReplicasMissing", "primary", "has 0 of 1 replicas");
        replica.Resume();
        await scene.IsOverAsync("primary", "RedisReplicasMissing");

        await TeamRedis.BreakAsync(replica, "REPLICAOF", "NO", "ONE");
        await scene.FiresAsync("RedisTwoPrimaries", instance: null, "2 of the servers");
        await TeamRedis.BreakAsync(replica, "REPLICAOF", "127.0.0.1", primary.Port.ToString(CultureInfo.InvariantCulture));
        await scene.IsOverAsync(instance: null, "RedisTwoPrimaries");

        primary.Pause();
        await scene.FiresAsync("RedisNoPrimary", instance: null, "nothing can be written");
        primary.Resume();
        await scene.IsOverAsync(instance: null, "RedisNoPrimary");
    }

    // First nobody watches one, then it does not answer.
    private static async Task SentinelAsync(Scene scene, TeamRedis team)
    {
        await scene.FiresAsync("RedisSentinelDown", instance: null, "No Sentinel is watched");
        var rights = string.Join(' ', SentinelAccess.All.Single(user => user.Name == AccessPlan.Exporter).Rules);
        await using var sentinel = await RedisServerProcess.StartAsync(
            new RedisServerSettings
            {
                Sentinel =
                    $"user {AccessPlan.Exporter} on >{team.PasswordOf(AccessPlan.Exporter)} {rights}\nsentinel monitor phonebill 127.0.0.1 {scene["primary"].Port} 9\n",
            }
        );
        scene.Stack.WatchSentinel("sentinel-0", sentinel.Port);
        await scene.IsOverAsync(instance: null, "RedisSentinelDown");
        sentinel.Pause();
        await scene.FiresAsync("RedisSentinelDown", "sentinel-0", "sentinel-0 does not answer");
        sentinel.Resume();
        await scene.IsOverAsync("sentinel-0", "RedisSentinelDown");
    }

    private static async Task MemoryAsync(Scene scene)
    {
        var server = scene["full"];
        using var redis = await TeamRedis.BreakAsync(server);
        await redis.CommandAsync("CONFIG", "SET", "maxmemory", "32mb");
        await FillAsync(redis, 0.85);
        await scene.FiresAsync("RedisMemoryHigh", "full", "8", "of its maxmemory");
        await FillAsync(redis, 0.98);
        await scene.FiresAsync("RedisMemoryFull", "full", "9", "evicts nothing");
        await scene.FiresAsync("RedisMemoryLimitWrong", "full", "32MiB", "512");
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => FillAsync(redis, 1.5));
        Assert.Contains("OOM", refused.Message, StringComparison.Ordinal);
        await scene.FiresAsync("RedisWritesRefused", "full", "OOM");

        await redis.CommandAsync("CONFIG", "SET", "maxmemory", "512mb");
        await redis.CommandAsync("FLUSHALL");
        await scene.IsOverAsync("full", "RedisMemoryHigh", "RedisMemoryFull", "RedisMemoryLimitWrong", "RedisWritesRefused");
    }

    private static async Task EvictionsAsync(Scene scene)
    {
        using var all = await TeamRedis.BreakAsync(scene["evicting"]);
        using var cache = await TeamRedis.BreakAsync(scene["evicting-cache"]);
        foreach (var redis in (RawRedis[])[all, cache])
        {
            await redis.CommandAsync("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
            await redis.CommandAsync("CONFIG", "SET", "maxmemory", "8mb");
        }

        // More than 1,000 in a minute, as long as it takes.
        var told = Task.WhenAll(
            scene.FiresAsync("RedisEvicting", "evicting", "keys a minute"),
            scene.FiresAsync("RedisEvicting", "evicting-cache", "keys a minute"),
            scene.FiresAsync("RedisEvictsState", "evicting", "evicted")
        );
        for (var i = 0; !told.IsCompleted; i++)
        {
            await WriteAsync(all, $"a{i}", 64);
            await WriteAsync(cache, $"c{i}", 64);
            // Not as fast as it can: others are watched on these processors, too.
            await Task.Delay(50);
        }

        await told;
        foreach (var redis in (RawRedis[])[all, cache])
            await redis.CommandAsync("CONFIG", "SET", "maxmemory", "512mb");
        await scene.IsOverAsync("evicting", "RedisEvicting", "RedisEvictsState");
        await scene.IsOverAsync("evicting-cache", "RedisEvicting");
        // Caches may go.
        Assert.DoesNotContain(scene.Told, alert => alert is { Name: "RedisEvictsState", Instance: "evicting-cache" });
    }

    private static async Task ClientsAsync(Scene scene)
    {
        var server = scene["crowded"];
        var crowd = new List<RawRedis>();
        try
        {
            await TeamRedis.BreakAsync(server, "CONFIG", "SET", "maxclients", "40");
            for (var i = 0; i < 34; i++)
                crowd.Add(await TeamRedis.BreakAsync(server));
            await scene.FiresAsync("RedisClientsHigh", "crowded", "8", "maxclients");
            // Until somebody is turned away, and then away again at once, so that the exporter can tell of it.
            var refused = await Record.ExceptionAsync(async () =>
            {
                for (var i = 0; i < 20; i++)
                    crowd.Add(await TeamRedis.BreakAsync(server));
            });
            Assert.NotNull(refused);
        }
        finally
        {
            crowd.ForEach(connection => connection.Dispose());
        }

        await scene.FiresAsync("RedisConnectionsRejected", "crowded", "connections away");
        await scene.IsOverAsync("crowded", "RedisClientsHigh", "RedisConnectionsRejected");
    }

    private static async Task MissesAsync(Scene scene)
    {
        using var redis = await TeamRedis.BreakAsync(scene["missing"]);
        var told = scene.FiresAsync("RedisHitRateLow", "missing", "% found something");
        await redis.CommandAsync("SET", "there", "x");
        for (var i = 0; !told.IsCompleted; i++)
        {
            await redis.CommandAsync("GET", i % 2 == 0 ? "there" : "missing");
            await Task.Delay(10);
        }

        await told;
        await scene.IsOverAsync("missing", "RedisHitRateLow");
    }

    private static async Task RestartAsync(Scene scene)
    {
        var server = scene["restarted"];
        // Its uptime must have been seen to grow before it begins anew.
        await Until.TrueAsync(
            async () => (await scene.Stack.AskAsync("redis_uptime_in_seconds{instance=\"restarted\"} > 3")).Count > 0,
            "it has been up for a while",
            Bound
        );
        await server.RestartAsync(kill: true);
        await scene.FiresAsync("RedisRestarted", "restarted", "began anew");
        await scene.IsOverAsync("restarted", "RedisRestarted");

        await server.KillAsync();
        await scene.FiresAsync("RedisDown", "restarted", "is 0");
        // One that is down has no other trouble; its neighbours may.
        await Until.TrueAsync(
            async () => await scene.StateOfAsync("RedisMemoryHigh", "restarted") == "suppressed",
            "an alert of a server that is down is silent",
            Bound
        );
        await Until.TrueAsync(async () => await scene.StateOfAsync("RedisMemoryHigh", "another") == "active", "another's is told", Bound);
        await SilencesAsync(scene);
        await server.RestartAsync();
        await scene.IsOverAsync("restarted", "RedisDown");
    }

    // Where there is one Redis, its end explains what services suffer. Where there are three, one that is down explains nothing: only no primary does.
    private static async Task SilencesAsync(Scene scene)
    {
        await IsAsync("suppressed", "OnggiLatencyHigh", "dev");
        await IsAsync("active", "RedisDown", "production");
        await IsAsync("active", "OnggiLatencyHigh", "production");
        await IsAsync("active", "RedisNoPrimary", "production");
        await IsAsync("suppressed", "OnggiLatencyHigh", "production");

        Task IsAsync(string state, string alert, string environment) =>
            Until.TrueAsync(
                async () => await scene.StateOfAsync(alert, instance: alert, environment) == state,
                $"{alert} of {environment} is {state}",
                Bound
            );
    }

    private static async Task HangAsync(Scene scene)
    {
        scene["hanging"].Pause();
        await scene.FiresAsync("RedisDown", "hanging", "is 0");
        scene["hanging"].Resume();
        await scene.IsOverAsync("hanging", "RedisDown");
    }

    private static async Task ReplicaAsync(Scene scene)
    {
        var (primary, replica) = (scene["primary"], scene["replica"]);
        await Until.TrueAsync(
            async () =>
                (await TeamRedis.BreakAsync(replica, "INFO", "replication"))!.Contains("master_link_status:up", StringComparison.Ordinal),
            "the replica copies",
            Bound
        );
        replica.Pause();
        await scene.FiresAsync("RedisReplicaLagging", "primary", "was last heard 1");
        replica.Resume();
        await scene.IsOverAsync("primary", "RedisReplicaLagging");
        await scene.IsOverAsync("replica", "RedisDown");

        // As when its password was changed here and not there.
        await TeamRedis.BreakAsync(primary, "ACL", "SETUSER", "replica", "off");
        await TeamRedis.BreakAsync(primary, "CLIENT", "KILL", "TYPE", "replica");
        await scene.FiresAsync("RedisReplicaBroken", "replica", "does not copy");
        await TeamRedis.BreakAsync(primary, "ACL", "SETUSER", "replica", "on");
        await scene.IsOverAsync("replica", "RedisReplicaBroken");
    }

    private static async Task FilesAsync(Scene scene)
    {
        var server = scene["files"];
        using var redis = await TeamRedis.BreakAsync(server);
        // A folder stands where the files go: as little to be written as on a full disk.
        var (snapshot, append) = (Path.Combine(server.Directory, "dump.rdb"), Path.Combine(server.Directory, "appendonlydir"));
        Directory.CreateDirectory(Path.Combine(snapshot, "inside"));
        await SnapshotAsync(redis);
        Directory.Move(append, append + ".away");
        await File.WriteAllTextAsync(append, "");
        await Record.ExceptionAsync(() => redis.CommandAsync("BGREWRITEAOF"));
        await Task.WhenAll(
            scene.FiresAsync("RedisSnapshotFailing", "files", "status 0"),
            scene.FiresAsync("RedisAofFailing", "files", "status 0")
        );

        Directory.Delete(snapshot, recursive: true);
        File.Delete(append);
        Directory.Move(append + ".away", append);
        await SnapshotAsync(redis);
        await redis.CommandAsync("BGREWRITEAOF");
        await scene.IsOverAsync("files", "RedisSnapshotFailing", "RedisAofFailing");
    }

    // Whether it is written or fails: one child at a time, and a rewrite would only be put off.
    private static async Task SnapshotAsync(RawRedis redis)
    {
        await redis.CommandAsync("BGSAVE");
        await Until.TrueAsync(
            async () => (await redis.CommandAsync("INFO", "persistence"))!.Contains("rdb_bgsave_in_progress:0", StringComparison.Ordinal),
            "the snapshot has ended",
            Bound
        );
    }

    private static async Task DoorsAsync(Scene scene)
    {
        var server = scene["tried"];
        await Assert.ThrowsAsync<InvalidOperationException>(() => RawRedis.ConnectAsync(server.Port, "operator", "a guess"));
        await scene.FiresAsync("RedisAccessRefused", "tried", "WRONGPASS");

        using var redis = await TeamRedis.BreakAsync(server);
        await redis.CommandAsync("CONFIG", "SET", "slowlog-log-slower-than", "0");
        for (var i = 0; i < 40; i++)
            await redis.CommandAsync("PING");
        await redis.CommandAsync("CONFIG", "SET", "slowlog-log-slower-than", "10000");
        await scene.FiresAsync("RedisSlowCommands", "tried", "took longer");
        await scene.IsOverAsync("tried", "RedisAccessRefused", "RedisSlowCommands");
    }

    private static async Task UnwatchedAsync(Scene scene)
    {
        await scene.FiresAsync("RedisUnwatched", "unknown", "no figures of unknown");
        scene.ForgetUnknown();
        await scene.IsOverAsync("unknown", "RedisUnwatched");
    }

    private static async Task ExporterAsync(Scene scene)
    {
        await scene.Stack.StopExporterAsync();
        await scene.FiresAsync("RedisExporterDown", instance: null, "cannot be scraped");
        await scene.Stack.StartExporterAsync();
        await scene.IsOverAsync(instance: null, "RedisExporterDown");
    }

    private static async Task FillAsync(RawRedis redis, double share)
    {
        var most = double.Parse((await redis.CommandAsync("CONFIG", "GET", "maxmemory"))!.Split('\n')[1], CultureInfo.InvariantCulture);
        for (var i = 0; ; i++)
        {
            var used = (await redis.CommandAsync("INFO", "memory"))!
                .Split('\n')
                .First(line => line.StartsWith("used_memory:", StringComparison.Ordinal));
            if (double.Parse(used.Split(':')[1], CultureInfo.InvariantCulture) > share * most)
                return;
            await redis.CommandAsync("SET", $"filler:{share}:{i}", new string('x', 200_000));
        }
    }

    private static Task<string?> WriteAsync(RawRedis redis, string name, int keys) =>
        redis.CommandAsync(
            "EVAL",
            "for i = 1, tonumber(ARGV[2]) do redis.call('SET', ARGV[1] .. ':' .. i, string.rep('x', 4000)) end",
            "0",
            name,
            keys.ToString(CultureInfo.InvariantCulture)
        );

    /// <summary>The servers, those who watch them, and what was told.</summary>
    private sealed class Scene : IAsyncDisposable
    {
        private const string Made = "made";

        private readonly Dictionary<string, RedisServerProcess> _servers = new(StringComparer.Ordinal);
        private readonly List<(string Name, string Port, string Tier)> _targets = [];
        private readonly Stopwatch _clock = Stopwatch.StartNew();

        public MonitoringStack Stack { get; private set; } = null!;

        /// <summary>What was told, but for what the test itself asked the alert manager about.</summary>
        public IEnumerable<ToldAlert> Told => Stack.Webhook!.Told.Where(told => !told.Labels.ContainsKey(Made));

        public RedisServerProcess this[string name] => _servers[name];

        public static async Task<Scene> StartAsync(TeamRedis team)
        {
            var scene = new Scene();
            await scene.AddAsync(team, "healthy");
            await scene.AddAsync(team, "full");
            await scene.AddAsync(team, "evicting");
            await scene.AddAsync(team, "evicting-cache", "cache");
            await scene.AddAsync(team, "crowded");
            await scene.AddAsync(team, "missing");
            await scene.AddAsync(team, "restarted");
            await scene.AddAsync(team, "hanging");
            await scene.AddAsync(team, "files", "all", "--appendonly", "yes");
            await scene.AddAsync(team, "tried");
            await scene.AddAsync(team, "primary");
            await scene.AddAsync(team, "replica", "all", "--replicaof", $"127.0.0.1 {scene["primary"].Port}");
            // The exporter does not take such an address: so there are no figures, which is not the same as a Redis that is down.
            var unknown = ("unknown", "nowhere", "all");
            scene.Stack = await MonitoringStack.StartAsync(
                team.PasswordOf("exporter"),
                Kit.PathOf(Kit.Catalog),
                [.. scene._targets, unknown],
                [],
                alerts: true
            );
            // What counters grow from must have been seen.
            await Until.TrueAsync(
                async () => (await scene.Stack.AskAsync("redis_up == 1")).Count == scene._targets.Count,
                "all servers are watched",
                Bound
            );
            return scene;
        }

        /// <summary>A primary with its replica, by production's rules; neither keeps anything.</summary>
        public static async Task<Scene> StartProductionAsync(TeamRedis team)
        {
            var scene = new Scene();
            await scene.AddAsync(team, "primary");
            await scene.AddAsync(team, "replica", "all", "--replicaof", $"127.0.0.1 {scene["primary"].Port}");
            scene.Stack = await MonitoringStack.StartAsync(
                team.PasswordOf("exporter"),
                Kit.PathOf(Kit.Catalog),
                scene._targets,
                [],
                alerts: true,
                ["--environment", "production", "--production", "--replicas", "1"]
            );
            return scene;
        }

        public void ForgetUnknown() => Stack.Watch(_targets);

        public Task<string?> StateOfAsync(string alert, string instance, string environment = "dev") =>
            Stack.StateOfAsync(
                new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    ["alertname"] = alert,
                    ["instance"] = instance,
                    ["system"] = "phonebill",
                    ["environment"] = environment,
                    [alert.StartsWith("Onggi", StringComparison.Ordinal) ? "follows" : "is"] = "redis",
                    ["severity"] = "warning",
                    [Made] = "by the test",
                }
            );

        /// <summary>Waits until it is told, with those words.</summary>
        public async Task FiresAsync(string alert, string? instance, params string[] words)
        {
            await Until.TrueAsync(
                () => Find(alert, instance, isFiring: true) is not null,
                $"{alert} of {instance} fires; {Story()}",
                Bound
            );
            var told = Find(alert, instance, isFiring: true)!.Annotations["description"];
            foreach (var word in words)
                Assert.Contains(word, told, StringComparison.Ordinal);
        }

        /// <summary>Waits until it is told that they are over.</summary>
        public async Task IsOverAsync(string? instance, params string[] alerts)
        {
            foreach (var alert in alerts)
                await Until.TrueAsync(
                    () => Last(alert, instance) is { IsFiring: false },
                    $"{alert} of {instance} is over; {Story()}",
                    Bound
                );
        }

        // Others were refused on purpose. That the log would tell is seen from one who is refused at the end.
        public async Task ExporterWasNeverRefusedAsync(string password)
        {
            foreach (var name in _servers.Keys)
                Assert.False(await WasRefusedAsync(name), $"{name} refused the exporter.");
            using var exporter = await RawRedis.ConnectAsync(_servers["healthy"].Port, "exporter", password);
            await Assert.ThrowsAsync<InvalidOperationException>(() => exporter.CommandAsync("GET", "something"));
            Assert.True(await WasRefusedAsync("healthy"));
        }

        private async Task<bool> WasRefusedAsync(string name) =>
            (await TeamRedis.BreakAsync(_servers[name], "ACL", "LOG", "128"))!.Contains("\nexporter\n", StringComparison.Ordinal);

        public ValueTask DisposeAsync() => Stack.DisposeAsync();

        private async Task AddAsync(TeamRedis team, string name, string tier = "all", params string[] flags)
        {
            _servers[name] = await team.StartAsync(flags);
            _targets.Add((name, _servers[name].Port.ToString(CultureInfo.InvariantCulture), tier));
        }

        private ToldAlert? Find(string alert, string? instance, bool isFiring) =>
            Told.FirstOrDefault(told => told.IsFiring == isFiring && told.Name == alert && (instance is null || told.Instance == instance));

        private ToldAlert? Last(string alert, string? instance) =>
            Told.LastOrDefault(told => told.Name == alert && (instance is null || told.Instance == instance));

        private string Story() =>
            $"after {_clock.Elapsed.TotalSeconds:0.0} s there was told: {string.Join(", ", Told.Select(told => $"{(told.IsFiring ? "+" : "-")}{told.Name} {told.Instance}").Distinct())}";
    }
}

/// <summary>Not side by side with each other: each has a Prometheus that must keep up.</summary>
[CollectionDefinition(LiveAlertTests.Live, DisableParallelization = true)]
public sealed class LiveMonitoring;
