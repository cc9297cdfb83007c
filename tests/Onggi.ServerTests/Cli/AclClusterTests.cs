using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Events;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>Services that do on a cluster all that the library does, as the users that <c>onggi acl</c> makes for them.</summary>
public sealed class AclClusterTests : IAsyncLifetime
{
    // So many that all three primaries have some of each.
    private const int Things = 8;

    private const string Catalog = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "orders": {}, "front": {} },
          "events": {
            "stock.changed": { "payload": "Onggi.ServerTests.Events.UserUpdated", "publishers": ["orders"], "keys": { "page": { "id": "data.userId" } } },
            "order.placed": { "payload": "Onggi.ServerTests.Events.UserUpdated", "publishers": ["front"], "delivery": "atLeastOnce" }
          },
          "families": {
            "run": { "key": "locks:run:{id}", "kind": "lock", "ttl": "30s" },
            "own": { "key": "locks:own:{id}", "kind": "lock", "ttl": "30s", "owner": "orders" },
            "calls": { "key": "rate_limit:calls:{id}", "kind": "limit", "ttl": "1m" },
            "jobs": { "key": "rate_limit:jobs:{id}", "kind": "limit", "ttl": "1m" },
            "page": { "key": "page:{id}", "value": "Onggi.ServerTests.Events.User", "owner": "front", "invalidatedBy": ["stock.changed"] },
            "session": { "key": "front:session:{sessionId}", "kind": "session", "owner": "front", "idle": "30m", "absolute": "24h" }
          }
        }
        """;

    private static readonly EventType<UserUpdated> StockChanged = new("stock.changed");
    private static readonly EventType<UserUpdated> OrderPlaced = new("order.placed");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-acl-tests");
    private RedisClusterProcesses _cluster = null!;

    private string CatalogFile => Path.Combine(_folder.FullName, "keyspace.json");

    private string SecretsFolder => Path.Combine(_folder.FullName, "secrets");

    public async Task InitializeAsync()
    {
        await File.WriteAllTextAsync(CatalogFile, Catalog);
        _cluster = await RedisClusterProcesses.StartAsync(primaries: 3, replicas: 1);
        var file = Path.Combine(_folder.FullName, "users.acl");
        var made = await ToolRun.OfAsync("acl", "file", "--catalog", CatalogFile, "--secrets", SecretsFolder, "--out", file);
        Assert.Equal((0, ""), (made.Code, made.Error));
        // All but the one that nobody may be: the test itself looks into the servers.
        foreach (
            var user in (await File.ReadAllLinesAsync(file)).Where(static line =>
                !line.StartsWith("user default ", StringComparison.Ordinal)
            )
        )
        {
            var words = user.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is not ["user", ..])
                continue;
            foreach (var node in _cluster.Nodes)
                Assert.Equal("OK", await node.CommandAsync(["ACL", "SETUSER", .. words[1..]]));
        }
    }

    public async Task DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task The_generated_users_are_enough_for_all_that_services_do_and_not_for_more()
    {
        await using var orders = await StartAsync("orders");
        await using var front = await StartAsync("front");

        await LockAsync(orders, front);
        await LimitAsync(orders, front);
        await TellAsync(orders, front);
        await StreamAsync(orders, front);
        await BatchAsync(front);
        await SignInAsync(front);

        // Whatever was refused, on whichever server, would be here: a refusal that somebody hides, too.
        Assert.Equal("", await RefusalsAsync());
        var refused = await front.Keyspace.Locks.TryAcquireAsync(Lock("own", 1)).FailsWith<Onggi.Locks.LockLease?, RedisServerException>();
        Assert.Equal("NOPERM", refused.Code);
        Assert.Contains("front", await RefusalsAsync(), StringComparison.Ordinal);
    }

    private async Task<string> RefusalsAsync() =>
        string.Concat(await Task.WhenAll(_cluster.Nodes.Select(static node => node.CommandAsync("ACL", "LOG"))));

    // Taken, waited for, given back to who waits, written under.
    private static async Task LockAsync(ServiceHost orders, ServiceHost front)
    {
        for (var i = 0; i < Things; i++)
        {
            var lease = await orders.Keyspace.Locks.AcquireAsync(Lock("run", i)).AsTask().Within();
            var waiting = front.Keyspace.Locks.AcquireAsync(Lock("run", i)).AsTask();
            await Until.TrueAsync(() => Task.FromResult(front.Keyspace.Locks.IsAsleep(Lock("run", i))), "it waits, and listens");
            Assert.True(await lease.ReleaseAsync());
            // Far less than the lease of 30 s: it was woken.
            await using var next = await waiting.Within();
            Assert.True(next.Fence > lease.Fence);
            Assert.True(await front.Keyspace.Locks.Guard.SetAsync(Page(i).Entry, """{"userId":"1","name":"x"}"""u8.ToArray(), next.Fence));
            Assert.False(await front.Keyspace.Locks.Guard.RemoveAsync(Page(i).Entry, lease.Fence));
            Assert.True(await front.Keyspace.Locks.Guard.CheckAsync(Lock("run", i).Entry, next.Fence));
        }
    }

    private static async Task LimitAsync(ServiceHost orders, ServiceHost front)
    {
        for (var i = 0; i < Things; i++)
        {
            var taken = await front.Keyspace.Limits.TakeAsync(Limit("calls", i));
            Assert.Equal((true, DecisionSource.Redis), (taken.Allowed, taken.Source));
            var denied = await orders.Keyspace.Limits.PeekAsync(Limit("calls", i));
            Assert.Equal((false, DecisionSource.Redis), (denied.Allowed, denied.Source));
            Assert.True(await front.Keyspace.Limits.RefundAsync(Limit("calls", i), taken));
            await using var place = await front.Keyspace.Limits.EnterAsync(Limit("jobs", i));
            Assert.Equal((true, DecisionSource.Redis), (place.Decision.Allowed, place.Decision.Source));
            await using var none = await orders.Keyspace.Limits.EnterAsync(Limit("jobs", i));
            Assert.Equal((false, DecisionSource.Redis), (none.Decision.Allowed, none.Decision.Source));
        }
    }

    // On channels of slots; what the event makes untrue is another service's.
    private static async Task TellAsync(ServiceHost orders, ServiceHost front)
    {
        await front.Cache.SetAsync(Page(1), new User("1", "old"));
        var heard = new TaskCompletionSource<Event<UserUpdated>>();
        await using var subscription = await front.Events.SubscribeAsync(
            StockChanged,
            (one, _) =>
            {
                heard.TrySetResult(one);
                return ValueTask.CompletedTask;
            }
        );

        var receipt = await orders.Events.PublishAsync(StockChanged, new UserUpdated("1", "new"));

        Assert.Equal(receipt.Id, (await heard.Task.Within()).Id);
        Assert.True(receipt.IsKept);
        Assert.False((await front.Cache.GetAsync(Page(1))).Found);
        Assert.Equal(receipt.Id, (await front.Events.ReadRecentAsync(StockChanged).SingleAsync()).Id);
    }

    // Handled, tried again, put into quarantine and taken out of it, trimmed.
    private static async Task StreamAsync(ServiceHost orders, ServiceHost front)
    {
        var (isGood, done) = (false, new TaskCompletionSource());
        await using var subscription = await orders.Events.SubscribeAsync(
            OrderPlaced,
            async (one, stop) =>
            {
                if (one.Data!.UserId == "bad" && !isGood)
                    throw new InvalidOperationException("No.");
                Assert.True(await one.Delivery!.TryMarkAsync(stop));
                if (one.Data.UserId == "bad")
                    done.TrySetResult();
            }
        );
        foreach (var id in (string[])["good", "bad"])
            await front.Events.PublishAsync(OrderPlaced, new UserUpdated(id, ""));
        var streams = orders.Events.Streams;

        await Until.TrueAsync(async () => (await streams.QuarantineAsync(OrderPlaced.Name)).Count == 1, "it is in quarantine");
        isGood = true;
        Assert.Equal(1, await streams.RedriveAsync(OrderPlaced.Name));
        await done.Task.Within();
        await Until.TrueAsync(async () => (await streams.GroupsAsync(OrderPlaced.Name)).Single().Pending == 0, "all is settled");
        await streams.TrimAsync(OrderPlaced.Name);
    }

    private static async Task BatchAsync(ServiceHost front)
    {
        var sets = front.Keyspace.Batch();
        for (var i = 0; i < Things; i++)
            sets.Set(Page(i), new User($"{i}", "x"));
        (await sets.SendAsync()).ThrowIfFailed();
        var rest = front.Keyspace.Batch();
        rest.Get(Page(0));
        rest.Expire(Page(1));
        for (var i = 2; i < Things; i++)
            rest.Delete(Page(i));
        (await rest.SendAsync()).ThrowIfFailed();
        var atomic = front.Keyspace.AtomicBatch();
        atomic.Set(Page(0), new User("0", "y"));
        (await atomic.SendAsync()).ThrowIfFailed();
    }

    // WAIT asks behind the script whether a replica has it.
    private static async Task SignInAsync(ServiceHost front)
    {
        for (var i = 0; i < Things; i++)
        {
            var made = await front.Keyspace.Sessions.CreateAsync($"user-{i}");
            Assert.Equal(1, made.Replicas);
            Assert.NotNull(await front.Keyspace.Sessions.ValidateAsync(made.Id));
        }
    }

    private static LockKey Lock(string family, int id) => new(Entry(family, id));

    private static LimitKey Limit(string family, int id) => new(Entry(family, id));

    private static CacheKey<User> Page(int id) => new(Entry("page", id));

    private static EntryKey Entry(string family, int id) => new(new KeyFamily(family, "id"), $"{id}");

    private async Task<ServiceHost> StartAsync(string service)
    {
        var password = await File.ReadAllTextAsync(Path.Combine(SecretsFolder, service));
        return await ServiceHost.StartAsync(
            $"{_cluster.ConnectionString},user={service},password={password}",
            service,
            options =>
            {
                options.Catalog = Catalog;
                options.CommandTimeout = options.ConnectTimeout = TimeSpan.FromSeconds(15);
                options.Events.Streams.MaxAttempts = 2;
                options.Events.Streams.RetryDelay = TimeSpan.FromMilliseconds(50);
                options.Sessions.Replicas = 1;
                options.Sessions.ReplicaTimeout = TimeSpan.FromSeconds(15);
                options
                    .Limits.ForFamily("calls", policy => Patient(policy).With(LimitRule.Even(1, TimeSpan.FromMinutes(1))))
                    .ForFamily("jobs", policy => Patient(policy).With(LimitRule.Concurrent(1)));
            }
        );
    }

    private static LimitPolicy Patient(LimitPolicy policy)
    {
        (policy.Timeout, policy.FailMode) = (TimeSpan.FromSeconds(15), FailMode.Closed);
        return policy;
    }
}
