using System.Collections.Concurrent;

namespace Onggi.Client.Transport;

/// <summary>Why bytes were sent when they were.</summary>
internal enum FlushCause
{
    /// <summary>The only command under way was sent by its caller.</summary>
    Alone,

    /// <summary>After a batch of replies, what their callers asked next.</summary>
    Batch,

    /// <summary>By a work item, what several callers had asked by then.</summary>
    Queued,

    /// <summary>By the keeper, because nobody else came to it.</summary>
    Keeper,

    /// <summary>By a caller who blocks.</summary>
    Sync,
}

/// <summary>A standing connection, as metrics see it.</summary>
internal interface IMeasuredLink
{
    /// <summary>What it is for, in a word.</summary>
    string Kind { get; }

    RedisAddress Address { get; }

    bool IsConnected { get; }

    int InFlight { get; }

    /// <summary>When the command that waits longest was asked, as a timestamp; <see cref="long.MaxValue"/> when none waits. As of the last look, a few times a second.</summary>
    long OldestAsked { get; }
}

/// <summary>What a client's connections have done, for metrics. Cheap enough to be always on: plain additions, a lost one does no harm.</summary>
/// <param name="certificates">Where certificates are noted; <c>null</c> for a place of its own.</param>
internal sealed class PumpCounters(SeenCertificates? certificates = null)
{
    private readonly ConcurrentDictionary<IMeasuredLink, bool> _links = new();
    private readonly long[] _flushes = new long[5];
    private long _reads;
    private long _replies;
    private long _sends;
    private long _bytesSent;
    private long _bytesReceived;
    private long _takeOvers;
    private long _polls;

    public IEnumerable<IMeasuredLink> Links => _links.Keys;

    /// <summary>What servers have shown who speak TLS.</summary>
    public SeenCertificates Certificates { get; } = certificates ?? new SeenCertificates();

    public long Reads => Volatile.Read(ref _reads);

    public long Replies => Volatile.Read(ref _replies);

    public long Sends => Volatile.Read(ref _sends);

    public long BytesSent => Volatile.Read(ref _bytesSent);

    public long BytesReceived => Volatile.Read(ref _bytesReceived);

    public long TakeOvers => Volatile.Read(ref _takeOvers);

    /// <summary>How often a reader has looked for what had not been told of.</summary>
    public long Polls => Volatile.Read(ref _polls);

    public long Flushes(FlushCause cause) => Volatile.Read(ref _flushes[(int)cause]);

    public void Add(IMeasuredLink link) => _links.TryAdd(link, true);

    public void Remove(IMeasuredLink link) => _links.TryRemove(link, out _);

    public void Flushed(FlushCause cause) => _flushes[(int)cause]++;

    public void Sent(int bytes)
    {
        _sends++;
        _bytesSent += bytes;
    }

    public void Received(int bytes, int replies)
    {
        _reads++;
        _bytesReceived += bytes;
        _replies += replies;
    }

    public void TakenOver() => _takeOvers++;

    public void Polled(int times) => _polls += times;
}
