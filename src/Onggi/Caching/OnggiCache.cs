using System.Diagnostics.Metrics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>The team's cache in the shared Redis, with this process's memory in front of it. Values are plain JSON under the key's own name.</summary>
/// <remarks>
/// <para>Memory answers only while it is proven that Redis has not changed the value: <see cref="CacheOptions.MaxStaleness"/> is the longest that a change can stay
/// unseen, whatever fails. No loader that began before an invalidation stores its value after it.</para>
/// <para>What a caller sees when things go wrong. <c>Get…</c> and <c>GetOrLoad…</c> never throw because of Redis; <c>Set…</c> and <c>Invalidate…</c> do,
/// because a change that was not made must be known.</para>
/// <list type="table">
/// <listheader><term>Redis is…</term><description>get · get or load · set · invalidate</description></listheader>
/// <item><term>slow or hanging</term><description>a miss after the command time-out · the loader's value after at most one time-out for asking and one for storing · <see cref="RedisTimeoutException"/> ·
/// <see cref="InvalidationUnconfirmedException"/>. Memory falls silent after one bound. Once Redis has answered nothing for a whole time-out, one read per second asks it and the others skip it at once.</description></item>
/// <item><term>gone</term><description>a miss at once · the loader's value at once, shared with those who ask within one bound, stored nowhere · <see cref="RedisConnectionException"/> · tried again until the
/// command time-out, then <see cref="InvalidationUnconfirmedException"/></description></item>
/// <item><term>full (<c>OOM</c>)</term><description>as usual · the loader's value, not stored (log, metric) · <see cref="RedisServerException"/> · as usual: removing frees</description></item>
/// <item><term>restarted empty</term><description>memory is emptied; misses · loads · as usual · as usual</description></item>
/// <item><term>failed over</term><description>as gone, then as usual. What the new primary had not received yet is lost; a removal among it comes undone until the entry's time to live ends,
/// unless the family has <see cref="FailoverSafety.Strict"/>.</description></item>
/// <item><term>well, but we were paused</term><description>memory is silent until it has heard again: the proof has run out by the clock.</description></item>
/// <item><term>holding something else</term><description>bytes that are not JSON, JSON of another shape, a key of another type, more than <see cref="CacheOptions.MaxValueBytes"/>: a miss with a log line ·
/// the loader's value, which overwrites it · overwritten · removed</description></item>
/// </list>
/// <para>Each call is one round trip when memory has no answer; a load is two.</para>
/// </remarks>
public sealed class OnggiCache : IAsyncDisposable
{
    private readonly CacheFamilies _families;
    private readonly ProvenMemory _memory;
    private readonly CacheJson _json;
    private readonly CacheOptions _options;
    private readonly Keyspace _keyspace;
    private readonly EntryReader _reader;
    private readonly EntryLoader _loader;
    private readonly EntryRefresher _refresher;
    private readonly EntryWriter _writer;
    private readonly EntryWarmer _warmer;
    private readonly BackgroundWork _background = new();
    private readonly FamilyClearer _clearer;
    private readonly StalenessProbe _probe;
    private readonly CoherenceLink _link;
    private readonly LeaseKeeper _leases;
    private readonly CacheEventListener _listener;

    internal OnggiCache(
        RedisClient redis,
        Keyspace keyspace,
        CacheOptions options,
        IJsonTypeInfoResolver? json,
        IEventSource events,
        IEventSink sink,
        IMeterFactory meters,
        ILogger<OnggiCache> logger,
        TimeProvider time
    )
        : this(
            new CacheStore(redis, EpochName(keyspace)),
            keyspace,
            options,
            json,
            events,
            sink,
            meters,
            logger,
            time,
            ClockOf(options, time)
        ) { }

