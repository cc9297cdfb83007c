using System.Globalization;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

/// <summary>One random life of three nodes on one fake Redis: what is asked, what arrives when, and what breaks is drawn from the seed, and a run can be repeated.</summary>
/// <remarks>
/// What is checked is what a client can see, by the words of the promises. A source holds a version for each key; a writer raises it, and then invalidates.
/// <list type="bullet">
/// <item>G1: no value that a loader began to read before an invalidation was acknowledged is stored after that.</item>
/// <item>G2: no reader that begins more than the bound after an invalidation was executed is given what was before it; none whom Redis answers after it was acknowledged.</item>
/// <item>G3: no reader that begins after a strict invalidation has returned is given what was before it.</item>
/// </list>
/// Over a failover they are checked only where all families are strict about it.
/// </remarks>
internal sealed class CacheSimulation
{
    private const int Keys = 2;
    private const int BoundMs = 500;
    private const int Steps = 1500;

    private readonly CacheWorld _world;
    private readonly Random _random;
    private readonly bool _failsOver;
    private readonly int _faults;
    private readonly int _writes;
    private readonly int _slowLoads;
    private readonly int _progress;
    private readonly int _longest;
    private readonly int[] _version = new int[Keys];

    // By key: when which version's invalidation was executed, acknowledged, and strictly done.
    private readonly List<(int Version, long At)>[] _executed = Lists();
    private readonly List<(int Version, long At)>[] _acknowledged = Lists();
    private readonly List<(int Version, long At)>[] _strict = Lists();
    private readonly List<Loading> _loadings = [];
    private readonly int[] _pausedUntil = new int[3];
    private readonly int[] _stalledUntil = [int.MaxValue, int.MaxValue, int.MaxValue];
    private object? _replica;
    private readonly List<string> _open = [];
    private readonly List<string> _trace = [];
    private int _step;

    private CacheSimulation(CacheWorld world, int seed, bool failsOver)
    {
        _world = world;
        _random = new Random(seed);
        _failsOver = failsOver;
        // What is frequent differs from seed to seed: some mistakes show only where little else happens.
        _faults = _random.Next(3) switch
        {
            0 => 0,
            1 => 5,
            _ => 25,
        };
        _writes = 4 + _random.Next(30);
        _slowLoads = _random.Next(60);
        _progress = 60 + _random.Next(35);
        _longest = _random.Next(3) switch
        {
            0 => 20,
            1 => 150,
            _ => 400,
        };
    }

    /// <summary>What broke a promise; <c>null</c> for nothing.</summary>
    public string? Violation { get; private set; }

    /// <summary>What was done last, step by step.</summary>
    public string Trace => string.Join('\n', _trace.TakeLast(400));

    public int Reads { get; private set; }

    public int MemoryReads { get; private set; }

    public int Writes { get; private set; }

    private sealed class Loading(int key, int version, TaskCompletionSource<int> end)
    {
        public int Key => key;

        public int Version => version;

        public void End() => end.TrySetResult(version);
    }

    /// <summary>Runs one seed on the thread of a world.</summary>
    public static CacheSimulation Run(CacheWorld world, int seed, bool failsOver = false)
    {
        var simulation = new CacheSimulation(world, seed, failsOver);
        simulation.Run();
        return simulation;
    }

    private void Run()
    {
        for (var i = 0; i < 3; i++)
        {
            _world.AddNode(options =>
            {
                if (_failsOver)
                    (options.Defaults.FailoverSafety, options.ClockSkew) = (FailoverSafety.Strict, TimeSpan.FromMilliseconds(50));
                options.Defaults.ReadMode = _random.Next(3) switch
                {
                    0 => ReadMode.Plain,
                    1 => ReadMode.Lease,
                    _ => ReadMode.Auto,
                };
            });
        }

        _world.Server.Stored = OnStored;
        for (_step = 0; _step < Steps && Violation is null; _step++)
            Step();
        Drain();
    }

