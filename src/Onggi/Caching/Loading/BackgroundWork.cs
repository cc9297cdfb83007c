namespace Onggi.Caching;

/// <summary>What nobody waits for: removals on the word of other programs, notices. With the cache it ends.</summary>
internal sealed class BackgroundWork : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();

    // Guards the two fields below.
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _running = [];
    private bool _stopped;

    /// <summary>Begins a work, which handles its own errors; <c>false</c> when the cache has stopped.</summary>
    public bool Start(Func<CancellationToken, Task> work)
    {
        var running = new TaskCompletionSource(Rt.Signals);
        lock (_gate)
        {
            if (_stopped)
                return false;
            _running.Add(running.Task);
        }

        _ = RunAsync(work, running);
        return true;
    }

    /// <summary>Ends what runs and waits until it has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_gate)
        {
            if (_stopped)
                return;
            _stopped = true;
            running = [.. _running];
        }

        await _stopping.CancelAsync().ConfigureAwait(Rt.Capture);
        await Task.WhenAll(running).ConfigureAwait(Rt.Capture);
        _stopping.Dispose();
    }

    private async Task RunAsync(Func<CancellationToken, Task> work, TaskCompletionSource running)
    {
        try
        {
            await work(_stopping.Token).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            lock (_gate)
                _running.Remove(running.Task);
            running.SetResult();
        }
    }
}
