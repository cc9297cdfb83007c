using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>The question who has which slot, put to several nodes; of the answers the one with the fewest gaps counts.</summary>
internal sealed class MapQuestion(TimeProvider time, CancellationToken stop)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _open;
    private SlotMap? _best;

    public SlotMap? Best
    {
        get
        {
            lock (_gate)
                return _best;
        }
    }

    /// <summary>Whether some have been asked and have not answered yet.</summary>
    public bool IsOpen
    {
        get
        {
            lock (_gate)
                return _open > 0;
        }
    }

    /// <summary>Asks one more.</summary>
    public void Ask(RedisLink link, RedisAddress address)
    {
        lock (_gate)
            _open++;
        _ = AskAsync(link, address);
    }

    /// <summary>Waits for the next answer, or so long.</summary>
    public async Task WaitAsync(TimeSpan most)
    {
        Task answer;
        lock (_gate)
        {
            if (_open == 0 || _best is { IsComplete: true })
                return;
            answer = _answer.Task;
        }

        try
        {
            await answer.WaitAsync(most, time, stop).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException) { }
    }

    private async Task AskAsync(RedisLink link, RedisAddress address)
    {
        SlotMap? map = null;
        try
        {
            var reply = await link.SendAsync(new Command(["CLUSTER", "SLOTS"]), ReplyParsers.Reply, stop).ConfigureAwait(Rt.Capture);
            map = SlotMap.Parse(reply, address);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException or OperationCanceledException)
        {
            // Another one knows.
        }

        lock (_gate)
        {
            _open--;
            if (map is not null && (_best is null || map.Gaps < _best.Gaps))
                _best = map;
            _answer.TrySetResult();
            _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
