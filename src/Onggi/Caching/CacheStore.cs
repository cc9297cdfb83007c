using Onggi.Client;

namespace Onggi.Caching;

/// <summary>What stands under a name in Redis: bytes, nothing, or more bytes than the cache takes.</summary>
internal readonly record struct StoredValue(byte[]? Json, bool IsOversized);

/// <summary>The four things that the cache asks of Redis. A seam so that tests can hold answers back; there is one in production.</summary>
internal interface ICacheStore
{
    /// <summary>Whether there is no connection, and it was lost or an attempt to make one has failed: asking would only wait.</summary>
    bool IsKnownDown { get; }

    /// <summary>How long one answer is waited for.</summary>
    TimeSpan CommandTimeout { get; }

    ValueTask<StoredValue> GetAsync(string wireName, CancellationToken cancellationToken);

    ValueTask<StoredValue[]> GetManyAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken);

    /// <summary>Puts a value. The command is in the send buffer when the call returns, so that later commands come after it.</summary>
    ValueTask SetAsync(string wireName, ReadOnlyMemory<byte> json, TimeSpan timeToLive, CancellationToken cancellationToken);

    /// <summary>Removes the values and whatever right to fill them is out.</summary>
    ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken);
}

/// <summary>The cache's commands on a real Redis. Each call is one round trip.</summary>
internal sealed class CacheStore : ICacheStore
{
    private readonly RedisClient _redis;
    private readonly ReplyParser<StoredValue> _value;
    private readonly ReplyParser<StoredValue[]> _values;

    public CacheStore(RedisClient redis, int maxValueBytes)
    {
        _redis = redis;
        // An oversized value is refused before a copy of it is made.
        ReplyParser<StoredValue> value = (ref reader) =>
            reader.Value.Length > maxValueBytes ? new StoredValue(null, IsOversized: true) : new StoredValue(reader.ReadBytes(), false);
        _value = value;
        _values = (ref reader) => ReplyParsers.ReadArray(ref reader, value);
    }

    public bool IsKnownDown => _redis.IsKnownDown;

    public TimeSpan CommandTimeout => _redis.Options.CommandTimeout;

    public ValueTask<StoredValue> GetAsync(string wireName, CancellationToken cancellationToken) =>
        _redis.SendAsync(["GET", wireName], _value, cancellationToken);

    public ValueTask<StoredValue[]> GetManyAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken)
    {
        var command = new RedisArg[1 + wireNames.Length];
        command[0] = "MGET";
        for (var i = 0; i < wireNames.Length; i++)
            command[1 + i] = wireNames.Span[i];
        return _redis.SendAsync(command, _values, cancellationToken);
    }

    public async ValueTask SetAsync(string wireName, ReadOnlyMemory<byte> json, TimeSpan timeToLive, CancellationToken cancellationToken) =>
        await _redis
            .SendAsync(
                ["SET", wireName, json, "PX", Math.Max(1, (long)timeToLive.TotalMilliseconds)],
                ReplyParsers.Ignore,
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);

    public async ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken)
    {
        var command = new RedisArg[1 + (2 * wireNames.Length)];
        command[0] = "UNLINK";
        for (var i = 0; i < wireNames.Length; i++)
        {
            command[1 + (2 * i)] = wireNames.Span[i];
            command[2 + (2 * i)] = LeaseName(wireNames.Span[i]);
        }

        await _redis.SendAsync(command, ReplyParsers.Ignore, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>
    /// The name under which nodes keep the right to fill an entry. This version takes no such right, but it withdraws it: so nodes that do can
    /// share a Redis with it. It hashes to the entry's own slot.
    /// </summary>
    internal static string LeaseName(string wireName) => HasHashTag(wireName) ? wireName + ":~l" : "{" + wireName + "}:l";

    // Redis's rule: what stands between the first brace and the next closing one, when that is not nothing.
    private static bool HasHashTag(string wireName)
    {
        var open = wireName.IndexOf('{', StringComparison.Ordinal);
        return open >= 0 && wireName.IndexOf('}', open + 1) > open + 1;
    }
}
