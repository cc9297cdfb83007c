using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Events.Streams;

/// <summary>What a consumer needs to handle its messages.</summary>
internal sealed record StreamTools(
    StreamStore Store,
    Func<EventEnvelope, StreamDelivery, CancellationToken, ValueTask> Handler,
    TimeSpan DrainTimeout,
    StreamMetrics Metrics,
    ILogger Logger,
    TimeProvider Time
);

/// <summary>One message in hand: it is handled, and then said to Redis what became of it.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The sources have no handles: they are never asked for one, and no timer.")]
internal sealed class StreamWork
{
    private const int LongestReason = 500;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private readonly StreamTools _tools;
    private readonly StreamStore _store;
    private readonly StreamEntry _entry;
    private readonly EventEnvelope? _envelope;
    private readonly string? _problem;
    private readonly CancellationTokenSource _cancel = new();
    private readonly CancellationTokenSource _giveUp = new();
    private readonly TaskCompletionSource _ended = new(Rt.Signals);
    private volatile bool _lost;
    private volatile bool _settles;

    public StreamWork(StreamTools tools, StreamEntry entry)
    {
        _tools = tools;
        _store = tools.Store;
        _entry = entry;
        if (entry.Event is null)
            _problem = "it has no field \"event\"";
        else if (EventEnvelope.TryRead(entry.Event, out _envelope, out _problem) && _envelope.Type is { } named && named != _store.Type)
            _problem = "it says that it is of another type";
        MarkKey = _store.MarkKey(StreamKeys.MarkIdOf(_envelope?.Id ?? "", entry.Id));
    }

    public string Id => _entry.Id;

    public string MarkKey { get; }

    /// <summary>In how long it is tried again; <c>null</c> when it is not.</summary>
    public TimeSpan? Delay { get; private set; }

    /// <summary>Ends when it is settled, or given up.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Another has it now: the handler is to stop, and there is nothing to say to Redis.</summary>
    public void Lose()
    {
        // What we have just settled ourselves is nobody's any more.
        if (_lost || _settles)
            return;
        _lost = true;
        StreamLog.TakenOver(_tools.Logger, _store.Type, _store.Group, _entry.Id);
        _cancel.Cancel();
    }

    /// <summary>We end: the handler is to stop, and the message is given back.</summary>
    public void GiveUp()
    {
        _giveUp.Cancel();
        _cancel.Cancel();
    }

    /// <summary>Handles it and settles it, and tells <paramref name="ended"/>; it never throws.</summary>
    /// <param name="isMarked">Its mark stands: it is done already.</param>
    /// <param name="serverTimeUs">Redis's time at which its mark was looked at.</param>
    /// <param name="consumer">Who we are.</param>
    /// <param name="ended">Called at the end.</param>
    public async Task RunAsync(bool isMarked, long serverTimeUs, string consumer, Action<StreamWork> ended)
    {
        // The reader goes on with the next message, whatever a handler does before its first wait.
        await Rt.YieldAsync().ConfigureAwait(Rt.Capture);
        try
        {
            if (_entry.Attempt > 1)
                _tools.Metrics.Redelivered(_store.Type, _store.Group);
            var outcome = await OutcomeAsync(isMarked, $"{serverTimeUs} {consumer} {_entry.Attempt}").ConfigureAwait(Rt.Capture);
            _tools.Metrics.Delivered(_store.Type, _store.Group, outcome);
        }
        catch (Exception mistake)
        {
            StreamLog.WorkFailed(_tools.Logger, _store.Type, _entry.Id, mistake);
        }

        ended(this);
        _ended.TrySetResult();
    }

