using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;

namespace Onggi.Cli.Migration;

/// <summary>Collects the names of source keys that change, by tracking (CLIENT TRACKING with BCAST): all of them, or it says that it may have missed some.</summary>
/// <remarks>
/// <para>The server names a key after every write, deletion and expiry, whatever command did it; it does not name the database, so a name stands for that key in all databases of the rules.</para>
/// <para>Names come at the end of the server's round in which the write was done, replies to a PING of the same connection in that round's middle: after two PINGs, one after the other, every name
/// of a write that was answered before the first one has arrived.</para>
/// </remarks>
internal sealed class ChangeTracker : ITrackingSink, IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly RedisLink _link;

    // Guarded by the gate.
    private HashSet<KeyName> _changed = [];
    private bool _mayMiss;
    private long _named;

    private ChangeTracker(RedisClient source, IReadOnlyList<string> prefixes, TimeProvider time)
    {
        var setup = new List<RedisArg> { "CLIENT", "TRACKING", "ON", "BCAST" };
        foreach (var prefix in prefixes)
            setup.AddRange(["PREFIX", prefix]);
        var settings = new LinkSettings(source.Router.AnyServer, LinkPurpose.Tracking)
        {
            Setup =
            [
                [.. setup],
            ],
            Pushes = new TrackingPushes(this),
        };
        _link = new RedisLink(source.Options, settings, NullLogger.Instance, time);
    }

    /// <summary>Begins to listen; what changes after it returns is not missed.</summary>
    /// <param name="source">The server whose keys are moved; it must have been connected to.</param>
    /// <param name="prefixes">What the names begin with; empty for all names.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<ChangeTracker> StartAsync(
        RedisClient source,
        IReadOnlyList<string> prefixes,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var tracker = new ChangeTracker(source, prefixes, time);
        try
        {
            await tracker._link.WhenConnectedAsync(cancellationToken).ConfigureAwait(false);
            return tracker;
        }
        catch
        {
            await tracker.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>How many names wait to be taken.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
                return _changed.Count;
        }
    }

    /// <summary>How many names have come in all, repeated ones each time.</summary>
    public long Named
    {
        get
        {
            lock (_gate)
                return _named;
        }
    }

    /// <summary>Whether changes may have been missed since this was last asked: the connection was lost, or a database was emptied. Asking takes the answer away.</summary>
    public bool TakeMayMiss()
    {
        lock (_gate)
        {
            var mayMiss = _mayMiss;
            _mayMiss = false;
            return mayMiss;
        }
    }

    /// <summary>Whether <see cref="TakeMayMiss"/> would say so.</summary>
    public bool MayMiss
    {
        get
        {
            lock (_gate)
                return _mayMiss;
        }
    }

    /// <summary>The names that have come; they are forgotten here. To be taken before their keys are read: what changes later is named again.</summary>
    public IReadOnlyCollection<KeyName> Take()
    {
        lock (_gate)
        {
            var taken = _changed;
            _changed = [];
            return taken;
        }
    }

    /// <summary>Names that are to be looked at once more.</summary>
    public void PutBack(IEnumerable<KeyName> names)
    {
        lock (_gate)
            _changed.UnionWith(names);
    }

    public bool Holds(KeyName name)
    {
        lock (_gate)
            return _changed.Contains(name);
    }

    /// <summary>Waits until the name of every write that was answered before this call has come. Two round trips.</summary>
    /// <exception cref="RedisException">The connection is not there: changes may have been missed.</exception>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < 2; i++)
            await _link.SendAsync(new Command(["PING"]), ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);
    }

    public void Established(long generation) { }

    public void Invalidated(ReadOnlySpan<byte> key)
    {
        var name = new KeyName(key.ToArray());
        lock (_gate)
        {
            _changed.Add(name);
            _named++;
        }
    }

    public void InvalidatedAll()
    {
        lock (_gate)
            _mayMiss = true;
    }

    public void Lost(long generation)
    {
        lock (_gate)
            _mayMiss = true;
    }

    public ValueTask DisposeAsync() => _link.DisposeAsync();
}
