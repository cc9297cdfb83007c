using System.Buffers;

namespace Onggi.Client;

/// <summary>Commands on plain values. Each is one round trip.</summary>
public static class StringCommands
{
    extension(RedisClient redis)
    {
        /// <summary>The value under <paramref name="key"/> as bytes; <c>null</c> when there is none. (GET)</summary>
        public ValueTask<byte[]?> GetAsync(RedisArg key, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["GET", key], ReplyParsers.Bytes, cancellationToken);

        /// <summary>The value under <paramref name="key"/> in memory from the pool, to be disposed; nothing is allocated. (GET)</summary>
        public ValueTask<PooledBytes> GetPooledAsync(RedisArg key, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["GET", key], ReplyParsers.PooledBytes, cancellationToken);

        /// <summary>Writes the value under <paramref name="key"/> to <paramref name="destination"/>; how many bytes, <c>null</c> when there is no value. (GET)</summary>
        /// <remarks>It is written on the connection's reading loop, before the call ends; after a cancelled call nothing is written any more.</remarks>
        public ValueTask<int?> GetIntoAsync(RedisArg key, IBufferWriter<byte> destination, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["GET", key], destination, ReplyParsers.Into, CommandOptions.None, cancellationToken);

        /// <summary>The value under <paramref name="key"/> as text; <c>null</c> when there is none. (GET)</summary>
        public ValueTask<string?> GetStringAsync(RedisArg key, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["GET", key], ReplyParsers.Text, cancellationToken);

        /// <summary>The values under the keys, in their order, <c>null</c> where there is none. (MGET)</summary>
        public ValueTask<byte[]?[]> GetManyAsync(ReadOnlySpan<RedisArg> keys, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["MGET", .. keys], ReplyParsers.BytesArray, cancellationToken);

        /// <summary>Puts a value, for <paramref name="timeToLive"/> where it is given (rounded down to whole milliseconds, at least 1). (SET)</summary>
        public ValueTask<bool> SetAsync(
            RedisArg key,
            RedisArg value,
            TimeSpan? timeToLive = null,
            CancellationToken cancellationToken = default
        ) =>
            timeToLive is { } ttl
                ? redis.SendAsync(
                    ["SET", key, value, "PX", Math.Max(1, (long)ttl.TotalMilliseconds)],
                    ReplyParsers.Boolean,
                    cancellationToken
                )
                : redis.SendAsync(["SET", key, value], ReplyParsers.Boolean, cancellationToken);
    }
}
