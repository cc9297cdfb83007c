using System.Globalization;
using Onggi.Client;

namespace Onggi.Scripts;

/// <summary>What the clock of the server says.</summary>
internal static class ServerTime
{
    private static readonly ReplyParser<long> Reply = static (ref reader) =>
    {
        var parts = ReplyParsers.ReadArray(ref reader, static (ref part) => long.Parse(part.ReadString()!, CultureInfo.InvariantCulture));
        return (parts[0] * 1000) + (parts[1] / 1000);
    };

    /// <summary>Milliseconds since 1970. One round trip.</summary>
    public static ValueTask<long> AskAsync(RedisClient redis, CancellationToken cancellationToken) =>
        redis.SendAsync(["TIME"], Reply, CommandOptions.Idempotent, cancellationToken);
}
