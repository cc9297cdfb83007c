using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Onggi.Testing;

namespace Onggi.Benchmarks.Coherence;

/// <summary>Some nodes of one service with one Redis and one source, as the bench sees them: a server, a proxy for each node, the shared truth, and the strangers.</summary>
internal sealed class Fleet : IAsyncDisposable
{
    private readonly string[] _names = BenchKeys.WireNames();
    private readonly Observed _strangersFast = new();
    private readonly Observed _strangersStrict = new();
    private readonly SemaphoreSlim _one = new(1, 1);

    private Fleet(int number, Scenario scenario, int nodes, RedisServerProcess server, Truth truth, string path)
    {
        Number = number;
        Scenario = scenario;
        Nodes = nodes;
        Server = server;
        Truth = truth;
        TruthPath = path;
        Proxies = [.. Enumerable.Range(0, nodes).Select(_ => new NodeProxy(server.Port))];
    }

    public int Number { get; }

    public Scenario Scenario { get; }

    public int Nodes { get; }

    public RedisServerProcess Server { get; }

    public Truth Truth { get; }

    public string TruthPath { get; }

    public IReadOnlyList<NodeProxy> Proxies { get; }

    /// <summary>The processes of its nodes, which other fleets may share.</summary>
    public IReadOnlyList<WorkerProcess> Workers { get; set; } = [];

    /// <summary>What all its nodes saw, once they have reported.</summary>
    public List<NodeReport> Reports { get; } = [];

    public static async Task<Fleet> StartAsync(
        int number,
        Scenario scenario,
        int nodes,
        TimeSpan longest,
        CancellationToken cancellationToken
    )
    {
        var server = await RedisServerProcess.StartAsync(new RedisServerSettings(), cancellationToken);
        // In the server's own directory, which goes with the server, however we end.
        var path = Path.Combine(server.Directory, "truth");
        return new Fleet(number, scenario, nodes, server, Truth.Create(path, Schedule.Keys, Schedule.VersionsIn(longest)), path);
    }

    public NodePlan PlanOf(int node) =>
        new(Number, node, Nodes, Proxies[node].Port, TruthPath, Scenario.Subject, Scenario.IsSlow, Scenario.Strangers);

    /// <summary>Makes the strangers' writes of the plan, with the plainest of clients and past the proxies.</summary>
    public async Task WriteAsStrangersAsync(int seed, TimeSpan writes, TimeSpan longest, CancellationToken stop)
    {
        if (Scenario.Strangers == Strangers.None)
            return;
        using var redis = await RawRedis.ConnectAsync(Server.Port, null, stop);
        var began = Stopwatch.GetTimestamp();
        var running = new List<Task>();
        var plan = Schedule.Of(seed, Number, Nodes, Scenario.Strangers, longest).Where(write => write.Node < 0 && write.At < writes);
        foreach (var write in plan)
        {
            var due = write.At - Stopwatch.GetElapsedTime(began);
            if (due > TimeSpan.Zero)
                await Task.Delay(due, stop);
            running.Add(WriteAsStrangerAsync(redis, write.Key, stop));
        }

        await Task.WhenAll(running);
    }

    /// <summary>Everything that was seen of the keys of a strength, the strangers' writes and what Redis itself still holds included.</summary>
    public Observed Sum(Strength strength)
    {
        var sum = new Observed();
        sum.Add(strength == Strength.Fast ? _strangersFast : _strangersStrict);
        foreach (var report in Reports)
            sum.Add(strength == Strength.Fast ? report.Fast : report.Strict);
        return sum;
    }

    /// <summary>Looks into Redis itself, after all has ended: a value there that is older than what was invalidated will come back to every node.</summary>
    public async Task LookIntoRedisAsync(CancellationToken cancellationToken)
    {
        using var redis = await RawRedis.ConnectAsync(Server.Port, null, cancellationToken);
        for (var key = 0; key < Schedule.Keys; key++)
        {
            var json = await redis.CommandAsync(["GET", _names[key]], cancellationToken);
            if (json is not null && JsonSerializer.Deserialize(json, CoherenceJson.Default.Item)!.Version < Truth.Floor(key))
                OfStrangers(key).Left++;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var proxy in Proxies)
            await proxy.DisposeAsync();
        await Server.DisposeAsync();
        Truth.Dispose();
        _one.Dispose();
    }

    private Observed OfStrangers(int key) => Schedule.StrengthOf(key) == Strength.Fast ? _strangersFast : _strangersStrict;

    private async Task WriteAsStrangerAsync(RawRedis redis, int key, CancellationToken stop)
    {
        // One after the other: who puts values must put them in the order of their commits.
        long version;
        await _one.WaitAsync(stop);
        try
        {
            version = Truth.Commit(key);
            await redis.CommandAsync(CommandFor(key, version), stop);
        }
        finally
        {
            _one.Release();
        }

        // A stranger has no call that waits for all memories; it waits out the bound, as that call does.
        if (Schedule.StrengthOf(key) == Strength.Strict)
            await Task.Delay((OnggiSubject.MaxStaleness * 1.002) + TimeSpan.FromMilliseconds(2), stop);
        Truth.Acknowledge(key, version, Stopwatch.GetTimestamp());
        lock (_strangersFast)
            OfStrangers(key).Writes++;
    }

    private string[] CommandFor(int key, long version)
    {
        var name = _names[key];
        if (Scenario.Strangers == Coherence.Strangers.BareDelete)
            return ["DEL", name];
        if (!Schedule.IsPut(key, Scenario.Strangers))
            return ["UNLINK", name, BenchKeys.LeaseOf(name)];
        var json = string.Create(CultureInfo.InvariantCulture, $"{{\"key\":{key},\"version\":{version}}}");
        return version % 2 == 0 ? ["SET", name, json] : ["SET", name, json, "PX", "20000"];
    }
}
