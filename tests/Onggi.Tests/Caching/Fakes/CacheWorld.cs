using System.Diagnostics.Metrics;
using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Keys;
using Onggi.Testing;
using Onggi.Tests.Events;

namespace Onggi.Tests.Caching;

/// <summary>Some nodes on one fake Redis, all on one thread: nothing happens but what the test lets happen, so a run can be repeated step by step.</summary>
/// <remarks>It flips static switches, so only tests of <see cref="SwitchedMutants"/> may use it.</remarks>
internal sealed class CacheWorld
{
    private const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "defaults": { "ttl": "60s", "jitter": "0%", "negativeTtl": "20s" },
          "services": { "shop": {} },
          "families": {
            "text": { "key": "text:{id}", "kind": "cache", "value": "string" },
            "graced": { "key": "graced:{id}", "kind": "cache", "ttl": "60s", "grace": "60s", "value": "string" },
            "number": { "key": "number:{id}", "kind": "cache", "value": "int" },
            "short": { "key": "short:{id}", "kind": "cache", "ttl": "1s", "grace": "1s", "value": "int" }
          }
        }
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly Keyspace Keys = Keyspace.Load(CatalogJson, service: "shop");
    private static readonly KeyFamily GracedFamily = new("graced", "id");
    private static readonly KeyFamily ShortFamily = new("short", "id");

    private readonly List<WorldNode> _nodes = [];

    private CacheWorld() => Server = new FakeServer(Time);

    public ManualTimeProvider Time { get; } = new();

    public FakeServer Server { get; }

    public IReadOnlyList<WorldNode> Nodes => _nodes;

    public long Now => (long)(Time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalMilliseconds;

    public static CacheKey<string> Graced(string id) => new(new EntryKey(GracedFamily, id));

    /// <summary>A number whose life is over soon, and its grace soon after.</summary>
    public static CacheKey<int> Short(string id) => new(new EntryKey(ShortFamily, id));

    /// <summary>Runs a test on a thread of its own, which has no context to go back to, and puts the switches back.</summary>
    public static void Run(Action<CacheWorld> test)
    {
        ExceptionDispatchInfo? failure = null;
        CacheWorld? world = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    Rt.Signals = TaskCreationOptions.None;
                    world = new CacheWorld();
                    test(world);
                    Assert.All(world._nodes, static node => Assert.True(node.Store.Foreign is null, node.Store.Foreign));
                }
                catch (Exception error)
                {
                    failure = ExceptionDispatchInfo.Capture(error);
                }
                finally
                {
                    Rt.Signals = TaskCreationOptions.RunContinuationsAsynchronously;
                    TurnMutantsOff();
                    // What is measured is reachable from the runtime's own list.
                    foreach (var node in world?._nodes ?? [])
                        node.Meters.Dispose();
                }
            },
            maxStackSize: 64 << 20
        )
        {
            IsBackground = true,
        };
        thread.Start();
        Assert.True(thread.Join(Patience), "The test does not end.");
        failure?.Throw();
    }

    public WorldNode AddNode(Action<CacheOptions>? configure = null)
    {
        var options = new CacheOptions { StalenessSamplesPerSecond = 0 };
        configure?.Invoke(options);
        var node = new WorldNode(this, Keys, options);
        _nodes.Add(node);
        node.Start();
        Settle();
        return node;
    }

    /// <summary>Lets everything happen that can, but for nodes that are paused, until nothing is left to do.</summary>
    public void Settle()
    {
        while (_nodes.Exists(static node => node.Step())) { }
    }

    /// <summary>Lets time pass, and all that can happen meanwhile.</summary>
    public void Pass(int milliseconds)
    {
        for (var left = milliseconds; left > 0; left -= 10)
        {
            Time.Advance(TimeSpan.FromMilliseconds(Math.Min(10, left)));
            Settle();
        }
    }

    /// <summary>Lets time pass and nothing else happen but what is due by the clock.</summary>
    public void Wait(int milliseconds) => Time.Advance(TimeSpan.FromMilliseconds(milliseconds));

    private static void TurnMutantsOff()
    {
        CoherenceMutants.EntryFirst = CoherenceMutants.NoProof = CoherenceMutants.NoFlush = CoherenceMutants.ProofReceived = false;
        CoherenceMutants.NoLease = CoherenceMutants.LeaseStays = CoherenceMutants.TokenReuse = CoherenceMutants.LateInsert = false;
        CoherenceMutants.JoinAny = CoherenceMutants.NoWait = CoherenceMutants.FailoverValue = CoherenceMutants.FailoverLease = false;
        CoherenceMutants.NoLoop = CoherenceMutants.FillAnywhere = CoherenceMutants.RenewBlind = false;
        CoherenceMutants.TornSlot = CoherenceMutants.SlotStays = false;
        Interleave.Hook = null;
    }
}

