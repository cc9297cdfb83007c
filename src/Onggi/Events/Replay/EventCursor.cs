namespace Onggi.Events.Replay;

/// <summary>What is to be done with an event that arrived.</summary>
internal enum EventVerdict
{
    /// <summary>It is the next one.</summary>
    HandOver,

    /// <summary>It was handed over already.</summary>
    Repeat,

    /// <summary>Something is missing before it, or the count has changed: Redis must be asked.</summary>
    Ask,
}

/// <summary>How far a subscription has heard the events of one type. It decides what comes next; it asks nobody and waits for nobody.</summary>
/// <remarks>
/// <list type="number">
/// <item>An event whose number follows the last one is handed over. One that was heard is dropped. Anything else is a reason to ask the ring.</item>
/// <item>The ring tells from the next number on, and where the count stands. What follows the last one heard is handed over, so that replayed events come before the live ones that wait meanwhile; these are repeats then, or follow.</item>
/// <item>Where the ring begins later, what lies between is a gap. Another epoch is a gap of unknown length, and all that the ring has of it is new.</item>
/// <item>After a failover that lost the last writes, numbers are given twice under one epoch. Therefore ids count: the ring names with each event the one before, and the count names its last. Where they are not those that
/// were heard, or the count is behind us, we go back over as much as we remember, and hand over what has another id than what we heard under its number.</item>
/// <item>What had arrived before Redis was asked is in its answer, or Redis has lost it: when its turn comes it is dropped. Else an event of before a failover could pass for the one that follows.</item>
/// </list>
/// </remarks>
internal sealed class EventCursor
{
    /// <summary>How many of the last events are remembered.</summary>
    internal const int Remembered = 1024;

    private readonly string _type;
    private readonly bool _replays;
    private readonly (long Number, ulong Id)[] _heard = new (long, ulong)[Remembered];
    private long _covered;
    private long _oldest;
    private bool _isBegun;
    private bool _isFresh;

    /// <param name="type">The type.</param>
    /// <param name="replays">Whether it begins in the ring: then the first event that arrives must wait for those before it.</param>
    /// <param name="after">The last event that was handled by whoever was here before; <c>null</c> when nobody was.</param>
    public EventCursor(string type, bool replays = false, EventPosition? after = null)
    {
        (_type, _replays) = (type, replays);
        // mutant: PositionIgnored
        if (after is { } position && !EventMutants.PositionIgnored)
            Set(position.Epoch, position.Sequence, position.Id);
    }

    /// <summary>The count that the numbers belong to; <c>null</c> while there is none.</summary>
    public string? Epoch { get; private set; }

    /// <summary>The number of the last event that was handed over, or was before us.</summary>
    public long Last { get; private set; }

    /// <summary>Whether it is known where it stands.</summary>
    public bool IsBegun => _isBegun;

    /// <summary>The number from which on the ring is to be asked.</summary>
    public long AskFrom => _isBegun ? Last + 1 : 1;

    /// <summary>Judges an event that arrived; one to be handed over counts as heard.</summary>
    /// <param name="live">The event.</param>
    /// <param name="arrival">A number that grows with each arrival.</param>
    public EventVerdict Judge(EventEnvelope live, long arrival)
    {
        if (live is not { Epoch: { } epoch, Sequence: { } number })
            return EventVerdict.HandOver; // Of a program without Onggi: nobody counts those.
        if (!_isBegun && _replays)
            return EventVerdict.Ask;
        // mutant: OldArrivalsTrusted
        if (arrival <= _covered && !EventMutants.OldArrivalsTrusted)
            return EventVerdict.Repeat;
        if (!_isBegun || IsNext(epoch, number))
        {
            if (_isFresh || epoch != Epoch)
                Set(epoch, number, live.Id);
            else
                Hear(number, live.Id);
            return EventVerdict.HandOver;
        }

        // mutant: RepeatsHandedOver
        if (epoch == Epoch && number <= Last && IsHeard(number, live.Id))
            return EventMutants.RepeatsHandedOver ? EventVerdict.HandOver : EventVerdict.Repeat;
        // mutant: HolesIgnored
        if (!EventMutants.HolesIgnored)
            return EventVerdict.Ask;
        Set(epoch, number, live.Id);
        return EventVerdict.HandOver;
    }

    /// <summary>Begins before the first event that had arrived and was not kept here, if it is not known yet where it stands: else nobody would notice that it is missing.</summary>
    public void BeginBefore(EventEnvelope? first)
    {
        if (!_isBegun && !_replays && first is { Epoch: { } epoch, Sequence: { } number })
            Set(epoch, number - 1, null);
    }

    /// <summary>Everything that had arrived by then, and is counted, was in Redis's answer or is lost.</summary>
    public void Covers(long arrival) => _covered = arrival;

    /// <summary>Goes on with an event that does not follow, because Redis cannot be asked; what is missing before it is given back.</summary>
    public EventGap Skip(EventEnvelope live)
    {
        var (epoch, number) = (live.Epoch, live.Sequence ?? 0);
        var isSameCount = epoch == Epoch || Epoch is null;
        var gap = new EventGap(
            _type,
            isSameCount ? epoch : Epoch,
            Last + 1,
            isSameCount && number > Last ? number - 1 : null,
            !isSameCount ? EventGapReason.NewEpoch
                : number > Last ? EventGapReason.NotAsked
                : EventGapReason.WentBack
        );
        Set(epoch, number, live.Id);
        return gap;
    }

