using System.Globalization;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Scripts;

namespace Onggi.Caching;

/// <summary>What the fleet knows of its warm-ups: which were run, and which one process is running now.</summary>
internal interface IWarmMarks
{
    /// <summary>Asks whether a round has been run; if not, and if nobody is at it, it is ours. One round trip.</summary>
    ValueTask<WarmMark> ClaimAsync(string warmUp, string holder, TimeSpan claim, long round, CancellationToken cancellationToken);

    /// <summary>Lengthens our claim, or gives it back (<paramref name="claim"/> zero); whether it was still ours. One round trip.</summary>
    ValueTask<bool> KeepAsync(string warmUp, string holder, TimeSpan claim, CancellationToken cancellationToken);

    /// <summary>Says that the round was run, and gives the claim back; <c>false</c>, and nothing said, when it was no longer ours. One round trip.</summary>
    ValueTask<bool> DoneAsync(string warmUp, string holder, long round, CancellationToken cancellationToken);
}

/// <summary>What became of asking for a warm-up. The numbers are the script's.</summary>
internal enum WarmState
{
    Claimed = 0,
    Warm = 1,
    Held = 2,
}

/// <summary>What Redis says of a warm-up.</summary>
/// <param name="State">Whether it was run, is ours to run, or another's.</param>
/// <param name="Left">How long another's claim still stands.</param>
/// <param name="Round">The last round that was run; -1 when none was, or Redis has been emptied since.</param>
internal sealed record WarmMark(WarmState State, TimeSpan Left, long Round);

/// <summary>The marks in Redis: <c>&lt;prefix&gt;onggi:warmed:&lt;service&gt;:&lt;name&gt;</c> holds the last round that was run, its lease names the process that runs one now.</summary>
/// <remarks>
/// When Redis comes back empty the marks are gone, and that is how it is noticed; data that survived a restart or a failover brings them along. A mark lives for a week from when
/// somebody last asked for it: a fleet that was away for longer finds nothing in the cache that could still be warm.
/// </remarks>
internal sealed class WarmMarks(RedisClient redis, Keyspace keyspace, Func<bool> cacheIsAway) : IWarmMarks
{
    public static readonly TimeSpan Life = TimeSpan.FromDays(7);

    private static readonly RedisScript ClaimScript = LuaScript.Load("warmclaim.lua");
    private static readonly RedisScript KeepScript = LuaScript.Load("warmkeep.lua");
    private static readonly RedisScript DoneScript = LuaScript.Load("warmdone.lua");

    private static readonly ReplyParser<WarmMark> Mark = static (ref reader) =>
    {
        reader.Read();
        var state = (WarmState)reader.ReadInt64();
        reader.Read();
        // A claim that a person set may have no end: then we look again as if it had just begun.
        var left = Math.Max(0, reader.ReadInt64());
        reader.Read();
        return new WarmMark(state, TimeSpan.FromMilliseconds(left), reader.ReadInt64());
    };

    private static readonly ReplyParser<bool> Done = static (ref reader) => reader.ReadInt64() == 1;

    /// <summary>The name of the mark in Redis.</summary>
    public static string NameOf(Keyspace keyspace, string warmUp) => $"{keyspace.Prefix}onggi:warmed:{keyspace.Service}:{warmUp}";

    public ValueTask<WarmMark> ClaimAsync(string warmUp, string holder, TimeSpan claim, long round, CancellationToken cancellationToken)
    {
        // Values go over a connection of the cache's own: who cannot store must not keep the others from it for as long as a claim stands.
        if (cacheIsAway())
            return ValueTask.FromException<WarmMark>(new RedisConnectionException("The cache has no connection to Redis.", Sent.No));
        var mark = NameOf(keyspace, warmUp);
        return redis.EvalAsync(
            ClaimScript,
            [mark, LeaseName.Of(mark)],
            [holder, Milliseconds(claim), Text(round), Milliseconds(Life)],
            Mark,
            cancellationToken
        );
    }

    public ValueTask<bool> KeepAsync(string warmUp, string holder, TimeSpan claim, CancellationToken cancellationToken) =>
        redis.EvalAsync(KeepScript, [LeaseName.Of(NameOf(keyspace, warmUp))], [holder, Milliseconds(claim)], Done, cancellationToken);

    public ValueTask<bool> DoneAsync(string warmUp, string holder, long round, CancellationToken cancellationToken)
    {
        var mark = NameOf(keyspace, warmUp);
        return redis.EvalAsync(DoneScript, [mark, LeaseName.Of(mark)], [holder, Text(round), Milliseconds(Life)], Done, cancellationToken);
    }

    private static string Milliseconds(TimeSpan time) => Text((long)time.TotalMilliseconds);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
