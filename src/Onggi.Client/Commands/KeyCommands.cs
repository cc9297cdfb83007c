using System.Runtime.CompilerServices;

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

        /// <summary>Sets how long the key has to live; <c>false</c> when it does not exist. One round trip. (PEXPIRE)</summary>
        public ValueTask<bool> ExpireAsync(RedisArg key, TimeSpan timeToLive, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["PEXPIRE", key, (long)timeToLive.TotalMilliseconds], ReplyParsers.Boolean, cancellationToken);

        /// <summary>The keys that match a glob pattern, found step by step (SCAN): every key that stands during the whole walk comes at least once, perhaps twice.</summary>
        /// <param name="pattern">Redis glob: <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>\</c> escapes.</param>
        /// <param name="count">How many keys the server looks at per round trip.</param>
        /// <param name="cancellationToken">Ends the walk.</param>
        public async IAsyncEnumerable<string> ScanAsync(
            string pattern,
            int count = 500,
            [EnumeratorCancellation] CancellationToken cancellationToken = default
        )
        {
            var cursor = "0";
            do
            {
                var page = await redis
                    .SendAsync(["SCAN", cursor, "MATCH", pattern, "COUNT", count], ScanPage.Parser, cancellationToken)
                    .ConfigureAwait(Rt.Capture);
                cursor = page.Cursor;
                foreach (var key in page.Keys)
                    yield return key!;
            } while (cursor != "0");
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
