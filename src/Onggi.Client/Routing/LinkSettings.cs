using Onggi.Client.Connections;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>What a link is for.</summary>
internal enum LinkPurpose
{
    /// <summary>The commands of all callers.</summary>
    Commands,

    /// <summary>Large values, so that nobody in a hurry waits behind them.</summary>
    Bulk,

    /// <summary>Callers who block.</summary>
    Blocking,

    /// <summary>Published messages.</summary>
    Subscriptions,

    /// <summary>Reads whose keys the server watches for us.</summary>
    Tracking,

    /// <summary>One caller's own, for commands that hold up a connection.</summary>
    Lease,

    /// <summary>Questions about where the primary is.</summary>
    Discovery,
}

/// <summary>What makes one link different from another.</summary>
internal sealed record LinkSettings(ServerSource Server, LinkPurpose Purpose)
{
    /// <summary>Commands that belong to the handshake, after HELLO: READONLY, CLIENT TRACKING. A refused one fails the attempt.</summary>
    public IReadOnlyList<RedisArg[]> Setup { get; init; } = [];

    /// <summary>Who gets the pushes; <c>null</c> for nobody.</summary>
    public IPushSink? Pushes { get; init; }

    /// <summary>Whether commands that wait for a connection are handed back when there is none to be had, because their origin knows somebody else to ask.</summary>
    public bool HandsBack { get; init; }

    /// <summary>Where what it does is counted.</summary>
    public PumpCounters Counters { get; init; } = new();
}
