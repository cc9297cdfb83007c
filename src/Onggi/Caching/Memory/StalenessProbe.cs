using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Caching;

/// <summary>Measures what memory promises: takes entries that would be served, reads them from Redis over another connection, and times how long memory goes on with a value that Redis no longer has.</summary>
/// <remarks>
/// After Polaris ("Cache made consistent", Meta, 2022): a checker beside the cache that knows nothing of how it works. It costs the readers nothing, and Redis a few GETs per second.
/// Most of what it finds is an invalidation that is still on its way, a fraction of a millisecond. Anything beyond the bound is a broken promise, and is logged as an error.
/// </remarks>
internal sealed class StalenessProbe : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);

    private readonly ProvenMemory _memory;
    private readonly ICacheStore _store;
    private readonly CoherenceLink _link;
    private readonly CacheOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Random _random = new();
    private readonly BackgroundLoop _loop;
    private long _checked;
    private long _differed;
    private long _broken;
    private long _worstTicks;

    public StalenessProbe(
        ProvenMemory memory,
        ICacheStore store,
        CoherenceLink link,
        CacheOptions options,
        TimeProvider time,
        ILogger logger
    )
    {
        (_memory, _store, _link, _options) = (memory, store, link, options);
        (_time, _logger) = (time, logger);
        _loop = new BackgroundLoop(RunAsync);
    }

    /// <summary>Entries that were compared.</summary>
    public long Checked => Volatile.Read(ref _checked);

    /// <summary>Those that were other than in Redis, for however short a time.</summary>
    public long Differed => Volatile.Read(ref _differed);

    /// <summary>Those that were so for longer than the bound.</summary>
    public long Broken => Volatile.Read(ref _broken);

    /// <summary>The longest time for which memory would have served what Redis no longer had.</summary>
    public TimeSpan Worst => TimeSpan.FromTicks(Volatile.Read(ref _worstTicks));

    /// <summary>Told of each difference.</summary>
    public Action<TimeSpan>? Measured { get; set; }

    /// <summary>Begins, if that has not been done and it is wanted.</summary>
    public void Start()
    {
        if (_options.StalenessSamplesPerSecond > 0 && _memory.IsOn)
            _loop.Start();
    }

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

    private async Task RunAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            await Task.Delay(Every, _time, stopping).ConfigureAwait(Rt.Quietly);
            for (var left = _options.StalenessSamplesPerSecond; left > 0 && !stopping.IsCancellationRequested; left--)
            {
                if (_memory.Sample((uint)_random.Next()) is { } entry)
                    await CheckAsync(entry).ConfigureAwait(Rt.Capture);
            }
        }
    }

    /// <summary>Compares one entry with Redis.</summary>
    internal async ValueTask CheckAsync(ProvenEntry entry)
    {
        try
        {
            var asked = _time.GetTimestamp();
            var stored = await _store.PeekAsync(entry.WireName, _loop.Stopping).ConfigureAwait(Rt.Capture);
            _checked++;
            if (stored is not null && stored.AsSpan().SequenceEqual(entry.Json))
                return;
            var known = _time.GetTimestamp();
            var last = known;
            while (true)
            {
                // The clock before the look: what is served at the look was surely served then.
                var now = _time.GetTimestamp();
                if (!_memory.Serves(entry))
                    break;
                last = now;
                await Task.Delay(Look, _time, _loop.Stopping).ConfigureAwait(Rt.Capture);
            }

            Note(entry, _time.GetElapsedTime(asked, last), _time.GetElapsedTime(known, last));
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException or OperationCanceledException)
        {
            // What cannot be asked cannot be compared.
        }
    }

    // The value was changed before the answer came and after some moment before the question: so it is old by so much at most, and by so much for certain.
    private void Note(ProvenEntry entry, TimeSpan most, TimeSpan certain)
    {
        if (most <= TimeSpan.Zero)
            return;
        _differed++;
        if (most.Ticks > Worst.Ticks)
            Volatile.Write(ref _worstTicks, most.Ticks);
        Measured?.Invoke(most);
        if (certain.TotalMilliseconds <= _link.BoundMs)
            return;
        _broken++;
        CacheLog.StaleBeyondBound(_logger, entry.Family.Name, certain, TimeSpan.FromMilliseconds(_link.BoundMs));
    }
}