    internal OnggiCache(
        ICacheStore store,
        Keyspace keyspace,
        CacheOptions options,
        IJsonTypeInfoResolver? json,
        IEventSource events,
        IEventSink sink,
        IMeterFactory meters,
        ILogger<OnggiCache> logger,
        TimeProvider time,
        IClock clock
    )
    {
        (_keyspace, _options) = (keyspace, options);
        _families = new CacheFamilies(keyspace, options, time);
        _json = new CacheJson(json, options);
        _memory = new ProvenMemory(options, clock, time);
        var waits = new LeaseWaits();
        _link = new CoherenceLink(store, _memory, waits, options, clock, time, logger);
        _leases = new LeaseKeeper(store, _link, options, clock, time);
        var flights = new LoadFlights();
        var watch = new RedisSilence(() => store.IsKnownDown, time);
        _probe = new StalenessProbe(_memory, store, _link, options, time, logger);
        var metrics = new CacheMetrics(meters, _families, _memory, _link, _leases, _probe, clock);
        var fill = new MemoryFill(_memory, _link, waits, clock, options.MaxValueBytes);
        _reader = new EntryReader(keyspace, _families, _json, fill, store, watch, logger, time);
        _writer = new EntryWriter(options, _memory, flights, _link, store, sink, _background, clock, logger, time);
        _loader = new EntryLoader(keyspace, options, _reader, fill, flights, _leases, waits, _link, store, metrics, logger, time);
        _refresher = _loader.Refresher;
        _clearer = new FamilyClearer(keyspace, _writer, store, _link, time);
        Commands = new EntryCommands(keyspace, options, _reader, _writer, _loader.Filler, _link, store);
        _warmer = new EntryWarmer(_reader, _writer, _loader, watch, sink, logger, time);
        _listener = new CacheEventListener(keyspace, _families, _writer, _background, events, logger, time);
    }

    /// <summary>The clock of memory: that of the options, or that of a test which brings a time of its own.</summary>
    internal static IClock ClockOf(CacheOptions options, TimeProvider time) =>
        !ReferenceEquals(time, TimeProvider.System) ? new TimeProviderClock(time)
        : options.Clock == CacheClock.Boottime ? new BootClock()
        : new CoarseClock();

    /// <summary>The key that tells which life of which server this is.</summary>
    internal static string EpochName(Keyspace keyspace) => keyspace.Prefix + "onggi:epoch";

    internal CoherenceLink Link => _link;

    /// <summary>As <see cref="ICacheStore.IsKnownDown"/>.</summary>
    internal bool IsKnownDown => _loader.Store.IsKnownDown;

    internal ProvenMemory Memory => _memory;

    internal StalenessProbe Probe => _probe;

    /// <summary>The cache's part of batches.</summary>
    internal EntryCommands Commands { get; }

    internal LeaseWaits Waits => _loader.Waits;

    /// <summary>What memory or Redis has for the key; a miss when there is nothing, or when Redis could not be asked. At most one round trip.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the type; the message has the line to add.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public ValueTask<CacheResult<T>> GetAsync<T>(in CacheKey<T> key, CancellationToken cancellationToken = default)
    {
        // The hit path, here and in the next methods. The key stays where the caller made it: a copy would be read in one piece from four that were
        // just written, and a processor does that only when these have left it, so it would wait for all that was asked of memory before.
        return _memory.TryHit<T>(key.Entry, out var value)
            ? new(new CacheResult<T>(value, CacheTier.Memory))
            : GetFurtherAsync(key, cancellationToken);
    }

    /// <summary>The value of the key, from memory, from Redis, or from the loader, whose result is stored. Two round trips when it loads, at most one otherwise.</summary>
    /// <remarks>
    /// All callers of this process who miss at the same time share one load. It belongs to none of them: a caller who is cancelled stops waiting,
    /// and the load is cancelled when the last has left. So the loader must not use what ends with one request (make a scope inside). When the
    /// key is invalidated meanwhile, those who wait get the value, but it is stored nowhere.
    /// </remarks>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="loader">Asks the source; <c>null</c> means that the thing does not exist, which is remembered for the family's negative time to live.</param>
    /// <param name="cancellationToken">Ends this caller's wait.</param>
    /// <returns>The value; <c>null</c> when the thing does not exist.</returns>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the type; the message has the line to add.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    /// <exception cref="Exception">Whatever the loader throws goes to everybody who waits for it. It is not remembered.</exception>
    public ValueTask<T?> GetOrLoadAsync<T>(
        in CacheKey<T> key,
        Func<LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(loader);
        return GetOrLoadAsync(key, loader, static (load, context) => load(context), cancellationToken);
    }

