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

    private const int MostQuestions = 3;

    private static readonly TimeSpan Quick = TimeSpan.FromMilliseconds(100);

    /// <summary>Milliseconds since 1970, and when the question for it left. One round trip; up to three where answers are slow.</summary>
    /// <remarks>A question that waited for the link was answered long after it was asked, and what happened meanwhile would seem to be older than it is: then it is asked again.</remarks>
    /// <exception cref="RedisException">It could not be asked.</exception>
    public static async ValueTask<(long Ms, long Asked)> AskAsync(RedisClient redis, TimeProvider time, CancellationToken cancellationToken)
    {
        for (var left = MostQuestions; ; left--)
        {
            var asked = time.GetTimestamp();
            var ms = await redis.SendAsync(["TIME"], Reply, CommandOptions.Idempotent, cancellationToken).ConfigureAwait(Rt.Capture);
            if (left == 1 || time.GetElapsedTime(asked) < Quick)
                return (ms, asked);
        }
    }
}