    private void Step()
    {
        for (var i = 0; i < _world.Nodes.Count; i++)
        {
            var node = _world.Nodes[i];
            if (node.IsPaused && _step >= _pausedUntil[i])
            {
                node.Time.Thaw();
                node.IsPaused = false;
            }

            if (_step >= _stalledUntil[i])
            {
                _stalledUntil[i] = int.MaxValue;
                node.Store.Reconnect();
            }
        }

        var drawn = _random.Next(1000);
        if (drawn < _writes)
            Write();
        else if (drawn < 250)
            Read();
        else if (drawn < 250 + _faults)
            Fault();
        else if (drawn < 370)
            _world.Wait(1 + _random.Next(_random.Next(8) == 0 ? _longest : 10));
        else if (drawn < 420)
            EndLoading();
        else
        {
            for (var left = 1 + _random.Next(4); left > 0; left--)
                Progress();
        }
    }

    private void Progress()
    {
        var node = _world.Nodes[_random.Next(_world.Nodes.Count)];
        if (node.IsPaused || _random.Next(100) >= _progress)
            return;
        var what = _random.Next(3);
        Tell($"{(what == 0 ? "executes" : what == 1 ? "reads" : "goes on")} {node.Store.NextText(what)}", node);
        switch (what)
        {
            case 0:
                node.Store.ExecuteNext();
                break;
            case 1:
                node.Store.ReadNext();
                break;
            default:
                node.GoOn(_random.Next(8));
                break;
        }
    }

    private void Read()
    {
        var node = Running();
        if (node is null)
            return;
        var key = _random.Next(Keys);
        // Somebody loads anew what has not changed.
        if (_random.Next(12) == 0)
            _ = CallAsync($"refresh of {key}", () => node.Cache.RefreshAsync(Name(key), _ => LoadAsync(key)).AsTask());
        else
            _ = ObserveAsync(node, key);
    }

    private async Task ObserveAsync(WorldNode node, int key)
    {
        var began = _world.Now;
        var (bySelf, strict) = (Newest(_executed[key], began - BoundMs), Newest(_strict[key], began));
        var acknowledged = Newest(_acknowledged[key], began);
        var isPlain = _random.Next(4) == 0;
        await CallAsync(
            $"read of {key}, plain {isPlain}",
            async () =>
            {
                var result = isPlain
                    ? await node.Cache.GetAsync(Name(key))
                    : await node.Cache.GetOrLoadResultAsync(Name(key), _ => LoadAsync(key));
                if (!result.Found)
                    return;
                Reads++;
                if (result.Tier == CacheTier.Memory)
                    MemoryReads++;
                var read = $"read version {result.Value} of {key} by {result.Tier}, begun {began}";
                Check(result.Value >= bySelf, $"G2: {read}; {bySelf} was invalidated longer ago than the bound");
                Check(result.Value >= strict, $"G3: {read}; the strict invalidation of {strict} had returned");
                // What Redis answers is never old; a load that was joined may be by the bound.
                if (isPlain && result.Tier == CacheTier.Redis)
                    Check(result.Value >= acknowledged, $"G2: {read}; {acknowledged} was acknowledged");
            }
        );
    }

    // A call of somebody who can bear Redis's troubles.
    private async Task CallAsync(string what, Func<Task> call)
    {
        var entry = $"{what} in step {_step}";
        _open.Add(entry);
        _trace.Add($"{_world.Now} {entry}");
        try
        {
            await call();
        }
        catch (Exception error) when (error is RedisException or LoadTimeoutException or OperationCanceledException) { }
        catch (Exception error)
        {
            Violation ??= $"in step {_step}: {error}";
        }
        finally
        {
            _open.Remove(entry);
            _trace.Add($"{_world.Now} step {_step}: ended {entry}");
        }
    }

    private ValueTask<int> LoadAsync(int key)
    {
        var version = _version[key];
        if (_random.Next(100) >= _slowLoads)
            return new(version);
        var end = new TaskCompletionSource<int>(Rt.Signals);
        _loadings.Add(new Loading(key, version, end));
        return new(end.Task);
    }

    private void EndLoading()
    {
        if (_loadings.Count == 0)
            return;
        var loading = _loadings[_random.Next(_loadings.Count)];
        _loadings.Remove(loading);
        loading.End();
    }

    private void Write()
    {
        var node = Running();
        if (node is null)
            return;
        var key = _random.Next(Keys);
        // The commit.
        var version = ++_version[key];
        Writes++;
        if (_random.Next(5) == 0)
        {
            // A program in another language.
            _world.Server.Remove(WireName(key), "{" + WireName(key) + "}:l");
            _executed[key].Add((version, _world.Now));
            _acknowledged[key].Add((version, _world.Now));
            return;
        }

        _ = Invalidate(node, key, version, _random.Next(4) == 0 ? Invalidation.Strict : Invalidation.Fast);
    }