    private async ValueTask<string> OutcomeAsync(bool isMarked, string markValue)
    {
        // What was driven back from another group's quarantine is not for us.
        if (_entry.For is { } only && only != _store.Group)
            return await DoneAsync(StreamMetrics.Outcomes.Passed, marks: false).ConfigureAwait(Rt.Capture);
        if (isMarked)
            return await DoneAsync(StreamMetrics.Outcomes.Marked, marks: true).ConfigureAwait(Rt.Capture);
        if (_problem is not null)
            return await QuarantineAsync(StreamMetrics.Reasons.Unreadable, _problem, null).ConfigureAwait(Rt.Capture);
        if (_entry.Attempt > 2L * _store.Options.MaxAttempts)
            return await QuarantineAsync(
                    StreamMetrics.Reasons.Abandoned,
                    $"handed out {_entry.Attempt - 1} times without an answer: its handler may end the process",
                    null
                )
                .ConfigureAwait(Rt.Capture);
        return await HandleAsync(markValue).ConfigureAwait(Rt.Capture);
    }

    private async ValueTask<string> HandleAsync(string markValue)
    {
        var options = _store.Options;
        var began = _tools.Time.GetTimestamp();
        var patience = new CancellationTokenSource(options.HandlerTimeout, _tools.Time);
        var either = new CancellationTokenSource();
        var whenCancelled = _cancel.Token.UnsafeRegister(Stop, either);
        var whenLate = patience.Token.UnsafeRegister(Stop, either);
        var delivery = new StreamDelivery(_store, _entry.Id, _entry.Attempt, MarkKey, markValue, Lose);
        Task? handling = null;
        using var span = EventSpans.Begin(_store.Type, _envelope!, _store.Group);
        try
        {
            handling = _tools.Handler(_envelope!, delivery, either.Token).AsTask();
            // A handler that does not listen to its token is not waited for without end.
            await handling.WaitAsync(options.HandlerTimeout + _tools.DrainTimeout, _tools.Time).ConfigureAwait(Rt.Capture);
            return await DoneAsync(StreamMetrics.Outcomes.Done, marks: true).ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException) when (_lost)
        {
            return StreamMetrics.Outcomes.Elsewhere;
        }
        catch (OperationCanceledException) when (_giveUp.IsCancellationRequested)
        {
            return await ReleaseAsync().ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException late) when (patience.IsCancellationRequested)
        {
            span.Failed(late);
            return await FailAsync(StreamMetrics.Reasons.Timeout, $"not done within {options.HandlerTimeout}", null)
                .ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException late) when (handling is { IsCompleted: false })
        {
            span.Failed(late);
            StreamLog.HandlerLeftBehind(_tools.Logger, _store.Type, _tools.DrainTimeout);
            return await FailAsync(
                    StreamMetrics.Reasons.Timeout,
                    $"not done within {options.HandlerTimeout}, and does not listen to its token",
                    null
                )
                .ConfigureAwait(Rt.Capture);
        }
        catch (EventPayloadException unreadable)
        {
            span.Failed(unreadable);
            return await QuarantineAsync(
                    StreamMetrics.Reasons.Payload,
                    $"not what a handler reads ({unreadable.Payload})",
                    unreadable.InnerException
                )
                .ConfigureAwait(Rt.Capture);
        }
        catch (EventRejectedException rejected)
        {
            span.Failed(rejected);
            return await QuarantineAsync(StreamMetrics.Reasons.Rejected, rejected.Message, null).ConfigureAwait(Rt.Capture);
        }
        catch (Exception failure)
        {
            span.Failed(failure);
            return await FailAsync(StreamMetrics.Reasons.Failed, $"{failure.GetType().Name}: {failure.Message}", failure)
                .ConfigureAwait(Rt.Capture);
        }
        finally
        {
            _tools.Metrics.Handled(_store.Type, _store.Group, _tools.Time.GetElapsedTime(began));
            // The token of one that was left behind must stay usable.
            if (handling is null or { IsCompleted: true })
            {
                await whenCancelled.DisposeAsync().ConfigureAwait(Rt.Capture);
                await whenLate.DisposeAsync().ConfigureAwait(Rt.Capture);
                either.Dispose();
                patience.Dispose();
            }
        }
    }

