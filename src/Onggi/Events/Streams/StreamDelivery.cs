namespace Onggi.Events.Streams;

/// <summary>What a handler may know of the delivery of an event that comes at least once, and the mark with which its work is done once.</summary>
/// <remarks>
/// <para>An event is handed out again when its process died, was cut off, or was paused for longer than <see cref="StreamOptions.ClaimAfter"/>, and when the handler failed. So a handler's work must not mind
/// to be done twice, or must set the mark in the same step: a database in the transaction of the work (a row with <see cref="Event{TData}.Id"/>, unique), Redis in a script or transaction that sets
/// <see cref="MarkKey"/> to <see cref="MarkValue"/> with NX and does nothing where it stood. An event whose mark stands is not handed to the handler any more.</para>
/// <para>What cannot be done in one step with a mark (a mail, a foreign service) can be marked before: <see cref="TryMarkAsync"/>. Then it happens at most once.</para>
/// </remarks>
public sealed class StreamDelivery
{
    private readonly StreamStore _store;
    private readonly Action _lost;

    internal StreamDelivery(StreamStore store, string messageId, int attempt, string markKey, string markValue, Action lost)
    {
        _store = store;
        _lost = lost;
        MessageId = messageId;
        Attempt = attempt;
        MarkKey = markKey;
        MarkValue = markValue;
    }

    /// <summary>The group that it was handed to: the service, with what was put behind it.</summary>
    public string Group => _store.Group;

    /// <summary>Its id in the stream: when it was published, in ms since 1970 by Redis's clock, and a number.</summary>
    public string MessageId { get; }

    /// <summary>How often the event was handed to a process of this group, this time included.</summary>
    public int Attempt { get; }

    /// <summary>Whether it was handed out before: a part of its work may be done.</summary>
    public bool IsRedelivery => Attempt > 1;

    /// <summary>The mark's key, in the slot of the stream.</summary>
    public string MarkKey { get; }

    /// <summary>What the mark must hold: a replay can then tell old ones from new ones.</summary>
    public string MarkValue { get; }

    /// <summary>How long it must stand.</summary>
    public TimeSpan MarkLife => _store.Options.MarkLife;

    /// <summary>Sets the mark before work that must not be done twice. One round trip.</summary>
    /// <returns><c>true</c>: nobody has, do it now. <c>false</c>: it was marked before, so it is done, or its doer died at it.</returns>
    /// <exception cref="OperationCanceledException">Cancelled; or another process has taken the event over, because this one was silent for too long: let it pass.</exception>
    /// <exception cref="Onggi.Client.RedisException">Redis could not be asked; do not do it, and let it pass.</exception>
    public async ValueTask<bool> TryMarkAsync(CancellationToken cancellationToken = default)
    {
        var answer = await _store.MarkAsync(MessageId, MarkKey, MarkValue, cancellationToken).ConfigureAwait(Rt.Capture);
        if (answer >= 0)
            return answer == 1;
        _lost();
        throw new OperationCanceledException("Another process has taken this event over: this one was silent for too long.");
    }

    /// <summary>Removes the mark after work that is known not to be done. One round trip.</summary>
    /// <exception cref="Onggi.Client.RedisException">Redis could not be asked: the mark may stand.</exception>
    public ValueTask UnmarkAsync(CancellationToken cancellationToken = default) => _store.UnmarkAsync(MarkKey, cancellationToken);

    /// <summary>Group, id and attempt.</summary>
    public override string ToString() => $"{Group} {MessageId} attempt {Attempt}";
}
