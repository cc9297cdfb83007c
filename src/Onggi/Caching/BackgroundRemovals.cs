using Onggi.Client;

namespace Onggi.Caching;

/// <summary>Removals from Redis that nobody waits for. Each is tried again until the command time-out, as every removal is; with the cache they end.</summary>
internal sealed class BackgroundRemovals(EntryWriter writer) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();

    // Guards the two fields below.
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _running = [];
    private bool _stopped;

    /// <summary>Removes the entries. The first attempt is in the send buffer when the call returns.</summary>
    /// <param name="wireNames">The names of the entries in Redis.</param>
    /// <param name="ended">Told <c>null</c> when Redis has confirmed it, otherwise why it did not.</param>
    public void Start(string[] wireNames, Action<Exception?> ended)
    {
        var running = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool stopped;
        lock (_gate)
        {
            stopped = _stopped;
            if (!stopped)
                _running.Add(running.Task);
        }

        if (stopped)
            ended(new OperationCanceledException("The cache has stopped."));
        else
            _ = RunAsync(wireNames, ended, running);
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

    private async Task RunAsync(string[] wireNames, Action<Exception?> ended, TaskCompletionSource running)
    {
        try
        {
            ended(await TryRemoveAsync(wireNames).ConfigureAwait(Rt.Capture));
        }
        finally
        {
            lock (_gate)
                _running.Remove(running.Task);
            running.SetResult();
        }
    }

    private async ValueTask<Exception?> TryRemoveAsync(string[] wireNames)
    {
        try
        {
            await writer.RemoveAsync(wireNames, _stopping.Token).ConfigureAwait(Rt.Capture);
            return null;
        }
        catch (Exception error) when (error is RedisException or OperationCanceledException or ObjectDisposedException)
        {
            return error;
        }
    }
}
