using System.Runtime.CompilerServices;
using Onggi.Client.Routing;

namespace Onggi.Client;

/// <summary>Commands on keys of any type.</summary>
public static class KeyCommands
{
    extension(RedisClient redis)
    {
        /// <summary>Removes keys and frees their memory in the background; how many there were. One round trip. (UNLINK)</summary>
        public ValueTask<long> UnlinkAsync(ReadOnlySpan<RedisArg> keys, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["UNLINK", .. keys], ReplyParsers.Int64, cancellationToken);

        /// <summary>Whether the key exists. One round trip. (EXISTS)</summary>
        public ValueTask<bool> ExistsAsync(RedisArg key, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["EXISTS", key], ReplyParsers.Boolean, cancellationToken);

        /// <summary>How long the key has to live; <c>null</c> when it has no time to live or does not exist. One round trip. (PTTL)</summary>
        public ValueTask<TimeSpan?> TimeToLiveAsync(RedisArg key, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["PTTL", key], ReplyParsers.Milliseconds, cancellationToken);

        /// <summary>Sets how long the key has to live (rounded down to whole milliseconds, at least 1); <c>false</c> when it does not exist. One round trip. (PEXPIRE)</summary>
        /// <remarks>Nothing or less than nothing removes the key, as Redis does.</remarks>
        public ValueTask<bool> ExpireAsync(RedisArg key, TimeSpan timeToLive, CancellationToken cancellationToken = default)
        {
            // What is left of a time to live can be a part of a millisecond, which must not mean something else than a whole one.
            var most = (long)timeToLive.TotalMilliseconds;
            return redis.SendAsync(
                ["PEXPIRE", key, timeToLive > TimeSpan.Zero ? Math.Max(1, most) : most],
                ReplyParsers.Boolean,
                cancellationToken
            );
        }

        /// <summary>The keys that match a glob pattern, found step by step (SCAN): every key that stands during the whole walk comes at least once, perhaps twice.</summary>
        /// <remarks>On a cluster all primaries are walked, and again whoever has been given slots meanwhile. A key that is just being moved from one node to another can be missed.</remarks>
        /// <param name="pattern">Redis glob: <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>\</c> escapes.</param>
        /// <param name="count">How many keys the server looks at per round trip.</param>
        /// <param name="cancellationToken">Ends the walk.</param>
        public async IAsyncEnumerable<string> ScanAsync(
            string pattern,
            int count = 500,
            [EnumeratorCancellation] CancellationToken cancellationToken = default
        )
        {
            var walk = await redis.NewWalkAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            while (walk.Next())
            {
                var cursor = "0";
                do
                {
                    var page = await NextPageAsync(redis, walk, cursor, pattern, count, cancellationToken).ConfigureAwait(Rt.Capture);
                    foreach (var key in page?.Keys ?? [])
                        yield return key!;
                    if (page is null || !walk.StillThere)
                        break;
                    cursor = page.Cursor;
                    if (cursor == "0")
                        walk.Done();
                } while (cursor != "0");
            }
        }
    }

    // Null when whoever was asked has lost its keys to somebody else.
    private static async ValueTask<ScanPage?> NextPageAsync(
        RedisClient redis,
        KeyWalk walk,
        string cursor,
        string pattern,
        int count,
        CancellationToken cancellationToken
    )
    {
        try
        {
            return await redis
                .SendToAsync(walk.Slot, ["SCAN", cursor, "MATCH", pattern, "COUNT", count], ScanPage.Parser, cancellationToken)
                .ConfigureAwait(Rt.Capture);
        }
        catch (RedisException) when (!walk.StillThere)
        {
            return null;
        }
    }

    private sealed record ScanPage(string Cursor, string?[] Keys)
    {
        public static readonly ReplyParser<ScanPage> Parser = static (ref reader) =>
        {
            reader.Read();
            var cursor = reader.ReadString()!;
            reader.Read();
            return new ScanPage(cursor, ReplyParsers.TextArray(ref reader));
        };
    }
}
