using System.Globalization;
using System.Security.Cryptography;
using Onggi.Client;

namespace Onggi.Caching;

/// <summary>Makes the tokens of leases, and lengthens the leases that are out while their loaders run.</summary>
/// <remarks>One timer for all, and only while there are any. A lease that is no longer ours makes its flight void; whether a value is stored is decided by Redis in any case.</remarks>
internal sealed class LeaseKeeper : IDisposable
{
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(2);

    private readonly ICacheStore _store;
    private readonly CoherenceLink _link;
    private readonly IClock _clock;
    private readonly ITimer _timer;
    private readonly TimeSpan _every;
    private readonly string _node = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
    private readonly Lock _gate = new();
    private readonly HashSet<LoadFlight> _out = [];
    private long _tokens;
    private bool _ticking;
    private bool _disposed;

    public LeaseKeeper(ICacheStore store, CoherenceLink link, CacheOptions options, IClock clock, TimeProvider time)
    {
        (_store, _link, _clock) = (store, link, clock);
        _every = TimeSpan.FromTicks(Math.Min(Lease.Ticks / 3, options.MaxStaleness.Ticks / 2));
        _timer = time.CreateTimer(static keeper => ((LeaseKeeper)keeper!).Tick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many leases are out.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _out.Count;
        }
    }

    /// <summary>A token that nobody had before and nobody will have again.</summary>
    public string NewToken()
    {
        // mutant: TokenReuse
        if (CoherenceMutants.TokenReuse)
            return _node;
        return string.Create(CultureInfo.InvariantCulture, $"{_node}.{Interlocked.Increment(ref _tokens):x}");
    }

    public void Add(LoadFlight flight)
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _out.Add(flight);
            if (_ticking)
                return;
            _ticking = true;
            _timer.Change(_every, Timeout.InfiniteTimeSpan);
        }
    }

    public void Remove(LoadFlight flight)
    {
        lock (_gate)
            _out.Remove(flight);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _out.Clear();
        }

        _timer.Dispose();
    }

    private void Tick()
    {
        LoadFlight[] flights;
        lock (_gate)
        {
            _ticking = _out.Count > 0 && !_disposed;
            if (!_ticking)
                return;
            flights = [.. _out];
            _timer.Change(_every, Timeout.InfiniteTimeSpan);
        }

        foreach (var group in flights.GroupBy(static flight => flight.Lease!))
            _ = RenewAsync(group.Key, [.. group]);
    }

    private async Task RenewAsync(HeldLease lease, LoadFlight[] flights)
    {
        // Not greeted yet, or another life, where the lease may have come back: lengthened there, it would keep others from loading what it can no longer store.
        if (_link.ConnectionOf(lease.Epoch) is not { } connection)
            return;
        var asked = _clock.Now;
        try
        {
            var still = await _store
                .RenewAsync(lease.Holder, Array.ConvertAll(flights, static flight => flight.WireName), Lease, connection)
                .ConfigureAwait(Rt.Capture);
            for (var i = 0; i < flights.Length; i++)
            {
                if (still[i])
                {
                    flights[i].Confirm(asked);
                    continue;
                }

                flights[i].Stamp = LoadFlight.Void;
                Remove(flights[i]);
            }
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // Not known: the stamp grows old, and nobody joins any more.
        }
    }
}
