using Onggi.Client.Connections;

namespace Onggi.Client.Routing;

/// <summary>Commands that wait for room, first come, first served.</summary>
internal sealed class WaitingLine(Func<PendingReply, bool> tryEnqueue)
{
    /// <summary>Why there is no place any more.</summary>
    public const string Ended = "The client was disposed.";

    private readonly Lock _gate = new();
    private readonly Queue<PendingReply> _waiting = [];
    private volatile bool _any;
    private bool _advancing;

    public bool IsEmpty => !_any;

    public void Add(PendingReply pending)
    {
        pending.HasWaited = true;
        lock (_gate)
        {
            _any = true;
            _waiting.Enqueue(pending);
        }

        // The room may have come between the refusal and now.
        Advance();
    }

    /// <summary>Gives places to as many as there is room for.</summary>
    public void Advance()
    {
        if (!_any)
            return;
        lock (_gate)
        {
            // Giving a place can send, and sending can make room, which leads here again.
            if (_advancing)
                return;
            _advancing = true;
            try
            {
                while (_waiting.TryPeek(out var first) && Take(first))
                    _waiting.Dequeue();
            }
            finally
            {
                _advancing = false;
                _any = _waiting.Count > 0;
            }
        }
    }

    /// <summary>Fails those whose time is over. They stay in the line until it is their turn.</summary>
    public void Expire(long now, Func<PendingReply, Exception> timeout)
    {
        if (!_any)
            return;
        lock (_gate)
            foreach (var pending in _waiting)
            {
                var word = pending.Word;
                if (pending.Deadline <= now)
                    pending.TryFail(word, timeout, static (pending, timeout) => timeout(pending));
            }

        Advance();
    }

    /// <summary>Ends the line: who waits in it is asked for elsewhere by its origin, if that knows somebody, or fails for this reason.</summary>
    public void EndAll(string reason)
    {
        PendingReply[] left;
        lock (_gate)
        {
            left = [.. _waiting];
            _waiting.Clear();
            _any = false;
        }

        foreach (var pending in left)
            End(pending, reason);
    }

    private static void End(PendingReply pending, string reason)
    {
        var (word, sent) = (pending.Word, pending.MaybeExecuted ? Sent.Maybe : Sent.No);
        if (!pending.IsSettled && !TryAgain(pending, new RedisConnectionException(reason, sent)))
            pending.TryFail(word, new RedisConnectionException(reason, sent, isTransient: false));
        pending.Release();
    }

    private static bool TryAgain(PendingReply pending, RedisException error)
    {
        try
        {
            return pending.Origin?.TryAgain(pending, error) == true;
        }
        catch (Exception)
        {
            // It gets the error instead, and those behind it are not kept from theirs.
            return false;
        }
    }

    private bool Take(PendingReply first)
    {
        try
        {
            if (!first.IsSettled)
                return tryEnqueue(first);
        }
        catch (ObjectDisposedException)
        {
            // It got into the line while that ended: it goes the way of those that were in it.
            End(first, Ended);
            return true;
        }
        catch (RedisException error)
        {
            // No place for it, now or later. It must not fall on whoever happens to move the line, nor keep the others from moving.
            first.TryFail(first.Word, error);
        }

        first.Release();
        return true;
    }
}
