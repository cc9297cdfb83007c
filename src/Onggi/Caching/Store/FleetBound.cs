using System.Buffers.Text;
using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Caching;

/// <summary>How long memory may answer without having heard from Redis, for the whole fleet: what its processes have agreed on, and what an operator says to that.</summary>
/// <param name="BoundMs">The largest that a process has asked for, as far as the ceiling lets it: for so long a strict invalidation waits.</param>
/// <param name="CeilingMs">The longest that any memory may; 0 for none.</param>
/// <param name="SinceMs">When the ceiling was set, in ms of the server's clock; 0 for none.</param>
internal sealed record FleetBound(long BoundMs, long CeilingMs, long SinceMs)
{
    private static readonly RedisScript Script = LuaScript.Load("bound.lua");

    private static readonly ReplyParser<FleetBound?> Reply = static (ref reader) =>
        ReplyParsers.ReadArray(ref reader, static (ref number) => number.ReadInt64()) is [var bound, var ceiling, var since]
            ? new FleetBound(bound, ceiling, since)
            : null;

    /// <summary>What stands in the key of the epoch; <c>null</c> where that says nothing. One round trip.</summary>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static async ValueTask<FleetBound?> ReadAsync(RedisClient redis, string epochName, CancellationToken cancellationToken) =>
        Parse(
            await redis
                .SendAsync(["GET", epochName], ReplyParsers.Bytes, CommandOptions.Primary, cancellationToken)
                .ConfigureAwait(Rt.Capture)
        );

    /// <summary>Sets the ceiling, or takes it away; or lets the bound come down to it. One round trip.</summary>
    /// <param name="redis">Where.</param>
    /// <param name="epochName">The key of the epoch.</param>
    /// <param name="ceilingMs">The ceiling; 0 for none.</param>
    /// <param name="sinceMs">0 to set it; <see cref="SinceMs"/> of that when the bound of then is over, for everybody.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What stands there now; <c>null</c> where nobody has greeted this server.</returns>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static ValueTask<FleetBound?> SetAsync(
        RedisClient redis,
        string epochName,
        long ceilingMs,
        long sinceMs,
        CancellationToken cancellationToken
    ) => redis.Router.SendAsync(new(Script, [epochName], [ceilingMs, sinceMs]), Reply, CommandOptions.Idempotent, cancellationToken);

    /// <summary>Reads <c>id began bound</c> or <c>id began bound ceiling since</c>; <c>null</c> where it is neither.</summary>
    public static FleetBound? Parse(ReadOnlySpan<byte> text)
    {
        Span<long> numbers = stackalloc long[4];
        var count = 0;
        var left = text[(text.IndexOf((byte)' ') + 1)..];
        while (count < numbers.Length && Utf8Parser.TryParse(left, out numbers[count], out var used) && used > 0)
        {
            count++;
            left = left[used..];
            if (left.IsEmpty)
                break;
            left = left[1..];
        }

        return !left.IsEmpty ? null
            : count == 2 ? new FleetBound(numbers[1], 0, 0)
            : count == 4 ? new FleetBound(numbers[1], numbers[2], numbers[3])
            : null;
    }
}
