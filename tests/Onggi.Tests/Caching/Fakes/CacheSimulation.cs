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
    private readonly int _failures;
    private readonly bool _isShort;
    private readonly int[] _version = new int[Keys];

    // By key: when which version's invalidation was executed, acknowledged, and strictly done.
    private readonly List<(int Version, long At)>[] _executed = Lists();
    private readonly List<(int Version, long At)>[] _acknowledged = Lists();
    private readonly List<(int Version, long At)>[] _strict = Lists();
    private readonly List<Action> _loadings = [];
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
        // Lives that end, and a grace after them, in which the source may fail.
        _isShort = _random.Next(3) == 0;
        _failures = _isShort ? _random.Next(30) : 0;
        _longest = _isShort
            ? 800
            : _random.Next(3) switch
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

    /// <summary>How often a value past its life was served.</summary>
    public int StaleReads { get; private set; }

    private sealed class SourceException : Exception;

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
                options.Defaults.WhenStale = _random.Next(2) == 0 ? StaleMode.IfError : StaleMode.WhileRevalidate;
                options.Defaults.SoftTimeout = _random.Next(2) == 0 ? TimeSpan.FromMilliseconds(50) : null;
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
        else if (_random.Next(4) == 0)
            _ = ObserveAllAsync(node);
        else
            _ = ObserveAsync(node, key);
    }

    private Task ObserveAsync(WorldNode node, int key)
    {
        var known = new Known(this, key);
        var isPlain = _random.Next(4) == 0;
        return CallAsync(
            $"read of {key}, plain {isPlain}",
            async () =>
            {
                var result = isPlain
                    ? await node.Cache.GetAsync(Name(key))
                    : await node.Cache.GetOrLoadResultAsync(Name(key), _ => LoadAsync(key));
                known.Judge(result, isPlain);
            }
        );
    }

    private Task ObserveAllAsync(WorldNode node)
    {
        CacheKey<int>[] names = [.. Enumerable.Range(0, Keys).Select(Name)];
        Known[] known = [.. Enumerable.Range(0, Keys).Select(key => new Known(this, key))];
        var isPlain = _random.Next(4) == 0;
        return CallAsync(
            $"read of all, plain {isPlain}",
            async () =>
            {
                var results = isPlain
                    ? await node.Cache.GetManyAsync(names)
                    : await node.Cache.GetOrLoadManyAsync(names, (missing, _) => LoadManyAsync(missing));
                for (var key = 0; key < Keys; key++)
                    known[key].Judge(results[names[key]], isPlain);
            }
        );
    }

    /// <summary>What a reader of a key may count on, who begins now.</summary>
    private sealed class Known(CacheSimulation run, int key)
    {
        private readonly long _began = run._world.Now;
        private readonly int _bySelf = Newest(run._executed[key], run._world.Now - BoundMs);
        private readonly int _strict = Newest(run._strict[key], run._world.Now);
        private readonly int _acknowledged = Newest(run._acknowledged[key], run._world.Now);

        public void Judge(in CacheResult<int> result, bool isPlain)
        {
            if (!result.Found)
                return;
            run.Reads++;
            if (result.Tier == CacheTier.Memory)
                run.MemoryReads++;
            // Past its life it may be, but not older than what was removed.
            if (result.IsStale)
                run.StaleReads++;
            var read = $"read version {result.Value} of {key} by {result.Tier}, begun {_began}";
            run.Check(result.Value >= _bySelf, $"G2: {read}; {_bySelf} was invalidated longer ago than the bound");
            run.Check(result.Value >= _strict, $"G3: {read}; the strict invalidation of {_strict} had returned");
            // What Redis answers is never old; a load that was joined may be by the bound.
            if (isPlain && result.Tier == CacheTier.Redis)
                run.Check(result.Value >= _acknowledged, $"G2: {read}; {_acknowledged} was acknowledged");
        }
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
        catch (Exception error) when (error is RedisException or LoadTimeoutException or OperationCanceledException or SourceException) { }
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
        return LoadedAsync(_version[key]);
    }

    private ValueTask<IReadOnlyDictionary<CacheKey<int>, int>> LoadManyAsync(IReadOnlyList<CacheKey<int>> keys)
    {
        var found = new Dictionary<CacheKey<int>, int>();
        for (var key = 0; key < Keys; key++)
        {
            if (keys.Contains(Name(key)))
                found[Name(key)] = _version[key];
        }

        return LoadedAsync<IReadOnlyDictionary<CacheKey<int>, int>>(found);
    }

    // What the source says was read when the load began; the answer can take its time, or never come.
    private ValueTask<T> LoadedAsync<T>(T read)
    {
        var fails = _random.Next(100) < _failures;
        if (_random.Next(100) >= _slowLoads)
            return fails ? ValueTask.FromException<T>(new SourceException()) : new(read);
        var end = new TaskCompletionSource<T>(Rt.Signals);
        _loadings.Add(() =>
        {
            if (fails)
                end.TrySetException(new SourceException());
            else
                end.TrySetResult(read);
        });
        return new(end.Task);
    }

    private void EndLoading()
    {
        if (_loadings.Count == 0)
            return;
        var loading = _loadings[_random.Next(_loadings.Count)];
        _loadings.Remove(loading);
        loading();
    }

    private void Write()
    {
        var node = Running();
        if (node is null)
            return;
        if (_random.Next(8) == 0)
        {
            WriteAll(node);
            return;
        }

        var key = _random.Next(Keys);
        // The commit.
        var version = ++_version[key];
        Writes++;
        if (_random.Next(5) == 0)
        {
            // A program in another language, which removes the value or writes it.
            if (_random.Next(2) == 0)
                _world.Server.Remove(WireName(key), "{" + WireName(key) + "}:l");
            else
                _world.Server.Set(WireName(key), version.ToString(CultureInfo.InvariantCulture), LifeOfForeign());
            _executed[key].Add((version, _world.Now));
            _acknowledged[key].Add((version, _world.Now));
            return;
        }

        _ = Invalidate(node, key, version, _random.Next(4) == 0 ? Invalidation.Strict : Invalidation.Fast);
    }

    // Never the end of a value that is there, by which a fill tells that somebody wrote.
    private TimeSpan LifeOfForeign() => TimeSpan.FromDays(1) + TimeSpan.FromMilliseconds(_step);

    private void WriteAll(WorldNode node)
    {
        var versions = new int[Keys];
        for (var key = 0; key < Keys; key++)
            versions[key] = ++_version[key];
        Writes++;
        var strength = _random.Next(4) == 0 ? Invalidation.Strict : Invalidation.Fast;
        _ = CallAsync(
            $"{strength} invalidation of all",
            async () =>
            {
                await node.Cache.InvalidateManyAsync([.. Enumerable.Range(0, Keys).Select(Name)], strength);
                for (var key = 0; key < Keys; key++)
                {
                    Acknowledged(key, versions[key]);
                    if (strength == Invalidation.Strict)
                        _strict[key].Add((versions[key], _world.Now));
                }
            }
        );
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
        var what = _random.Next(_failsOver ? 10 : 8);
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
                // What another program wrote and Redis evicts within one load is the stated hole: nothing is left that tells of it.
                var evicted = WireName(_random.Next(Keys));
                if (_world.Server.TimeLeft(evicted) < TimeSpan.FromHours(1).TotalMilliseconds)
                    _world.Server.Evict(evicted);
                break;
            case 5:
                _world.Server.Evict("{" + WireName(_random.Next(Keys)) + "}:l");
                break;
            case 6:
                _world.Server.IsFull = !_world.Server.IsFull;
                break;
            case 7:
                _world.Server.FlushAll();
                break;
            case 8:
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

    private CacheKey<int> Name(int key)
    {
        var id = key.ToString(CultureInfo.InvariantCulture);
        return _isShort ? CacheWorld.Short(id) : TestKeys.Number(id);
    }

    private string WireName(int key) => string.Create(CultureInfo.InvariantCulture, $"test:{(_isShort ? "short" : "number")}:{key}");
}
