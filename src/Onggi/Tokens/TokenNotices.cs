using Onggi.Events;

namespace Onggi.Tokens;

/// <summary>Publishes what happened to tokens behind the caller's back, a bounded number at a time.</summary>
internal sealed class TokenNotices(IEventSink sink, TokensMetrics metrics) : IAsyncDisposable
{
    private const int Most = 1024;

    // Guards both.
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _running = [];
    private bool _disposed;

    public void Tell<T>(EventType<T> type, T data)
    {
        lock (_gate)
        {
            if (_disposed || _running.Count >= Most)
            {
                metrics.NoticeDropped();
                return;
            }
        }

        using var flow = Rt.WithoutFlow();
        var running = sink.NotifyAsync(type, data, CancellationToken.None).AsTask();
        if (running.IsCompleted)
            return;
        lock (_gate)
            _running.Add(running);
        _ = ForgetAsync(running);
    }

    /// <summary>Waits for those that are under way; each is bounded by the command time-out.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_gate)
        {
            _disposed = true;
            running = [.. _running];
        }

        await Task.WhenAll(running).ConfigureAwait(Rt.Quietly);
    }

    private async Task ForgetAsync(Task running)
    {
        await running.ConfigureAwait(Rt.Quietly);
        lock (_gate)
            _running.Remove(running);
    }
}
