using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Events.Replay;

/// <summary>Looks from time to time whether Redis counts further than what was heard, for types that are silent.</summary>
/// <remarks>
/// The numbers show what is missing when the next event comes. When none comes, only a look at the count shows that the last one got lost: a
/// reader that was too slow at the end of a flood, a link that leads to a server that is no longer the primary, a cluster that lost a message
/// between its nodes.
/// </remarks>
internal sealed class EventWatch(
    RingReader ring,
    TimeSpan every,
    TimeProvider time,
    Func<IReadOnlyList<EventFeed>> feeds,
    Action<string> missed,
    ILogger logger
) : IAsyncDisposable
{
    /// <summary>How many looks are left out after Redis refused one: without the right there is little use in asking, and rights change.</summary>
    internal const int LooksLeftOut = 12;

    private readonly CancellationTokenSource _stop = new();
    private Task? _loop;

    /// <summary>Begins; once is enough. Called under the gate of the feeds.</summary>
    public void Start()
    {
        if (_loop is not null || every <= TimeSpan.Zero)
            return;
        using var flow = Rt.WithoutFlow();
        _loop = RunAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        if (_loop is not null)
            await _loop.ConfigureAwait(Rt.Capture);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (true)
        {
            await Task.Delay(every, time, _stop.Token).ConfigureAwait(Rt.Quietly);
            if (_stop.IsCancellationRequested)
                return;
            await Task.WhenAll(feeds().Select(LookAsync)).ConfigureAwait(Rt.Capture);
        }
    }

    private async Task LookAsync(EventFeed feed)
    {
        if (feed.TakeIsBusy() || !feed.IsOpen || time.GetTimestamp() < feed.LookAgainAt)
            return;
        try
        {
            var page = await ring.ReadAsync(feed.Type, 1, null, most: 0, _stop.Token).ConfigureAwait(Rt.Capture);
            if (feed.IsBehind(page.Epoch, page.Sequence))
                missed(feed.Type);
        }
        catch (RedisException failure)
        {
            if (!failure.IsTransient)
                feed.LookAgainAt = time.GetTimestamp() + (long)(every.TotalSeconds * LooksLeftOut * time.TimestampFrequency);
        }
        catch (Exception end) when (end is OperationCanceledException or ObjectDisposedException)
        {
            // It is over.
        }
        catch (Exception mistake)
        {
            EventsLog.WatchFailed(logger, feed.Type, mistake);
        }
    }
}
