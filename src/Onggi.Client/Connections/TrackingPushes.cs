using Onggi.Client.Resp;

namespace Onggi.Client.Connections;

/// <summary>Who keeps copies of what was read over a tracked connection, and must hear when they are no longer true.</summary>
/// <remarks>
/// The calls come one after the other, and in the order of the wire with the parsers of tracked reads: for each connection first <see cref="Established"/>, then parsers, <see cref="Invalidated"/>
/// and <see cref="InvalidatedAll"/> as the bytes come, then <see cref="Lost"/>. So what a parser stores belongs to the connection that was established last, and an invalidation that follows the reply finds it stored.
/// They run on the reading loop: they must be short and must not block. One that throws ends the connection, for an invalidation that was not taken in must not pass unseen.
/// </remarks>
internal interface ITrackingSink
{
    /// <summary>A connection stands, tracking is on, and no command has been sent on it yet. Generations begin at 1 and grow.</summary>
    void Established(long generation);

    /// <summary>The value under this key has changed, has gone, or is no longer watched. The bytes live only until the call returns.</summary>
    void Invalidated(ReadOnlySpan<byte> key);

    /// <summary>Every value has changed (FLUSHALL, FLUSHDB).</summary>
    void InvalidatedAll();

    /// <summary>The connection has ended: nothing that was read over it is watched any more. Comes before anybody who waited on it goes on, and before anything is sent on the next one.</summary>
    void Lost(long generation);
}

/// <summary>Reads the pushes of a tracked connection and tells its sink, in the order of the wire. Counts the connections.</summary>
/// <remarks>
/// <c>&gt;2 invalidate *n key…</c> names keys, <c>&gt;2 invalidate _</c> means all of them. Whatever else claims to be an invalidation ends the connection, and with it every copy: it is never passed over.
/// </remarks>
internal sealed class TrackingPushes(ITrackingSink sink) : IPushSink
{
    private long _generation;
    private long _invalidations;
    private long _unknown;
    private bool _established;

    /// <summary>Which connection it is, or was last; 0 before the first.</summary>
    public long Generation => Volatile.Read(ref _generation);

    /// <summary>How many keys were named, all together.</summary>
    public long Invalidations => Volatile.Read(ref _invalidations);

    /// <summary>How many pushes were passed over because they are of another kind.</summary>
    public long Unknown => Volatile.Read(ref _unknown);

    public void Begin()
    {
        _established = true;
        Volatile.Write(ref _generation, _generation + 1);
        sink.Established(_generation);
    }

    public void End()
    {
        if (!_established)
            return;
        _established = false;
        sink.Lost(_generation);
    }

    /// <exception cref="RespProtocolException">It is an invalidation that cannot be read, or says that invalidations no longer reach us.</exception>
    public void OnPush(ref RespReader push)
    {
        push.Read();
        if (push.Value.SequenceEqual("invalidate"u8))
            Invalidate(ref push);
        else if (push.Value.SequenceEqual("tracking-redir-broken"u8))
            throw new RespProtocolException("Invalidations went to another connection, which is gone.") { IsWellFormed = true };
        else
            _unknown++;
    }

    private void Invalidate(ref RespReader push)
    {
        push.Read();
        if (push.IsNull)
        {
            sink.InvalidatedAll();
            return;
        }

        if (push.Type is not (RespType.Array or RespType.Set))
            throw Unreadable(push.Type);
        for (var left = push.Count; left > 0; left--)
        {
            push.Read();
            if (push.Type is not (RespType.BulkString or RespType.SimpleString))
                throw Unreadable(push.Type);
            _invalidations++;
            sink.Invalidated(push.Value);
        }
    }

    private static RespProtocolException Unreadable(RespType type) => new($"An invalidation holds {type} where keys were expected.");
}
