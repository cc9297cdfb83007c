namespace Onggi.Client.Connections;

/// <summary>The commands that wait for their replies, in the order in which they were sent: a ring of fixed size.</summary>
/// <remarks>
/// Many put in, one after the other, under the connection's gate; only the reader takes out, without it. The tail is published after the slot is written,
/// the head after it is emptied. Whoever walks it from outside (time-outs) sees places that may be settled or used again, which <see cref="PendingReply.Word"/> allows for.
/// </remarks>
internal sealed class PendingRing
{
    private readonly PendingReply?[] _slots;
    private readonly int _mask;
    private long _head;
    private long _tail;

    public PendingRing(int capacity)
    {
        var size = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)capacity);
        _slots = new PendingReply?[size];
        _mask = size - 1;
    }

    public int Capacity => _slots.Length;

    public int Count => (int)(Volatile.Read(ref _tail) - Volatile.Read(ref _head));

    /// <summary>Puts one in at the end; the caller holds the gate and has seen that there is room.</summary>
    public void Add(PendingReply pending)
    {
        Volatile.Write(ref _slots[_tail & _mask], pending);
        Volatile.Write(ref _tail, _tail + 1);
    }

    /// <summary>The one whose reply comes next; <c>null</c> when nobody waits. Only the reader calls it.</summary>
    public PendingReply? Peek() => _head == Volatile.Read(ref _tail) ? null : _slots[_head & _mask];

    /// <summary>Takes out what <see cref="Peek"/> showed.</summary>
    public void Remove()
    {
        _slots[_head & _mask] = null;
        Volatile.Write(ref _head, _head + 1);
    }

    /// <summary>The one whose reply comes next, seen from any thread: it can be over already.</summary>
    public PendingReply? Oldest => Volatile.Read(ref _slots[Volatile.Read(ref _head) & _mask]);

    /// <summary>Walks what is in the ring now, oldest first.</summary>
    public void ForEach<TState>(TState state, Action<PendingReply, TState> visit)
    {
        var tail = Volatile.Read(ref _tail);
        for (var at = Volatile.Read(ref _head); at < tail; at++)
            if (Volatile.Read(ref _slots[at & _mask]) is { } pending)
                visit(pending, state);
    }
}
