namespace Onggi.Caching;

/// <summary>Takes answers of Redis into memory, on the reading loop, in the order of the wire.</summary>
/// <remarks>
/// An answer is of the connection on which it was asked. When that one is gone by the time it comes, because the question was asked again on the next, nothing is
/// kept, and the code says so (<see cref="AskCode.Again"/>): what was sent with the question, the epoch, may no longer be true.
/// </remarks>
internal sealed class MemoryFill(ProvenMemory memory, CoherenceLink link, LeaseWaits waits, IClock clock, int maxValueBytes)
{
    // Who goes on on the reading thread asks next on the same one.
    [ThreadStatic]
    private static FillingCall? _spare;

    public ProvenMemory Memory => memory;

    public IClock Clock => clock;

    public CoherenceLink Link => link;

    /// <summary>A question for entries.</summary>
    /// <param name="asks">Those.</param>
    /// <param name="epoch">What the question says of the epoch: answers are believed on the connection on which that was learnt; <c>null</c> when it says nothing.</param>
    public EntryCall Call(EntryAsk[] asks, Epoch? epoch = null) =>
        new FillingCall(this, null, asks, maxValueBytes, epoch?.Generation ?? link.Generation, clock.Now);

    /// <summary>A question for one entry. Who has got its answer, and is through with it, gives it to <see cref="Done"/>.</summary>
    public EntryCall Call(in Keys.EntryKey key, string wireName, CacheFamily family, long lifeMs)
    {
        if (_spare is { } spare && spare.IsOf(this))
        {
            _spare = null;
            spare[0].Reuse(key, wireName, family, lifeMs);
            spare.Begin(link.Generation, clock.Now);
            return spare;
        }

        return new FillingCall(this, new EntryAsk(key, wireName, family, lifeMs), null, maxValueBytes, link.Generation, clock.Now);
    }

    /// <summary>The question can be used again. Not where it was given up, or failed: then an answer may still come.</summary>
    public static void Done(EntryCall call)
    {
        if (call is not FillingCall { IsSingle: true } single)
            return;
        single[0].Forget();
        _spare = single;
    }

    /// <summary>What nobody but the mutant LateInsert does: keeps an answer after the reading loop has gone on.</summary>
    public void KeepLate(EntryAsk ask)
    {
        if (ask is { Kept: null, Answer: { Code: AskCode.Fresh, Json: { } json } })
            Keep(ask, CurrentGeneration, ask.SentAt, json, ask.Answer.Left);
    }

    /// <summary>Whether an answer says that the entry is to be loaded anew ahead of its end, and memory, which says so otherwise, has not kept it.</summary>
    public bool IsDue(EntryAsk ask) =>
        ask.Family.Policy.RefreshAfter is not null
        && ask is { Kept: null, Answer: { Code: AskCode.Fresh, Json: { } json, Left: >= 0 and var left } }
        && clock.Now >= EndOf(ask, ask.SentAt, json, left).RefreshAt;

    private void Keep(EntryAsk ask, long generation, long sentAt, byte[] json, long leftMs)
    {
        var (expires, refreshAt) = EndOf(ask, sentAt, json, leftMs);
        ask.Kept = memory.Keep(generation, ask.Key, ask.WireName, ask.Family, json, expires, refreshAt);
    }

    // Counted from before the question left, and less what the clock may lag behind: so it never ends later than in Redis.
    private (long Expires, long RefreshAt) EndOf(EntryAsk ask, long sentAt, byte[] json, long leftMs)
    {
        var policy = ask.Family.Policy;
        var most = (long)policy.MemoryTtl.TotalMilliseconds;
        if (leftMs < 0)
            return (sentAt + most, long.MaxValue);
        var grace = GraceOf(ask, json);
        var life = leftMs - grace;
        // A life that each read of Redis begins anew needs reads of Redis.
        if (policy.Sliding)
            most = Math.Min(most, (long)ask.Family.Settings.Ttl.TotalMilliseconds / 2);
        // Where lives are chosen a short one is no sign that most of it is over: it would be loaded anew at its first hit, and so would be what that load stores.
        var whole = ask.Family.HasChosenLives ? life : ask.LifeMs - grace;
        var refreshAt = policy.RefreshAfter is { } after && !IsNull(json) ? sentAt + life - (long)((1 - after) * whole) : long.MaxValue;
        return (sentAt + Math.Min(life, most) - clock.Resolution, refreshAt);
    }

