using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Tokens;

/// <summary>The time of the Redis server, as far as this process knows it: tokens are issued and judged by one clock, not by those of many machines.</summary>
/// <remarks>
/// Every reply that carries the server's time corrects it. A reading is the server's time when it answered plus what has passed here since the question left, so it is late by less than a round trip, never early.
/// It is asked for anew when it is a minute old, or when the machine's clock and its timer disagree: somebody set the clock, or the machine slept.
/// </remarks>
internal sealed class ServerClock(TimeProvider time)
{
    private static readonly TimeSpan GoodFor = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Jump = TimeSpan.FromSeconds(1);

    private sealed record Reading(long ServerMs, long Asked, DateTimeOffset Local);

    private Reading? _reading;

    /// <summary>Whether the server should be asked along with what is asked anyway.</summary>
    public bool IsDue =>
        Volatile.Read(ref _reading) is not { } last
        || time.GetElapsedTime(last.Asked) is var passed && (passed > GoodFor || HasJumped(last, passed));

    /// <summary>Milliseconds since 1970 by the server's clock; by ours while the server has never answered.</summary>
    public long NowMs =>
        TokenMutants.LocalClock || Volatile.Read(ref _reading) is not { } last
            ? time.GetUtcNow().ToUnixTimeMilliseconds()
            : last.ServerMs + (long)time.GetElapsedTime(last.Asked).TotalMilliseconds;

    /// <summary>Whether the server has said its time, and nothing says that it cannot be counted on from there.</summary>
    public bool IsKnown => Volatile.Read(ref _reading) is { } last && !HasJumped(last, time.GetElapsedTime(last.Asked));

    /// <summary>The server's time at a moment of ours, also at one before it was ever asked; <see cref="NowMs"/>'s way where it never was.</summary>
    public long At(long timestamp) => NowMs - (long)time.GetElapsedTime(timestamp).TotalMilliseconds;

    /// <summary>A moment to hand to <see cref="Learn(long, long)"/> with the reply to a question that leaves now.</summary>
    public long Asking() => time.GetTimestamp();

    /// <summary>The server said its time in reply to a question that left at <paramref name="asked"/>.</summary>
    public void Learn(long serverMs, long asked) => Learn(serverMs, asked, time.GetTimestamp());

    /// <summary>The same, where the reply came a while ago: at <paramref name="answered"/>.</summary>
    public void Learn(long serverMs, long asked, long answered)
    {
        // From before the question left, so that our reading is never ahead of the server by the way there and back.
        var way = time.GetElapsedTime(asked, answered);
        Volatile.Write(
            ref _reading,
            new Reading(serverMs - (long)way.TotalMilliseconds, asked, time.GetUtcNow() - time.GetElapsedTime(asked))
        );
    }

    private bool HasJumped(Reading last, TimeSpan passed) => (time.GetUtcNow() - last.Local - passed).Duration() > Jump;

    /// <summary>Asks the server; it stays as it was when that fails.</summary>
    public async ValueTask AskAsync(RedisClient redis, CancellationToken cancellationToken)
    {
        try
        {
            var (ms, asked) = await ServerTime.AskAsync(redis, time, cancellationToken).ConfigureAwait(Rt.Capture);
            Learn(ms, asked);
        }
        catch (RedisException)
        {
            // Whoever asks for more than the time is told of it there.
        }
    }
}