/// <summary>One node of the world.</summary>
internal sealed class WorldNode
{
    public WorldNode(CacheWorld world, Keyspace keys, CacheOptions options)
    {
        Time = new PausableTime(world.Time);
        Store = new FakeStore(world.Server, Time)
        {
            OnlyThread = Environment.CurrentManagedThreadId,
            HoldsRequests = true,
            HoldsReplies = true,
            Continuations = [],
        };
        Cache = new OnggiCache(
            Store,
            keys,
            options,
            CacheTestJson.Default,
            new FakeEvents(),
            new FakeEvents(),
            Meters,
            new Logger<OnggiCache>(Log),
            Time,
            new TimeProviderClock(Time)
        );
    }

    public PausableTime Time { get; }

    public FakeStore Store { get; }

    public OnggiCache Cache { get; }

    public LogLines Log { get; } = new();

    public MeterList Meters { get; } = new();

    /// <summary>Whether the process stands still, or its connection does: nothing is executed for it, nothing read.</summary>
    public bool IsPaused { get; set; }

    public void Start() => Cache.Link.Start();

    /// <summary>Does one thing of each kind that can be done; whether there was one.</summary>
    public bool Step()
    {
        if (IsPaused)
            return false;
        var did = Store.ExecuteNext();
        did |= Store.ReadNext();
        return GoOn(0) || did;
    }

    /// <summary>Lets one of those go on whose answer has been read.</summary>
    public bool GoOn(int which)
    {
        var waiting = Store.Continuations!;
        if (waiting.Count == 0)
            return false;
        var next = waiting[which % waiting.Count];
        waiting.Remove(next);
        next();
        return true;
    }

    public Task<string?> Load(string id, Func<LoadContext, ValueTask<string?>> loader, CancellationToken cancellationToken = default) =>
        Cache.GetOrLoadAsync(TestKeys.Text(id), loader, cancellationToken).AsTask();

    public Task<CacheResult<string>> LoadGraced(string id, Func<LoadContext, ValueTask<string?>> loader) =>
        Cache.GetOrLoadResultAsync(CacheWorld.Graced(id), loader).AsTask();

    public Task<CacheResult<string>> Get(string id) => Cache.GetAsync(TestKeys.Text(id)).AsTask();

    public Task Invalidate(string id, Invalidation strength = Invalidation.Fast) =>
        Cache.InvalidateAsync(TestKeys.Text(id), strength).AsTask();

    /// <summary>What memory says; <c>null</c> when it may not answer.</summary>
    public string? Peek(string id) => Cache.TryPeek(TestKeys.Text(id), out var result) ? result.Value : null;

    /// <summary>Meters that end with the world.</summary>
    public sealed class MeterList : IMeterFactory
    {
        private readonly List<Meter> _meters = [];

        public Meter Create(MeterOptions options)
        {
            var meter = new Meter(options);
            _meters.Add(meter);
            return meter;
        }

        public void Dispose() => _meters.ForEach(static meter => meter.Dispose());
    }
}

/// <summary>The world's clock as one node has it: while the node is frozen its timers do not fire, and then all do.</summary>
internal sealed class PausableTime(TimeProvider time) : TimeProvider
{
    private readonly List<Action> _late = [];

    public bool IsFrozen { get; private set; }

    public override long TimestampFrequency => time.TimestampFrequency;

    public override long GetTimestamp() => time.GetTimestamp();

    public override DateTimeOffset GetUtcNow() => time.GetUtcNow();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        return time.CreateTimer(Fire, state, dueTime, period);

        void Fire(object? given)
        {
            if (IsFrozen)
                _late.Add(() => callback(given));
            else
                callback(given);
        }
    }

    public void Freeze() => IsFrozen = true;

    public void Thaw()
    {
        IsFrozen = false;
        Action[] late = [.. _late];
        _late.Clear();
        foreach (var fire in late)
            fire();
    }
}