    // "Does not exist" has no grace: it is short-lived as it is.
    private static long GraceOf(EntryAsk ask, byte[]? json) => IsNull(json) ? 0 : (long)ask.Family.Settings.Grace.TotalMilliseconds;

    private static bool IsNull(byte[]? json) => json is not null && json.AsSpan().SequenceEqual("null"u8);

    private sealed class FillingCall(MemoryFill fill, EntryAsk? only, EntryAsk[]? several, int maxValueBytes, long generation, long sentAt)
        : EntryCall(only, several, maxValueBytes)
    {
        private long _generation = generation;
        private long _sentAt = sentAt;

        private bool IsOver => _generation != fill.CurrentGeneration;

        // What no memory keeps is read over the common connection, and says nothing of any epoch.
        private bool IsPlainOver => IsOver && this[0].Family.KeepsInMemory;

        public bool IsOf(MemoryFill other) => fill == other;

        public void Begin(long generation, long sentAt) => (_generation, _sentAt) = (generation, sentAt);

        public override void Take(int index, in Asked answer)
        {
            var ask = this[index];
            ask.SentAt = _sentAt;
            if (IsOver)
            {
                ask.Answer = answer with { Code = AskCode.Again };
                return;
            }

            ask.Answer = answer.Code == AskCode.Absent ? Judge(ask, answer) : answer;
            switch (ask.Answer.Code)
            {
                // mutant: LateInsert
                case AskCode.Fresh when answer.Json is not null && !CoherenceMutants.LateInsert:
                    fill.Keep(ask, _generation, _sentAt, answer.Json, answer.Left);
                    break;
                case AskCode.Held or AskCode.StaleHeld:
                    ask.Wait = fill.Wait(ask.WireName);
                    break;
            }
        }

        public override void TakeValue(byte[]? json, bool isOversized)
        {
            var ask = this[0];
            ask.SentAt = _sentAt;
            ask.Answer = new Asked(IsPlainOver ? AskCode.Again : AskCode.Absent, json, isOversized, -2, null);
            // A ticket: an invalidation that comes before the life does takes it away again.
            // mutant: LateInsert
            if (json is not null && !IsOver && !CoherenceMutants.LateInsert)
                ask.Kept = fill.Memory.Keep(_generation, ask.Key, ask.WireName, ask.Family, json, expires: 0, long.MaxValue);
        }

        public override void TakeLife(long leftMs)
        {
            var ask = this[0];
            if (IsPlainOver || ask.Answer.Code == AskCode.Again)
                return;
            ask.Answer = Judge(ask, ask.Answer with { Left = leftMs });
            if (ask.Kept is not { } ticket)
                return;
            if (ask.Answer.Code == AskCode.Fresh)
            {
                var (expires, refreshAt) = fill.EndOf(ask, _sentAt, ticket.Json, leftMs);
                fill.Memory.Close(ticket, expires, refreshAt);
            }
            else
            {
                // Past its life it is nobody's to serve, and a ticket that stays a ticket would only take room.
                fill.Memory.Drop(ask.WireName);
            }
        }

        // A plain read knows no lease: what is not fresh is asked for again, by the script.
        private static Asked Judge(EntryAsk ask, in Asked answer)
        {
            var there = answer.Json is not null || answer.IsOversized;
            return there && (answer.Left == -1 || answer.Left > GraceOf(ask, answer.Json)) ? answer with { Code = AskCode.Fresh } : answer;
        }
    }

    private long CurrentGeneration => link.Generation;

    private LeaseWait Wait(string wireName) => waits.Add(wireName);
}
