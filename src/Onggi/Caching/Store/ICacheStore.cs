using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Caching;

/// <summary>What the cache asks of Redis. A seam so that tests can hold answers back; there is one in production.</summary>
/// <remarks>
/// Commands are executed in the order in which they were handed over. Where a call takes something that reads the answer, it is told on the reading
/// loop: in the order of the wire, between the invalidations that came before and after it.
/// </remarks>
internal interface ICacheStore
{
    /// <summary>Whether there is no connection, and it was lost or an attempt to make one has failed: asking would only wait.</summary>
    bool IsKnownDown { get; }

    /// <summary>How long one answer is waited for.</summary>
    TimeSpan CommandTimeout { get; }

    /// <summary>Waits until it is known what kind of servers these are.</summary>
    /// <exception cref="RedisException">They cannot be reached.</exception>
    ValueTask WhenKnownAsync(CancellationToken cancellationToken);

    /// <summary>Begins to watch what is read; <c>false</c> when these servers cannot do that for us: then nobody is told anything.</summary>
    bool TryTrack(ITrackingSink sink, TimeSpan deadAfter);

    /// <summary>Gets the epoch of the server, and agrees on the bound. One round trip.</summary>
    ValueTask HelloAsync(EpochCall call);

    /// <summary>Reads the epoch, so that the answer proves that all that was executed before has been heard. One round trip.</summary>
    ValueTask BeatAsync(EpochCall call);

    /// <summary>Gives up the connection.</summary>
    void Abort(string reason);

    /// <summary>Reads one entry, and how long it will live. One round trip.</summary>
    ValueTask<bool> ReadAsync(EntryCall call, CancellationToken cancellationToken);

    /// <summary>Reads entries, as far as they are believed, and how long they will live. One round trip.</summary>
    ValueTask ReadManyAsync(EntryCall call, CancellationToken cancellationToken);

    /// <summary>Reads entries, or gets the right to fill them. One round trip.</summary>
    ValueTask AskAsync(EntryCall call, in LeaseTerms terms);

    /// <summary>Whether somebody has the right to fill the entry; if so, its end is told. For what was asked over the connection for large values, where nobody is told. One round trip.</summary>
    ValueTask<bool> WatchLeaseAsync(string wireName);

    /// <summary>Stores what was loaded under a lease; what became of each. One round trip.</summary>
    /// <param name="token">The lease's, with its epoch.</param>
    /// <param name="entries">What was loaded.</param>
    /// <param name="connection">The connection that it is for: when that is over, it fails, and nothing is sent on the next one. 0 for any. Large values go over one of their own all the same.</param>
    ValueTask<FillCode[]> FillAsync(string token, IReadOnlyList<FilledEntry> entries, long connection);

    /// <summary>Lengthens leases, or gives them back (<paramref name="lease"/> zero); whether each was still ours, and the entry as it was when it was given. <paramref name="connection"/> is as in <see cref="FillAsync"/>. One round trip.</summary>
    ValueTask<bool[]> RenewAsync(string token, IReadOnlyList<string> wireNames, TimeSpan lease, long connection);

    /// <summary>Puts values and withdraws whatever right to fill them is out. One round trip.</summary>
    ValueTask PutAsync(IReadOnlyList<FilledEntry> entries, CancellationToken cancellationToken);

    /// <summary>Changes that go out together, on the connection on which the cache's own go: what it reads there comes before them or after.</summary>
    RedisBatch NewBatch();

    /// <summary>Reads that go out together, and of which nothing is kept: over the common connection, where the server need not watch them for us.</summary>
    RedisBatch NewReadBatch();

    /// <summary>The value of a key over the common connection, unwatched. One round trip.</summary>
    ValueTask<byte[]?> PeekAsync(string wireName, CancellationToken cancellationToken);

    /// <summary>All keys of a pattern that stand while it walks, each at least once. Many round trips.</summary>
    IAsyncEnumerable<string> ScanAsync(string pattern, CancellationToken cancellationToken);

    /// <summary>Removes values and whatever right to fill them is out. <paramref name="removed"/> runs on the reading loop. One round trip.</summary>
    ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, Action? removed, CancellationToken cancellationToken);
}

/// <summary>What Redis says to the question for an entry. The numbers are the script's.</summary>
internal enum AskCode
{
    /// <summary>It is absent, and we may fill it.</summary>
    Granted = 0,

    /// <summary>Here it is.</summary>
    Fresh = 1,

    /// <summary>It is absent, and another fills it.</summary>
    Held = 2,

    /// <summary>Its life is over, its grace is not; another fills it.</summary>
    StaleHeld = 3,

    /// <summary>Its life is over, its grace is not; we may fill it.</summary>
    StaleGranted = 4,

    /// <summary>It is not to be filled now: somebody's change is under way.</summary>
    Blocked = 5,

    /// <summary>A plain read found nothing fresh.</summary>
    Absent = 6,

    /// <summary>The answer came over another connection than the one that was asked: nothing of it is believed.</summary>
    Again = 7,
}

/// <summary>What became of a value that was loaded. The numbers are the script's.</summary>
internal enum FillCode
{
    LeaseLost = 0,
    Stored = 1,
    ForeignWrite = 2,
    Full = 3,
}

/// <summary>A value on its way into Redis.</summary>
/// <param name="WireName">Its key.</param>
/// <param name="Json">The value.</param>
/// <param name="LifeMs">How long it lives there.</param>
/// <param name="IsLarge">Whether its family's values go over the connection for large ones.</param>
internal readonly record struct FilledEntry(string WireName, ReadOnlyMemory<byte> Json, long LifeMs, bool IsLarge = false);

