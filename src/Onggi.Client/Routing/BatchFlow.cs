using Onggi.Client.Connections;

namespace Onggi.Client.Routing;

/// <summary>Sends a batch in portions, a few of them under way at a time, so that any number of commands flows through a queue and a buffer of fixed size.</summary>
internal sealed class BatchFlow
{
    private const int MostCommands = 512;
    private const int MostBytes = 256 << 10;
    private const int BulkFrom = 64 << 10;

    // Enough that the server always has something to do while the oldest portion is read.
    private const int MostPortions = 4;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    private readonly Router _router;
    private readonly RedisClientOptions _options;
    private readonly RedisBatch _batch;
    private readonly IProgress<int>? _progress;
    private readonly CancellationToken _cancellationToken;
    private readonly int _mostCommands;
    private readonly int _mostBytes;
    private readonly bool _isLarge;

    // Portions by their first command and the one after their last, oldest first.
    private readonly Queue<(int From, int To)> _underWay = new();
    private RedisException? _stopped;

    public BatchFlow(
        Router router,
        RedisClientOptions options,
        RedisBatch batch,
        IProgress<int>? progress,
        CancellationToken cancellationToken
    )
    {
        (_router, _options, _batch, _progress, _cancellationToken) = (router, options, batch, progress, cancellationToken);

        // Others use the same connection: a batch takes half of its room at the most.
        var room = Math.Min(options.MaxInFlight / (2 * MostPortions), Math.Max(1, options.MaxBacklog / 2));
        _mostCommands = Math.Clamp(room, 1, MostCommands);
        _mostBytes = Math.Clamp(options.MaxBufferedBytes / (2 * MostPortions), 1, MostBytes);
        _isLarge = batch.Count > MostCommands || batch.Bytes >= BulkFrom;
    }

    public async Task RunAsync()
    {
        var next = 0;
        while (next < _batch.Count && _stopped is null && !_cancellationToken.IsCancellationRequested)
        {
            if (_underWay.Count == MostPortions)
                await FinishOldestAsync().ConfigureAwait(Rt.Capture);
            else
                next = await SendPortionAsync(next).ConfigureAwait(Rt.Capture);
        }

        while (_underWay.Count > 0)
            await FinishOldestAsync().ConfigureAwait(Rt.Capture);
        if (_stopped is not null)
        {
            RedisException reason = _stopped is RedisBusyException ? _stopped : NotSent(_stopped);
            for (; next < _batch.Count; next++)
                _batch.Items[next].Fail(reason);
        }

        if (_cancellationToken.IsCancellationRequested)
            ThrowUnlessDone();
    }

    // Returns where the next portion begins.
    private async ValueTask<int> SendPortionAsync(int from)
    {
        var to = EndOfPortion(from);
        var places = Prepare(from, to);
        var waitingSince = _router.Time.GetTimestamp();
        var begun = from;
        try
        {
            while (begun < to && _stopped is null && !_cancellationToken.IsCancellationRequested)
            {
                var count = _router.Begin(places.AsSpan(begun - from, to - begun));
                for (var i = begun; i < begun + count && _cancellationToken.CanBeCanceled; i++)
                    _batch.Items[i].CancelOn(_cancellationToken);
                begun += count;
                if (begun == to)
                    break;
                if (_underWay.Count == 0 && _router.Time.GetElapsedTime(waitingSince) > _options.CommandTimeout)
                {
                    _stopped = new RedisBusyException("Other commands left no room on the connection.");
                    break;
                }

                await MakeRoomAsync().ConfigureAwait(Rt.Capture);
            }
        }
        finally
        {
            if (begun > from)
                _underWay.Enqueue((from, begun));
            foreach (var place in places.AsSpan(begun - from))
                _router.Abandon(place, _stopped ?? (Exception)new OperationCanceledException(_cancellationToken));
        }

        return begun;
    }

    // Our own portions first: when they are answered there is room.
    private async ValueTask MakeRoomAsync()
    {
        if (_underWay.Count > 0)
            await FinishOldestAsync().ConfigureAwait(Rt.Capture);
        else
            await Task.Delay(Pause, _router.Time, _cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private int EndOfPortion(int from)
    {
        var bytes = _batch.LengthOf(from);
        var to = from + 1;
        while (to < _batch.Count && to - from < _mostCommands && bytes + _batch.LengthOf(to) <= _mostBytes)
            bytes += _batch.LengthOf(to++);
        return to;
    }

    private PendingReply[] Prepare(int from, int to)
    {
        var places = new PendingReply[to - from];
        for (var i = from; i < to; i++)
        {
            var place = _batch.Items[i].Prepare(_router, _batch.FrameOf(i));
            if (_isLarge)
                place.Traits = place.Traits with { Options = place.Traits.Options | CommandOptions.Bulk };
            places[i - from] = place;
        }

        return places;
    }

    private async ValueTask FinishOldestAsync()
    {
        // From the end: when the last has its end, so have mostly all before it, and waiting is done once.
        var (from, to) = _underWay.Dequeue();
        for (var i = to - 1; i >= from; i--)
        {
            await _batch.Items[i].FinishAsync().ConfigureAwait(Rt.Capture);

            // Redis hangs, or there is no connection to be had: each further portion would wait as long, for nothing.
            if (_batch.Items[i].Error is RedisTimeoutException error)
                _stopped ??= error;
        }

        _progress?.Report(to);
    }

    private static RedisTimeoutException NotSent(RedisException stopped) =>
        new RedisTimeoutException($"Not sent, because the batch stopped: {stopped.Message}", Sent.No, stopped);

    private void ThrowUnlessDone()
    {
        var unknown = _batch.Items.Count(item => item.Outcome == BatchOutcome.Unknown);
        var notSent = _batch.Items.Count(item => item.Outcome == BatchOutcome.NotSent);
        if (unknown + notSent == 0)
            return;
        var cancelled = new OperationCanceledException(
            $"The batch was cancelled: {_batch.Count - unknown - notSent} of its {_batch.Count} commands have an end, {unknown} may be executed, {notSent} were not sent.",
            _cancellationToken
        );
        cancelled.Data[nameof(Sent)] = notSent == _batch.Count ? Sent.No : Sent.Maybe;
        throw cancelled;
    }
}