    /// <summary>As <see cref="GetOrLoadAsync{T}"/>, with what the loader needs handed over, so that a hit allocates nothing.</summary>
    /// <inheritdoc cref="GetOrLoadAsync{T}"/>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="state">What the loader needs.</param>
    /// <param name="loader">Asks the source; <c>null</c> means that the thing does not exist.</param>
    /// <param name="cancellationToken">Ends this caller's wait.</param>
    public ValueTask<T?> GetOrLoadAsync<TState, T>(
        in CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(loader);
        return _memory.TryHit<T>(key.Entry, out var value)
            ? new(value)
            : ValueOf(GetOrLoadFurtherAsync(key, state, loader, cancellationToken));
    }

    /// <summary>As <see cref="GetOrLoadAsync{T}"/>; the result also tells where the value came from.</summary>
    /// <inheritdoc cref="GetOrLoadAsync{T}"/>
    public ValueTask<CacheResult<T>> GetOrLoadResultAsync<T>(
        in CacheKey<T> key,
        Func<LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(loader);
        return GetOrLoadResultAsync(key, loader, static (load, context) => load(context), cancellationToken);
    }

    /// <summary>As <see cref="GetOrLoadAsync{TState, T}"/>; the result also tells where the value came from.</summary>
    /// <inheritdoc cref="GetOrLoadAsync{TState, T}"/>
    public ValueTask<CacheResult<T>> GetOrLoadResultAsync<TState, T>(
        in CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(loader);
        return _memory.TryHit<T>(key.Entry, out var value)
            ? new(new CacheResult<T>(value, CacheTier.Memory))
            : ResultOf(GetOrLoadFurtherAsync(key, state, loader, cancellationToken));
    }

    /// <summary>Loads the value anew and stores it, while readers still get the old one: for a source that has changed and a key that is asked for all the time. Two round trips.</summary>
    /// <remarks>
    /// A load that began before is not stored any more. Until this has returned, readers may get the old value; where that must not be, use <see cref="InvalidateAsync{T}(CacheKey{T}, CancellationToken)"/>.
    /// When the key is refreshed by another or invalidated meanwhile, it is loaded once more, after the other has ended: the loader is called twice then.
    /// When the new value cannot be stored (Redis is full, it was overtaken twice, <c>DontStore</c>), the old one is removed.
    /// </remarks>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="loader">As in <see cref="GetOrLoadAsync{T}"/>. It is called at once, whatever is stored.</param>
    /// <param name="cancellationToken">Ends the wait, and the load.</param>
    /// <returns>The new value.</returns>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="Exception">Whatever the loader throws; the old value stays.</exception>
    /// <exception cref="InvalidationUnconfirmedException">The value could not be stored, and Redis did not confirm that the old one was removed: readers may get it. Make the call again.</exception>
    public async ValueTask<T?> RefreshAsync<T>(
        CacheKey<T> key,
        Func<LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(loader);
        var (value, stored) = await _refresher
            .RefreshAsync(key, loader, static (load, context) => load(context), cancellationToken)
            .ConfigureAwait(Rt.Capture);
        // The source has changed: what could not be replaced must not stay.
        if (!stored)
            await _writer.RemoveAsync(new[] { _keyspace.WireName(key.Entry) }, cancellationToken).ConfigureAwait(Rt.Capture);
        return value;
    }

    /// <summary>Removes every entry of a family, and whatever right to fill one is out: what stood when it began is gone when it has ended.</summary>
    /// <remarks>
    /// The keys are found step by step (SCAN) and removed as they are found, no faster than <paramref name="keysPerSecond"/>, so that Redis serves everybody else meanwhile.
    /// Memory everywhere hears of each from Redis; a family with <see cref="Invalidation.Strict"/> is waited for in the end. Entries that are filled meanwhile may stay or go. It takes as many steps as Redis has keys, not as
    /// the family has; where the server fails over or restarts meanwhile, twice as many.
    /// </remarks>
    /// <param name="family">The family's name in the catalog.</param>
    /// <param name="keysPerSecond">How many keys are removed per second at most.</param>
    /// <param name="progress">Told after each step; <c>null</c> for none.</param>
    /// <param name="cancellationToken">Ends it; what was removed stays removed.</param>
    /// <returns>How many keys were removed, leases included.</returns>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="RedisException">Redis could not be asked; begin again.</exception>
    public ValueTask<long> ClearAsync(
        string family,
        int keysPerSecond = 20_000,
        IProgress<ClearProgress>? progress = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(keysPerSecond);
        return _clearer.ClearAsync(_families.Of(family), keysPerSecond, progress, cancellationToken);
    }