    // What a handler has registered on its token may throw: that must not end the renewals of the others, nor, on a timer, the process.
    private void Stop(object? handler)
    {
        try
        {
            ((CancellationTokenSource)handler!).Cancel();
        }
        catch (AggregateException failure)
        {
            StreamLog.StopFailed(_tools.Logger, _store.Type, _entry.Id, failure);
        }
    }

    private ValueTask<string> DoneAsync(string outcome, bool marks) =>
        SettleAsync(outcome, stop => _store.DoneAsync(_entry.Id, MarkKey, marks, stop));

    private ValueTask<string> ReleaseAsync() =>
        SettleAsync(StreamMetrics.Outcomes.Released, stop => _store.ReleaseAsync(_entry.Id, MarkKey, _entry.Attempt, stop));

    private async ValueTask<string> FailAsync(string reason, string words, Exception? failure)
    {
        var options = _store.Options;
        if (_entry.Attempt >= options.MaxAttempts)
            return await QuarantineAsync(reason, words, failure).ConfigureAwait(Rt.Capture);
        var delay = DelayAfter(_entry.Attempt, options);
        StreamLog.WillRetry(_tools.Logger, _store.Type, _store.Group, _entry.Id, _entry.Attempt, delay, failure);
        Delay = delay;
        return await SettleAsync(StreamMetrics.Outcomes.Retried, stop => _store.RetryAsync(_entry.Id, MarkKey, delay, stop))
            .ConfigureAwait(Rt.Capture);
    }

    private async ValueTask<string> QuarantineAsync(string reason, string words, Exception? failure)
    {
        var text = $"{reason}: {words}";
        if (text.Length > LongestReason)
            text = text[..LongestReason];
        var outcome = await SettleAsync(
                StreamMetrics.Outcomes.Quarantined,
                stop => _store.QuarantineAsync(_entry.Id, MarkKey, text, _envelope?.Id ?? "", stop)
            )
            .ConfigureAwait(Rt.Capture);
        if (outcome == StreamMetrics.Outcomes.Quarantined)
        {
            _tools.Metrics.Quarantined(_store.Type, _store.Group, reason);
            StreamLog.Quarantined(_tools.Logger, _store.Type, _store.Group, _entry.Id, reason, _entry.Attempt, failure);
        }

        return outcome;
    }

    /// <summary>The delay after an attempt: doubled each time, up to the longest.</summary>
    internal static TimeSpan DelayAfter(int attempt, StreamOptions options)
    {
        var factor = Math.Pow(2, Math.Min(attempt - 1, 40));
        var ms = Math.Min(options.RetryDelay.TotalMilliseconds * factor, options.MaxRetryDelay.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(ms);
    }

    // What has been handled is worth saying, however long Redis is away: otherwise it is done again. Only our own end cuts it short.
    private async ValueTask<string> SettleAsync(string outcome, Func<CancellationToken, ValueTask<SettleReply>> say)
    {
        _settles = true;
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                return await say(CancellationToken.None).ConfigureAwait(Rt.Capture) == SettleReply.AnothersNow
                    ? StreamMetrics.Outcomes.Elsewhere
                    : outcome;
            }
            catch (RedisServerException nobody) when (nobody.Code == "NOGROUP")
            {
                // Redis was emptied: nothing waits for our word.
                return StreamMetrics.Outcomes.Elsewhere;
            }
            catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
            {
                if (_giveUp.IsCancellationRequested || failure is not RedisException { IsTransient: true })
                {
                    StreamLog.NotSettled(_tools.Logger, _store.Type, _store.Group, _entry.Id, failure.Message);
                    return StreamMetrics.Outcomes.Elsewhere;
                }
            }

            await Task.Delay(pause, _tools.Time, _giveUp.Token).ConfigureAwait(Rt.Quietly);
        }
    }
}
