using Onggi.Batches;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Locks;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi;

/// <summary>The entry: hands out the parts of the team's one Redis. Each part can be injected by itself too.</summary>
public sealed class OnggiKeyspace
{
    internal OnggiKeyspace(
        Keyspace keys,
        OnggiCache cache,
        OnggiSessions sessions,
        OnggiTokens tokens,
        OnggiEvents events,
        OnggiLocks locks,
        OnggiLimits limits,
        OnggiBatches batches,
        RedisClient redis
    )
    {
        Keys = keys;
        Cache = cache;
        Sessions = sessions;
        Tokens = tokens;
        Events = events;
        Locks = locks;
        Limits = limits;
        Batches = batches;
        Redis = redis;
    }

    /// <summary>The catalog for this environment and service: names and rules.</summary>
    public Keyspace Keys { get; }

    /// <summary>Values that can be had again from elsewhere, kept where everybody can read them.</summary>
    public OnggiCache Cache { get; }

    /// <summary>Who is signed in. Its methods throw <see cref="InvalidOperationException"/> where the catalog has no sessions.</summary>
    public OnggiSessions Sessions { get; }

    /// <summary>Credentials: issued, checked, refreshed, taken back.</summary>
    public OnggiTokens Tokens { get; }

    /// <summary>What happened, to and from other services.</summary>
    public OnggiEvents Events { get; }

    /// <summary>What only one may work on at a time.</summary>
    public OnggiLocks Locks { get; }

    /// <summary>How much may be done per time.</summary>
    public OnggiLimits Limits { get; }

    /// <summary>Many entries of the cache at once.</summary>
    public OnggiBatches Batches { get; }

    /// <summary>Redis itself, for commands that no part covers.</summary>
    public RedisClient Redis { get; }

    /// <inheritdoc cref="OnggiBatches.Create"/>
    public OnggiBatch Batch() => Batches.Create();

    /// <inheritdoc cref="OnggiBatches.CreateAtomic"/>
    public OnggiBatch AtomicBatch() => Batches.CreateAtomic();
}