/// <summary>The rules under which a lease is asked for.</summary>
/// <param name="Token">Ours alone, and never used again.</param>
/// <param name="Lease">How long it stands.</param>
/// <param name="Epoch">The server's, as far as it is known.</param>
/// <param name="Began">When the epoch began, in ms of the server's clock; 0 where values of before are believed.</param>
/// <param name="Grace">How long beyond its life a value stays in Redis.</param>
/// <param name="Negative">How long a "not found" lives.</param>
/// <param name="Sliding">The life that each read begins anew; zero where it does not.</param>
/// <param name="Overwrite">Whether what is there counts as absent.</param>
/// <param name="Steal">Whether another who holds the lease loses it: what it loads may be of before the change.</param>
internal readonly record struct LeaseTerms(
    string Token,
    TimeSpan Lease,
    string Epoch,
    long Began,
    TimeSpan Grace,
    TimeSpan Negative,
    TimeSpan Sliding,
    bool Overwrite,
    bool Steal = false
);

/// <summary>What Redis said of one entry.</summary>
/// <param name="Code">Which case it is.</param>
/// <param name="Json">The value; <c>null</c> when there is none that can be taken.</param>
/// <param name="IsOversized">Whether there is one that is larger than the cache takes.</param>
/// <param name="Left">Milliseconds of its life with grace, or of the lease where it is held; -1 without end.</param>
/// <param name="Holder">Who holds the lease.</param>
internal readonly record struct Asked(AskCode Code, byte[]? Json, bool IsOversized, long Left, string? Holder);

/// <summary>One entry of a question: what is asked, and the answer.</summary>
internal sealed class EntryAsk(Keys.EntryKey key, string wireName, CacheFamily family, long lifeMs)
{
    private static readonly Asked NoneYet = new(AskCode.Again, null, false, -2, null);

    public Keys.EntryKey Key { get; private set; } = key;

    public string WireName { get; private set; } = wireName;

    public CacheFamily Family { get; private set; } = family;

    /// <summary>How long it would live if it were written now, with grace, in ms; 0 where nobody needs to know.</summary>
    public long LifeMs { get; private set; } = lifeMs;

    /// <summary>A plain read takes what was written before, in ms of the server's clock, for absent; 0 believes every value.</summary>
    public long BelievedFrom { get; init; }

    public Asked Answer { get; set; } = NoneYet;

    /// <summary>When the question left, by the clock of memory.</summary>
    public long SentAt { get; set; }

    /// <summary>What memory kept of the answer.</summary>
    public ProvenEntry? Kept { get; set; }

    /// <summary>Completed when the key or its lease changes; made where the lease is another's.</summary>
    public LeaseWait? Wait { get; set; }

    /// <summary>Lets go of the answer; nobody may know the object any more.</summary>
    public void Forget() => (Answer, SentAt, Kept, Wait) = (NoneYet, 0, null, null);

    /// <summary>Asks for another entry, after <see cref="Forget"/>.</summary>
    public void Reuse(in Keys.EntryKey key, string wireName, CacheFamily family, long lifeMs) =>
        (Key, WireName, Family, LifeMs) = (key, wireName, family, lifeMs);
}

/// <summary>A question for entries. Its answers are taken in on the reading loop.</summary>
/// <param name="only">The one that is asked for; <c>null</c> where there are several.</param>
/// <param name="several">Those.</param>
/// <param name="maxValueBytes">The largest value that is taken.</param>
internal abstract class EntryCall(EntryAsk? only, EntryAsk[]? several, int maxValueBytes) : FirstReply
{
    public int Count => several?.Length ?? 1;

    public EntryAsk this[int index] => several?[index] ?? only!;

    public EntryAsk[] Asks => several ?? [only!];

    public bool IsSingle => several is null;

    /// <summary>On the reading loop, for each entry in order.</summary>
    public abstract void Take(int index, in Asked answer);

    /// <summary>On the reading loop: the value came, how long it lives comes with the next reply.</summary>
    public abstract void TakeValue(byte[]? json, bool isOversized);

    /// <summary>On the reading loop: how long the value lives that came before.</summary>
    public abstract void TakeLife(long leftMs);

    /// <summary>The value in a reply. An oversized one is refused before a copy of it is made.</summary>
    public byte[]? ReadJson(ref RespReader reader, out bool isOversized)
    {
        isOversized = reader.Value.Length > maxValueBytes;
        return isOversized ? null : reader.ReadBytes();
    }

    /// <summary>The same where the two are asked apart.</summary>
    public void TakeFirst(ref RespReader reader) => Take(ref reader);

    protected override void Take(ref RespReader reader) => TakeValue(ReadJson(ref reader, out var isOversized), isOversized);
}

/// <summary>What a server says to a greeting.</summary>
/// <param name="Id">Which life of which server it is; empty where it is no primary.</param>
/// <param name="BeganMs">When that began, in ms of the server's clock.</param>
/// <param name="Role">The server's, in Redis's words.</param>
/// <param name="BoundMs">How long somebody's memory may answer without having heard.</param>
/// <param name="WasEmpty">Whether Redis knew of no epoch before.</param>
/// <param name="CeilingMs">How long any memory may at most, as an operator has said; 0 for no such word.</param>
/// <param name="Text">What stands in the epoch's key.</param>
internal readonly record struct Greeting(string Id, long BeganMs, string Role, long BoundMs, bool WasEmpty, long CeilingMs, string Text);

/// <summary>A question for the epoch. Its answer is taken in on the reading loop.</summary>
internal abstract class EpochCall(long askedBoundMs)
{
    public long AskedBoundMs { get; } = askedBoundMs;

    /// <summary>On the reading loop, of a greeting.</summary>
    public abstract void Take(in Greeting greeting);

    /// <summary>On the reading loop, of a beat: what stands under the epoch's name.</summary>
    public abstract void Take(ReadOnlySpan<byte> epoch);
}