    /// <summary>Takes what the ring has told; all that is given back counts as heard.</summary>
    /// <param name="page">Asked for from <see cref="AskFrom"/> on.</param>
    /// <param name="items">Takes the events to hand over and the gaps between them, in their order.</param>
    /// <returns>Whether to ask again at once, because the ring has more.</returns>
    public bool Take(RingPage page, List<CursorItem> items)
    {
        if (!_isBegun)
            Begin(page);
        else if (page.Epoch != Epoch && ChangeEpoch(page, items))
            return page.Epoch is not null;
        // mutant: HistoryTrusted
        else if (IsAnotherHistory(page) && !EventMutants.HistoryTrusted)
            return GoBack(page, items);

        var before = Last;
        foreach (var kept in page.Events)
        {
            var number = kept.Event.Sequence ?? 0;
            if (number <= Last || kept.Event.Epoch != Epoch)
                continue;
            if (IsHeard(number, kept.Event.Id))
            {
                Last = number;
                continue;
            }

            // mutant: GapsUntold
            if (number > Last + 1 && !EventMutants.GapsUntold)
                items.Add(new CursorItem(null, new EventGap(_type, Epoch, Last + 1, number - 1, EventGapReason.NoLongerKept)));
            items.Add(new CursorItem(kept.Event, null));
            Hear(number, kept.Event.Id);
        }

        if (Last == before && page.Sequence > Last)
        {
            if (!EventMutants.GapsUntold)
                items.Add(new CursorItem(null, new EventGap(_type, Epoch, Last + 1, page.Sequence, EventGapReason.NoLongerKept)));
            Set(page.Epoch, page.Sequence, page.Id);
        }

        return Last < page.Sequence;
    }

    // The first event after the beginning may be older than the count that was asked for at the same time.
    private bool IsNext(string epoch, long number) =>
        Epoch is null ? number == 1 : epoch == Epoch && (number == Last + 1 || (_isFresh && number <= Last));

    private void Begin(RingPage page)
    {
        _isBegun = true;
        if (page.Events is [var first, ..] && first.Event.Sequence is { } number && first.Event.Epoch == page.Epoch)
        {
            Set(page.Epoch, number - 1, first.Before);
            return;
        }

        Set(page.Epoch, page.Sequence, page.Id);
        _isFresh = true;
    }

    // True when the page does not belong to the count that we are in now.
    private bool ChangeEpoch(RingPage page, List<CursorItem> items)
    {
        var wasEmpty = Epoch is null;
        // mutant: EpochIgnored
        if (!wasEmpty && !EventMutants.EpochIgnored)
            items.Add(new CursorItem(null, new EventGap(_type, Epoch, Last + 1, null, EventGapReason.NewEpoch)));
        Set(page.Epoch, 0, null);
        return !wasEmpty;
    }

    private bool IsAnotherHistory(RingPage page)
    {
        if (page.Sequence < Last)
            return true;
        if (page.Sequence == Last)
            return !Matches(Last, page.Id);
        return page.Events is [var next, ..] && next.Event.Sequence == Last + 1 && !Matches(Last, next.Before);
    }

    private bool GoBack(RingPage page, List<CursorItem> items)
    {
        items.Add(new CursorItem(null, new EventGap(_type, Epoch, Last + 1, null, EventGapReason.WentBack)));
        if (page.Sequence < _oldest)
        {
            // Further back than we remember: what the count has before its present end was heard, as far as anybody can say.
            Set(page.Epoch, page.Sequence, page.Id);
            return false;
        }

        Last = Math.Max(_oldest, 1) - 1;
        _heard[Last % Remembered] = default;
        return true;
    }

    private void Hear(long number, string? id)
    {
        if (number != Last + 1)
            _oldest = number; // What was left out before it does not come any more.
        Last = number;
        _oldest = Math.Max(_oldest, number - Remembered + 1);
        _isFresh = false;
        _heard[number % Remembered] = (number, Hash(id));
    }

    private void Set(string? epoch, long number, string? id)
    {
        if (epoch != Epoch)
            Array.Clear(_heard);

        (_isBegun, Epoch, Last, _oldest) = (true, epoch, number, number);
        _isFresh = false;
        if (number > 0)
            _heard[number % Remembered] = (number, Hash(id));
    }

    // Whoever is older than all that is remembered was heard, or its gap was told.
    private bool IsHeard(long number, string? id) =>
        number < _oldest || (_heard[number % Remembered].Number == number && Matches(number, id));

    // What is not known on either side does not speak against it.
    private bool Matches(long number, string? id)
    {
        var (known, hash) = _heard[number % Remembered];
        return known != number || hash == 0 || string.IsNullOrEmpty(id) || hash == Hash(id);
    }

    // FNV-1a over the characters; 0 stands for an id that is not known.
    private static ulong Hash(string? id)
    {
        if (string.IsNullOrEmpty(id))
            return 0;
        var hash = 14695981039346656037UL;
        foreach (var letter in id)
            hash = unchecked((hash ^ letter) * 1099511628211UL);
        return Math.Max(hash, 1);
    }
}

/// <summary>An event to hand over, or a gap to tell of.</summary>
/// <param name="Event">The event; <c>null</c> for a gap.</param>
/// <param name="Gap">The gap; <c>null</c> for an event.</param>
internal readonly record struct CursorItem(EventEnvelope? Event, EventGap? Gap);
