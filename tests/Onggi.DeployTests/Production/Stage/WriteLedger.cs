using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Onggi.Client;

namespace Onggi.DeployTests.Production;

/// <summary>One write: its key, which no other has, when it began and ended, and how.</summary>
/// <param name="Key">The key.</param>
/// <param name="Began">A timestamp.</param>
/// <param name="Ended">A timestamp.</param>
/// <param name="Error">Why it was not acknowledged; <c>null</c> where it was.</param>
internal sealed record Write(string Key, long Began, long Ended, string? Error);

/// <summary>How the writers of a ledger write.</summary>
internal enum WriteMode
{
    /// <summary>SET: acknowledged by the primary.</summary>
    Plain,

    /// <summary>SET, and WAIT for one replica on the same connection: acknowledged when one has it.</summary>
    Wait,
}

/// <summary>Writers that write keys of their own without end, and write down what they were told: what was acknowledged and is not there in the end was lost.</summary>
internal sealed class WriteLedger : IAsyncDisposable
{
    private const int Writers = 8;
    private static readonly TimeSpan TimeToLive = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan ReplicaPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly RedisClient _redis;
    private readonly string _run;
    private readonly WriteMode _mode;
    private readonly ConcurrentQueue<Write> _writes = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _writers;

    /// <summary>Begins to write.</summary>
    /// <param name="redis">Through this client, which stays the caller's.</param>
    /// <param name="prefix">What keys begin with: such that the client's user may write them.</param>
    /// <param name="mode">How.</param>
    public WriteLedger(RedisClient redis, string prefix, WriteMode mode)
    {
        (_redis, _mode) = (redis, mode);
        _run = $"{prefix}{Guid.NewGuid():N}";
        _writers = [.. Enumerable.Range(0, Writers).Select(WriteAsync)];
    }

    /// <summary>All that ended so far.</summary>
    public IReadOnlyCollection<Write> Writes => _writes;

    /// <summary>Waits for a write of this kind.</summary>
    public async Task<Write> UntilAsync(Func<Write, bool> wanted, string what)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(20))
        {
            if (_writes.FirstOrDefault(wanted) is { } found)
                return found;
            if (watch.Elapsed > Patience)
            {
                var errors = _writes
                    .Where(write => write.Error is not null)
                    .GroupBy(write => write.Error)
                    .Select(same => $"{same.Count()} x {same.Key}");
                throw new TimeoutException(
                    $"For {Patience.TotalSeconds} s there was no write {what}, of {_writes.Count}; failed: {string.Join("; ", errors)}"
                );
            }
        }
    }

    /// <summary>Lets the writers end.</summary>
    public async Task<IReadOnlyList<Write>> EndAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_writers);
        return [.. _writes];
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _stop.Dispose();
    }

    /// <summary>Which of the writes are not there.</summary>
    public static async Task<IReadOnlyList<Write>> MissingAsync(RedisClient redis, IEnumerable<Write> writes)
    {
        var missing = new List<Write>();
        foreach (var part in writes.Chunk(500))
        {
            RedisArg[] command = ["MGET", .. part.Select(write => (RedisArg)write.Key)];
            var values = await redis.SendAsync(command, ReplyParsers.TextArray);
            missing.AddRange(part.Where((_, i) => values[i] is null));
        }

        return missing;
    }

    private async Task WriteAsync(int writer)
    {
        await Task.Yield();
        RedisLease? lease = null;
        for (var n = 0; !_stop.IsCancellationRequested; n++)
        {
            var key = $"{_run}-{writer}-{n}";
            var began = Stopwatch.GetTimestamp();
            string? error = null;
            try
            {
                if (_mode == WriteMode.Plain)
                    await _redis.SetAsync(key, "1", TimeToLive);
                else
                    error = await WaitAsync(lease ??= await _redis.LeaseAsync(), key) ? null : "no replica in time";
            }
            catch (RedisException problem)
            {
                error = problem is RedisServerException refusal ? refusal.Code : problem.GetType().Name;
                if (lease is not null)
                    await lease.DisposeAsync();
                lease = null;
            }

            _writes.Enqueue(new Write(key, began, Stopwatch.GetTimestamp(), error));
            // A pace that can be read back afterwards.
            await Task.Delay(error is null ? 2 : 10);
        }

        if (lease is not null)
            await lease.DisposeAsync();
    }

    private static async Task<bool> WaitAsync(RedisLease lease, string key)
    {
        await lease.SendAsync(
            ["SET", key, "1", "PX", (long)TimeToLive.TotalMilliseconds],
            ReplyParsers.Ignore,
            TimeSpan.FromSeconds(2),
            CancellationToken.None
        );
        var milliseconds = ((long)ReplicaPatience.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        return await lease.SendAsync(["WAIT", "1", milliseconds], ReplyParsers.Int64, ReplicaPatience * 3, CancellationToken.None) >= 1;
    }
}
