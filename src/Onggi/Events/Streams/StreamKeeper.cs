using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Events.Streams;

/// <summary>Trims the streams that this process uses, and reports groups that do not settle. Every process has one; none of them leads.</summary>
/// <remarks>Whoever comes first in a period trims, the others only hear how the groups stand. A round removes a bounded number, and goes on at once while there is more.</remarks>
internal sealed class StreamKeeper : IAsyncDisposable
{
    /// <summary>About how many events are removed in one step: Redis does nothing else meanwhile.</summary>
    internal const long AtATime = 1000;

    private static readonly TimeSpan ReportEvery = TimeSpan.FromHours(1);
    private static readonly TimeSpan ForgetConsumersAfter = TimeSpan.FromDays(1);

    private readonly RedisClient _redis;
    private readonly StreamOptions _options;
    private readonly StreamMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly StreamScripts _scripts = StreamScripts.ForNow();
    private readonly ConcurrentDictionary<string, StreamKeys> _streams = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Type, string Group), long> _reported = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new(); // Guards the beginning of the loop.
    private Task? _loop;
    private bool _failing;

    public StreamKeeper(RedisClient redis, StreamOptions options, StreamMetrics metrics, ILogger logger, TimeProvider time)
    {
        _redis = redis;
        _options = options;
        _metrics = metrics;
        _logger = logger;
        _time = time;
    }

    /// <summary>Looks after a stream from now on.</summary>
    public void Keep(StreamKeys keys)
    {
        if (!_streams.TryAdd(keys.Type, keys))
            return;
        lock (_gate)
        {
            if (_loop is not null || _stop.IsCancellationRequested)
                return;
            using var flow = Rt.WithoutFlow();
            _loop = RunAsync(_stop.Token);
        }
    }

    /// <summary>Removes what all groups have settled, and tells how they stand.</summary>
    /// <param name="keys">The stream.</param>
    /// <param name="always">Whether to trim even if somebody did just now.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<TrimReply> TrimAsync(StreamKeys keys, bool always, CancellationToken cancellationToken)
    {
        var pace = always ? 0 : Math.Max(1, (long)(_options.TrimEvery.TotalMilliseconds * 0.9));
        var reply = await AskAsync(keys, pace, cancellationToken).ConfigureAwait(Rt.Capture);
        var removed = reply.Removed;
        // The last step takes less than a whole node. Without a bound it would run after those who are settling.
        for (var more = reply.Removed; more > 0; )
        {
            reply = await AskAsync(keys, 0, cancellationToken).ConfigureAwait(Rt.Capture);
            removed += reply.Removed;
            more = more >= AtATime / 2 ? reply.Removed : 0;
        }

        reply = reply with { Removed = removed };
        _metrics.Trimmed(keys.Type, reply);
        return reply;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        Task? loop;
        lock (_gate)
            loop = _loop;
        if (loop is not null)
            await loop.ConfigureAwait(Rt.Quietly);
        _stop.Dispose();
    }

    private ValueTask<TrimReply> AskAsync(StreamKeys keys, long pace, CancellationToken cancellationToken) =>
        _redis.EvalAsync(
            _scripts.Trim,
            [keys.Stream, keys.Pace],
            [
                pace,
                (long)_options.KeepSettled.TotalMilliseconds,
                (long)_options.KeepUnheard.TotalMilliseconds,
                AtATime,
                (long)ForgetConsumersAfter.TotalMilliseconds,
            ],
            StreamReplies.Trim,
            cancellationToken
        );

    private async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            foreach (var keys in _streams.Values)
                await LookAfterAsync(keys, stop).ConfigureAwait(Rt.Capture);
            await Task.Delay(_options.TrimEvery, _time, stop).ConfigureAwait(Rt.Quietly);
        }
    }

    private async ValueTask LookAfterAsync(StreamKeys keys, CancellationToken stop)
    {
        try
        {
            var reply = await TrimAsync(keys, always: false, stop).ConfigureAwait(Rt.Capture);
            foreach (var group in reply.Groups)
                Report(keys.Type, group);
            _failing = false;
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException)
        {
            // We end, or the client has.
        }
        catch (Exception failure)
        {
            if (!_failing)
                StreamLog.CannotTrim(_logger, failure.Message, failure is RedisException ? null : failure);
            _failing = true;
        }
    }

    private void Report(string type, StreamGroupStatus group)
    {
        if (group.Oldest is not { } age || age < _options.ReportAfter)
        {
            _reported.Remove((type, group.Group));
            return;
        }

        if (_reported.TryGetValue((type, group.Group), out var then) && _time.GetElapsedTime(then) < ReportEvery)
            return;
        _reported[(type, group.Group)] = _time.GetTimestamp();
        StreamLog.GroupLags(_logger, type, group.Group, age, group.Pending, group.Waiting);
    }
}
