using Onggi.Client.Connections;

namespace Onggi.Client.Routing;

/// <summary>Connections to one server that have one caller at a time: handed out, taken back, kept for a while for the next one.</summary>
internal sealed class LeasePool : IAsyncDisposable
{
    private readonly RedisClientOptions _options;
    private readonly ServerSource _server;
    private readonly Func<RedisLink> _newLink;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _places;
    private readonly ITimer _sweeper;
    private readonly Lock _gate = new();

    // Guarded by the gate.
    private readonly List<(RedisLink Link, long Since)> _idle = [];
    private readonly HashSet<RedisLink> _out = [];
    private bool _disposed;

    public LeasePool(ServerSource server, RedisClientOptions options, Func<RedisLink> newLink, TimeProvider time)
    {
        (_server, _options, _newLink, _time) = (server, options, newLink, time);
        _places = new SemaphoreSlim(options.MaxLeases, options.MaxLeases);
        _sweeper = time.CreateTimer(static pool => ((LeasePool)pool!).Sweep(), this, options.LeaseIdle, options.LeaseIdle);
    }

    /// <summary>How many are kept for the next caller.</summary>
    public int Idle
    {
        get
        {
            lock (_gate)
                return _idle.Count;
        }
    }

    /// <exception cref="RedisBusyException">All are out, and none came back in time.</exception>
    /// <exception cref="RedisConnectionException">The server cannot be reached in time, or refuses us.</exception>
    public async ValueTask<RedisLink> RentAsync(CancellationToken cancellationToken)
    {
        await WaitForPlaceAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        RedisLink? link = null;
        try
        {
            link = Take();
            await link.WhenConnectedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            return link;
        }
        catch
        {
            if (link is not null)
                await EndAsync(link).ConfigureAwait(Rt.Capture);
            else
                _places.Release();
            throw;
        }
    }

    /// <summary>Takes back a connection that is as it was when it was made.</summary>
    public async ValueTask ReturnAsync(RedisLink link)
    {
        lock (_gate)
        {
            if (!_disposed && !link.HasEnded && _out.Remove(link))
            {
                _idle.Add((link, _time.GetTimestamp()));
                _places.Release();
                return;
            }
        }

        await EndAsync(link).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Closes a connection instead of taking it back.</summary>
    public async ValueTask EndAsync(RedisLink link)
    {
        lock (_gate)
            if (_out.Remove(link))
                _places.Release();
        await link.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    public async ValueTask DisposeAsync()
    {
        await _sweeper.DisposeAsync().ConfigureAwait(Rt.Capture);
        RedisLink[] links;
        lock (_gate)
        {
            _disposed = true;
            links = [.. _out, .. _idle.Select(idle => idle.Link)];
            _idle.Clear();
        }

        foreach (var link in links)
            await link.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    private async ValueTask WaitForPlaceAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(RedisClient));
        using var patience = new CancellationTokenSource(_options.ConnectTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            await _places.WaitAsync(either.Token).ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new RedisBusyException(
                $"All {_options.MaxLeases} leases of {_server} are out, and none was given back within {_options.ConnectTimeout.TotalSeconds:0.#} s. Dispose leases as soon as they are done, or raise MaxLeases."
            );
        }
        catch (OperationCanceledException)
        {
            throw PendingReply.Cancelled("the lease", Sent.No, cancellationToken);
        }
    }

    private RedisLink Take()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(RedisClient));
            RedisLink? link = null;

            // The one used last is the likeliest to be alive; the others grow old and are closed.
            while (link is null && _idle.Count > 0)
            {
                var kept = _idle[^1].Link;
                _idle.RemoveAt(_idle.Count - 1);
                if (kept.HasEnded)
                    _ = kept.DisposeAsync().AsTask();
                else
                    link = kept;
            }

            link ??= _newLink();
            _out.Add(link);
            return link;
        }
    }

    private void Sweep()
    {
        var now = _time.GetTimestamp();
        lock (_gate)
            for (var i = _idle.Count - 1; i >= 0; i--)
            {
                var (link, since) = _idle[i];
                if (!link.HasEnded && _time.GetElapsedTime(since, now) < _options.LeaseIdle)
                    continue;
                _idle.RemoveAt(i);

                // Its own errors are told by the link; nobody waits for an idle one to be closed.
                _ = link.DisposeAsync().AsTask();
            }
    }
}