    /// <summary>What memory has for the key, without asking anybody: no round trip, no wait.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="result">The answer; a miss when memory may not or cannot answer.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryPeek<T>(in CacheKey<T> key, out CacheResult<T> result) => _reader.TryMemory(key, out result);

    /// <summary>Puts a value. One round trip. Other processes may answer from memory with what they had before for <see cref="CacheOptions.MaxStaleness"/> at most; loads that run are not stored.</summary>
    /// <remarks>Two writers who race can leave the older value; where the source is a database, prefer <see cref="InvalidateAsync{T}(CacheKey{T}, CancellationToken)"/> after the commit.</remarks>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="value">The value; <c>null</c> remembers that the thing does not exist, for the family's negative time to live.</param>
    /// <param name="ttl">How long it is fresh, cut to the longest that the catalog's rules allow; <c>null</c> leaves it to the catalog.</param>
    /// <param name="cancellationToken">Ends the wait; the value may be stored all the same.</param>
    /// <exception cref="ArgumentException">The JSON is larger than <see cref="CacheOptions.MaxValueBytes"/>, or the time is not positive. Nothing was sent.</exception>
    /// <exception cref="RedisException">Redis refused or did not answer; <see cref="RedisException.Sent"/> says whether the value can be stored.</exception>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the type; the message has the line to add.</exception>
    public async ValueTask SetAsync<T>(CacheKey<T> key, T? value, TimeSpan? ttl = null, CancellationToken cancellationToken = default)
    {
        if (ttl is { } given)
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(given, TimeSpan.Zero, nameof(ttl));
        var entry = _reader.Resolve(key);
        await _writer.PutAsync([Commands.Filled(entry, value, ttl)], cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Removes the entry, and the right of whoever is loading it to store what it began before. Call it after the change is committed. One round trip.</summary>
    /// <remarks>
    /// <para>When it has returned, no value of a loader that started before is stored, in Redis or in any memory. Memory elsewhere is told by Redis at once; where that
    /// fails it falls silent within <see cref="CacheOptions.MaxStaleness"/>.</para>
    /// <para>After the commit the request's own token has no place here: a caller who disconnects between the two would leave the old value in Redis until
    /// its time to live ends. Pass <see cref="CancellationToken.None"/>; the command time-out bounds the wait.</para>
    /// <para>A writer in any language does the same with <c>UNLINK k {k}:l</c>.</para>
    /// </remarks>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="cancellationToken">Ends the wait; the entry may be removed or not.</param>
    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm it within the command time-out: readers may get the old value. Make the call again.</exception>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    public ValueTask InvalidateAsync<T>(CacheKey<T> key, CancellationToken cancellationToken = default) =>
        _writer.InvalidateAsync(_families.Of(key.Family), [_keyspace.WireName(key.Entry)], null, cancellationToken);

    /// <inheritdoc cref="InvalidateAsync{T}(CacheKey{T}, CancellationToken)"/>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="strength"><see cref="Invalidation.Strict"/> returns only when nobody anywhere can be given the old value any more: one <see cref="CacheOptions.MaxStaleness"/> later.</param>
    /// <param name="cancellationToken">Ends the wait; the entry may be removed or not.</param>
    public ValueTask InvalidateAsync<T>(CacheKey<T> key, Invalidation strength, CancellationToken cancellationToken = default) =>
        _writer.InvalidateAsync(_families.Of(key.Family), [_keyspace.WireName(key.Entry)], strength, cancellationToken);

    /// <summary>What memory or Redis has for the keys, each of which is in the result. At most one round trip, of one script per 64 keys.</summary>
    /// <inheritdoc cref="GetAsync{T}"/>
    /// <param name="keys">From the generated <c>Keys</c>; one that comes twice is asked for once.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<IReadOnlyDictionary<CacheKey<T>, CacheResult<T>>> GetManyAsync<T>(
        IReadOnlyCollection<CacheKey<T>> keys,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(keys);
        var results = new Dictionary<CacheKey<T>, CacheResult<T>>(keys.Count);
        await _reader.ReadManyAsync(keys, results, cancellationToken).ConfigureAwait(Rt.Capture);
        return results;
    }

    /// <summary>The values of the keys; one call of the loader gets those that neither memory nor Redis has, and that nobody else is loading. At most two round trips.</summary>
    /// <inheritdoc cref="GetOrLoadAsync{T}"/>
    /// <param name="keys">From the generated <c>Keys</c>; one that comes twice is asked for once.</param>
    /// <param name="loader">Asks the source for the keys it is given; one that it leaves out does not exist, which is remembered. (For a type without null it stays a miss.)</param>
    /// <param name="cancellationToken">Ends this caller's wait.</param>
    /// <returns>A result for each key.</returns>
    public async ValueTask<IReadOnlyDictionary<CacheKey<T>, CacheResult<T>>> GetOrLoadManyAsync<T>(
        IReadOnlyCollection<CacheKey<T>> keys,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(keys);
        ArgumentNullException.ThrowIfNull(loader);
        return await _loader.GetOrLoadManyAsync(keys, loader, tally: null, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Puts many values, in commands that go out together.</summary>
    /// <param name="values">Each as in <see cref="SetAsync"/>.</param>
    /// <param name="cancellationToken">Ends the wait; some of the values may be stored.</param>
    /// <exception cref="ArgumentException">One value is larger than <see cref="CacheOptions.MaxValueBytes"/>. Nothing was sent.</exception>
    /// <exception cref="RedisException">The first failure; the other values were tried all the same.</exception>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the type; the message has the line to add.</exception>
    public async ValueTask SetManyAsync<T>(IReadOnlyDictionary<CacheKey<T>, T?> values, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        var entries = new List<FilledEntry>(values.Count);
        foreach (var (key, value) in values)
            entries.Add(Commands.Filled(_reader.Resolve(key), value, ttl: null));
        var failures = await _writer.PutManyAsync(entries, cancellationToken).ConfigureAwait(Rt.Capture);
        if (Array.Find(failures, static failure => failure is not null) is { } first)
            throw first;
    }

    /// <summary>Removes many entries, as <see cref="InvalidateAsync{T}(CacheKey{T}, CancellationToken)"/>; one UNLINK per 256 keys, all together one round trip per family.</summary>
    /// <param name="keys">From the generated <c>Keys</c>.</param>
    /// <param name="cancellationToken">Ends the wait; each entry may be removed or not. After a commit pass none, as there.</param>
    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm all of it. Make the call again.</exception>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    public ValueTask InvalidateManyAsync<T>(IReadOnlyCollection<CacheKey<T>> keys, CancellationToken cancellationToken = default) =>
        InvalidateManyAsync(keys, null, cancellationToken);

    /// <inheritdoc cref="InvalidateManyAsync{T}(IReadOnlyCollection{CacheKey{T}}, CancellationToken)"/>
    /// <param name="keys">From the generated <c>Keys</c>.</param>
    /// <param name="strength">As in <see cref="InvalidateAsync{T}(CacheKey{T}, Invalidation, CancellationToken)"/>; it is waited once for all. <c>null</c>: as the families say.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask InvalidateManyAsync<T>(
        IReadOnlyCollection<CacheKey<T>> keys,
        Invalidation? strength,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(keys);
        var families = keys.Distinct()
            .GroupBy(static key => key.Family)
            .Select(group => (Family: _families.Of(group.Key), Names: group.Select(key => _keyspace.WireName(key.Entry)).ToArray()))
            .ToList();
        var wait = families.Exists(one => (strength ?? one.Family.Policy.Invalidation) == Invalidation.Strict);
        for (var i = 0; i < families.Count; i++)
        {
            // The last wait begins when all have been removed, so it is enough for all.
            var last = wait && i == families.Count - 1 ? Invalidation.Strict : Invalidation.Fast;
            await _writer.InvalidateAsync(families[i].Family, families[i].Names, last, cancellationToken).ConfigureAwait(Rt.Capture);
        }
    }

    /// <summary>Stores all that a source yields, in batches, and publishes <c>cache.warmed</c>. Entries that are there already are overwritten.</summary>
    /// <remarks>
    /// <para>What Redis does not take is counted and logged, and the rest goes on.</para>
    /// <para>A value that is invalidated between the moment the source read it and the moment it is stored is stored all the same, as by <see cref="SetAsync"/>. Where the source may
    /// change meanwhile, prefetch with <see cref="WarmOptions.Anew"/>: there the lease decides.</para>
    /// </remarks>
    /// <param name="name">What logs, progress and the event call it.</param>
    /// <param name="values">The entries; they may belong to several families.</param>
    /// <param name="progress">Told after each batch; <c>null</c> for none.</param>
    /// <param name="cancellationToken">Ends the warming; what was stored stays.</param>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    /// <exception cref="Exception">Whatever the source throws.</exception>
    public ValueTask<WarmReport> WarmAsync<T>(
        string name,
        IAsyncEnumerable<KeyValuePair<CacheKey<T>, T?>> values,
        IProgress<WarmProgress>? progress = null,
        CancellationToken cancellationToken = default
    ) => WarmAsync(name, values, progress, options: null, cancellationToken);

    /// <inheritdoc cref="WarmAsync{T}(string, IAsyncEnumerable{KeyValuePair{CacheKey{T}, T}}, IProgress{WarmProgress}, CancellationToken)"/>
    /// <param name="name">What logs, progress and the event call it.</param>
    /// <param name="values">The entries; they may belong to several families. No more of it is read than is stored next.</param>
    /// <param name="progress">Told after each batch; <c>null</c> for none.</param>
    /// <param name="options">How fast; <c>null</c> for the defaults.</param>
    /// <param name="cancellationToken">Ends the warming; what was stored stays.</param>
    public ValueTask<WarmReport> WarmAsync<T>(
        string name,
        IAsyncEnumerable<KeyValuePair<CacheKey<T>, T?>> values,
        IProgress<WarmProgress>? progress,
        WarmOptions? options,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(values);
        return _warmer.WarmAsync(name, values, options, progress, cancellationToken);
    }

    /// <summary>Loads those of the keys that Redis does not hold, in batches, so that their readers find them; publishes <c>cache.warmed</c>.</summary>
    /// <inheritdoc cref="GetOrLoadManyAsync{T}"/>
    /// <param name="keys">From the generated <c>Keys</c>.</param>
    /// <param name="loader">As in <see cref="GetOrLoadManyAsync{T}"/>; at most 256 keys at a time.</param>
    /// <param name="progress">Told after each batch; <c>null</c> for none.</param>
    /// <param name="cancellationToken">Ends the prefetching; what was stored stays.</param>
    /// <returns>What was done: <c>Stored</c> counts only what was not there.</returns>
    public ValueTask<WarmReport> PrefetchAsync<T>(
        IReadOnlyCollection<CacheKey<T>> keys,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        IProgress<WarmProgress>? progress = null,
        CancellationToken cancellationToken = default
    ) => PrefetchAsync(keys, loader, progress, options: null, cancellationToken);

    /// <inheritdoc cref="PrefetchAsync{T}(IReadOnlyCollection{CacheKey{T}}, Func{IReadOnlyList{CacheKey{T}}, LoadContext, ValueTask{IReadOnlyDictionary{CacheKey{T}, T}}}, IProgress{WarmProgress}, CancellationToken)"/>
    /// <param name="keys">From the generated <c>Keys</c>.</param>
    /// <param name="loader">As in <see cref="GetOrLoadManyAsync{T}"/>; at most 256 keys at a time.</param>
    /// <param name="progress">Told after each batch; <c>null</c> for none.</param>
    /// <param name="options">How fast, and whether what is there is loaded anew; <c>null</c> for the defaults.</param>
    /// <param name="cancellationToken">Ends the prefetching; what was stored stays.</param>
    public ValueTask<WarmReport> PrefetchAsync<T>(
        IReadOnlyCollection<CacheKey<T>> keys,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        IProgress<WarmProgress>? progress,
        WarmOptions? options,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(keys);
        ArgumentNullException.ThrowIfNull(loader);
        return _warmer.PrefetchAsync(keys, loader, options, progress, cancellationToken);
    }

    /// <summary>Counts since this process started. No round trip.</summary>
    /// <param name="family">The family's name in the catalog; <c>null</c> for all together.</param>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    public CacheStatistics Statistics(string? family = null)
    {
        var counts = family is null
            ? _families.All.Select(static one => one.Snapshot()).Aggregate(new CacheStatistics(), static (sum, one) => sum.Plus(one))
            : _families.Of(family).Snapshot();
        return counts with { MemoryEntries = _memory.Count, MemoryBytes = _memory.Bytes };
    }

    /// <summary>Stops listening to events, ends removals that run in the background, and empties memory. Loads that run go on for those who wait for them.</summary>
    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _background.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _probe.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _link.DisposeAsync().ConfigureAwait(Rt.Capture);
        _leases.Dispose();
        _memory.Dispose();
    }

    /// <summary>Checks at start that every value type of the catalog can be written and read.</summary>
    /// <exception cref="InvalidOperationException">Some cannot; the message lists the lines to add.</exception>
    internal void VerifyTypes()
    {
        _json.VerifyTypes(_keyspace);
        foreach (var name in _options.Families.Keys)
        {
            if (_keyspace.Families.FirstOrDefault(family => family.Family.Name == name) is not { Kind: "cache" })
            {
                throw new InvalidOperationException(
                    $"CacheOptions.Families names \"{name}\", which is no cache of the catalog. {Keys.Catalog.CatalogWords.Suggest(name, [.. _keyspace.Families.Where(static family => family.Kind == "cache").Select(static family => family.Family.Name)], "It has none.")}"
                );
            }
        }
    }

    /// <summary>As <see cref="GetAsync{T}"/>, past memory.</summary>
    internal ValueTask<CacheResult<T>> GetPastMemoryAsync<T>(CacheKey<T> key, CancellationToken cancellationToken) =>
        ReadAsync(key, cancellationToken);

    /// <summary>As <see cref="GetOrLoadResultAsync{TState, T}"/>, past memory; with <paramref name="anew"/> also past what Redis has, which is overwritten.</summary>
    internal ValueTask<CacheResult<T>> GetOrLoadPastMemoryAsync<TState, T>(
        CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        bool anew,
        CancellationToken cancellationToken
    ) => _loader.GetOrLoadAsync(key, state, loader, cancellationToken, anew);

    /// <summary>Memory keeps what it has of the key for no longer than this from now on; zero: not at all.</summary>
    internal void KeepAtMost(in EntryKey key, TimeSpan time)
    {
        var wireName = _keyspace.WireName(key);
        if (time > TimeSpan.Zero)
            _memory.Shorten(wireName, _loader.Clock.Now + (long)time.TotalMilliseconds);
        else
            _memory.Drop(wireName);
    }

    /// <summary>Begins to listen to Redis, so that the first reader need not wait for it.</summary>
    internal void Start()
    {
        _link.Start();
        _probe.Start();
    }

    // What is not as simple as a hit: the object is made of the JSON for each caller, or it is time to refresh it, or memory has nothing.
    private ValueTask<CacheResult<T>> GetFurtherAsync<T>(in CacheKey<T> key, CancellationToken cancellationToken) =>
        _reader.TryMemory(key, out var result) ? new(result) : ReadAsync(key, cancellationToken);

    private ValueTask<CacheResult<T>> GetOrLoadFurtherAsync<TState, T>(
        in CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken
    )
    {
        if (!_reader.TryTake(_memory.Find(key.Entry, out var shouldRefresh), out CacheResult<T> result))
            return _loader.GetOrLoadAsync(key, state, loader, cancellationToken);
        if (shouldRefresh)
            _refresher.Refresh(key, state, loader);
        return new(result);
    }

    private ValueTask<CacheResult<T>> ReadAsync<T>(in CacheKey<T> key, CancellationToken cancellationToken)
    {
        _link.Start();
        return ResultOf(_reader.ReadAsync(key, cancellationToken));
    }

    // Inside, what asynchronous calls keep is pooled; what callers await is not, so that one who awaits twice does no harm.
    private static async ValueTask<T?> ValueOf<T>(ValueTask<CacheResult<T>> result) => (await result.ConfigureAwait(Rt.Capture)).Value;

    private static async ValueTask<CacheResult<T>> ResultOf<T>(ValueTask<CacheResult<T>> result) => await result.ConfigureAwait(Rt.Capture);

    private static async ValueTask<CacheResult<T>> ResultOf<T>(ValueTask<EntryRead<T>> read) =>
        (await read.ConfigureAwait(Rt.Capture)).Result;
}