    private Task Invalidate(WorldNode node, int key, int version, Invalidation strength) =>
        CallAsync(
            $"{strength} invalidation of {key}",
            async () =>
            {
                await node.Cache.InvalidateAsync(Name(key), strength);
                Acknowledged(key, version);
                if (strength == Invalidation.Strict)
                    _strict[key].Add((version, _world.Now));
            }
        );

    // It was executed some time before; that it was by now is what is known.
    private void Acknowledged(int key, int version)
    {
        _executed[key].Add((version, _world.Now));
        _acknowledged[key].Add((version, _world.Now));
    }

    private void OnStored(string name, string json)
    {
        for (var key = 0; key < Keys; key++)
        {
            if (name != WireName(key))
                continue;
            var version = int.Parse(json, CultureInfo.InvariantCulture);
            var oldest = Newest(_acknowledged[key], _world.Now);
            Check(version >= oldest, $"G1: version {version} of {key} stored; {oldest} was acknowledged");
        }
    }

    private void Fault()
    {
        var at = _random.Next(_world.Nodes.Count);
        var node = _world.Nodes[at];
        var what = _random.Next(_failsOver ? 9 : 7);
        Tell($"fault {what}", node);
        switch (what)
        {
            case 0:
                // The next connection takes a while.
                node.Store.Break();
                _stalledUntil[at] = _step + _random.Next(80);
                break;
            case 1:
                // Half open: nobody tells the node, until it gives up by itself.
                node.Store.Stall();
                _stalledUntil[at] = _step + _random.Next(200);
                break;
            case 2 or 3:
                node.IsPaused = true;
                if (_random.Next(2) == 0)
                    node.Time.Freeze();
                _pausedUntil[at] = _step + _random.Next(150);
                break;
            case 4:
                _world.Server.Evict(WireName(_random.Next(Keys)));
                break;
            case 5:
                _world.Server.Evict("{" + WireName(_random.Next(Keys)) + "}:l");
                break;
            case 6:
                _world.Server.IsFull = !_world.Server.IsFull;
                break;
            case 7:
                _replica = _world.Server.Snapshot();
                break;
            default:
                FailOver();
                break;
        }
    }

    private void FailOver()
    {
        if (_replica is not { } replica)
            return;
        _replica = null;
        _world.Server.BeginNewLife(replica);
        foreach (var node in _world.Nodes)
            node.Store.Connect();
    }

    private void Drain()
    {
        foreach (var node in _world.Nodes)
        {
            node.Time.Thaw();
            node.IsPaused = false;
        }

        _world.Server.IsFull = false;
        foreach (var node in _world.Nodes)
            node.Store.Reconnect();
        // By now each wait has an end.
        for (var passed = 0; _open.Count > 0 && Violation is null && passed < 20_000; passed += 100)
        {
            while (_loadings.Count > 0)
                EndLoading();
            _world.Pass(100);
        }

        Check(_open.Count == 0, $"not ended: {string.Join(", ", _open)}");
    }

    private void Tell(string what, WorldNode node)
    {
        if (Array.IndexOf([.. _world.Nodes], node) is var at)
            _trace.Add($"{_world.Now} step {_step}: node {at} {what}");
    }

    private WorldNode? Running()
    {
        var node = _world.Nodes[_random.Next(_world.Nodes.Count)];
        return node.IsPaused ? null : node;
    }

    private void Check(bool holds, string what)
    {
        if (!holds)
            Violation ??= $"{what}, at {_world.Now} in step {_step}";
    }

    private static int Newest(List<(int Version, long At)> versions, long until)
    {
        var newest = 0;
        foreach (var (version, at) in versions)
        {
            if (at <= until && version > newest)
                newest = version;
        }

        return newest;
    }

    private static List<(int Version, long At)>[] Lists() => [.. Enumerable.Range(0, Keys).Select(static _ => new List<(int, long)>())];

    private static CacheKey<int> Name(int key) => TestKeys.Number(key.ToString(CultureInfo.InvariantCulture));

    private static string WireName(int key) => string.Create(CultureInfo.InvariantCulture, $"test:number:{key}");
}
