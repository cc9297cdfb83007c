using System.Collections.Concurrent;
using System.Diagnostics;
using Onggi.Client;

namespace Onggi.ServerTests.Client.Sentinel;

/// <summary>One call of a writer: its key, when it began and ended, and how.</summary>
/// <param name="Key">Used by this call alone.</param>
/// <param name="Began">A timestamp.</param>
/// <param name="Ended">A timestamp.</param>
/// <param name="Reply">What INCR answered; <c>null</c> when it failed.</param>
/// <param name="Error">Why it failed.</param>
internal sealed record Entry(string Key, long Began, long Ended, long? Reply, Exception? Error);

/// <summary>Writers that count up a fresh key with every call, and write down what they were told: a key that is ever 2 was counted twice by one call.</summary>
internal sealed class Ledger : IAsyncDisposable
{
    private readonly RedisClient _redis;
    private readonly ConcurrentQueue<Entry> _entries = [];
    private readonly ConcurrentQueue<(Func<Entry, bool> Wanted, TaskCompletionSource<Entry> Came)> _wanted = [];
    private readonly Task[] _writers;
    private volatile bool _stop;

    public Ledger(RedisClient redis, int writers, CommandOptions options = CommandOptions.None)
    {
        _redis = redis;
        _writers = [.. Enumerable.Range(0, writers).Select(writer => WriteAsync(writer, options))];
    }

    /// <summary>The next entry of this kind.</summary>
    public async Task<Entry> NextAsync(Func<Entry, bool> wanted)
    {
        var came = new TaskCompletionSource<Entry>(TaskCreationOptions.RunContinuationsAsynchronously);
        _wanted.Enqueue((wanted, came));
        try
        {
            return await came.Task.Within();
        }
        catch (TimeoutException late)
        {
            var errors = _entries.Where(entry => entry.Error is not null).GroupBy(entry => entry.Error!.Message);
            throw new TimeoutException(
                $"Of {_entries.Count} calls none was as wanted. Connected: {_redis.IsConnected}; failed: {string.Join('\n', errors.Select(same => $"{same.Count()} x {same.Key}"))}",
                late
            );
        }
    }

    /// <summary>Lets the writers end their calls, and returns all entries.</summary>
    public async Task<IReadOnlyList<Entry>> EndAsync()
    {
        _stop = true;
        await Task.WhenAll(_writers).Within();
        return [.. _entries];
    }

    public async ValueTask DisposeAsync()
    {
        _stop = true;
        await Task.WhenAll(_writers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task WriteAsync(int writer, CommandOptions options)
    {
        await Task.Yield();
        for (var n = 0; !_stop; n++)
        {
            var key = $"ledger:{writer}:{n}";
            var began = Stopwatch.GetTimestamp();
            Entry entry;
            try
            {
                var reply = await _redis.SendAsync(["INCR", key], ReplyParsers.Int64, options);
                entry = new Entry(key, began, Stopwatch.GetTimestamp(), reply, null);
            }
            catch (Exception error)
            {
                entry = new Entry(key, began, Stopwatch.GetTimestamp(), null, error);
            }

            _entries.Enqueue(entry);
            foreach (var (wanted, came) in _wanted)
                if (wanted(entry))
                    came.TrySetResult(entry);
            if (n % 16 == 15)
                await Task.Delay(1);
        }
    }

    /// <summary>What the server holds under these keys, 0 where it holds nothing.</summary>
    public static async Task<long[]> ReadAsync(RedisClient redis, IEnumerable<Entry> entries)
    {
        var values = new List<long>();
        foreach (var part in entries.Chunk(500))
        {
            RedisArg[] command = ["MGET", .. part.Select(entry => (RedisArg)entry.Key)];
            var reply = await redis.SendAsync(command, ReplyParsers.TextArray).Within();
            values.AddRange(reply.Select(text => text is null ? 0 : long.Parse(text, System.Globalization.CultureInfo.InvariantCulture)));
        }

        return [.. values];
    }
}
