using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Onggi.Caching;

namespace Onggi.AspNetCore.WarmUp;

/// <summary>One run of a warm-up. It belongs to the host, not to the request that began it: callers watch, and may leave.</summary>
internal sealed class WarmUpRun : IProgress<WarmProgress>
{
    // Guards the watchers and the latest word, so that whoever joins hears the latest first and misses none after it.
    private readonly Lock _gate = new();
    private readonly List<Channel<WarmProgress>> _watchers = [];
    private readonly TaskCompletionSource<WarmReport> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WarmProgress? _latest;
    private bool _ended;

    /// <summary>The report, or the failure.</summary>
    public Task<WarmReport> Completion => _completion.Task;

    public WarmProgress? Latest
    {
        get
        {
            lock (_gate)
                return _latest;
        }
    }

    public void Report(WarmProgress value)
    {
        lock (_gate)
        {
            _latest = value;
            foreach (var watcher in _watchers)
                watcher.Writer.TryWrite(value);
        }
    }

    public void End(WarmReport report)
    {
        EndWatching();
        _completion.TrySetResult(report);
    }

    public void End(Exception failure)
    {
        EndWatching();
        _completion.TrySetException(failure);
        // Nobody may be watching; the failure is logged where it happened.
        _ = _completion.Task.Exception;
    }

    /// <summary>Every word of progress from now on, the latest one first; a slow reader skips to newer ones. Ends with the run.</summary>
    public async IAsyncEnumerable<WarmProgress> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watcher = Channel.CreateBounded<WarmProgress>(new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (_gate)
        {
            if (_latest is { } latest)
                watcher.Writer.TryWrite(latest);
            if (_ended)
                watcher.Writer.Complete();
            else
                _watchers.Add(watcher);
        }
        try
        {
            await foreach (var progress in watcher.Reader.ReadAllAsync(cancellationToken))
                yield return progress;
        }
        finally
        {
            lock (_gate)
                _watchers.Remove(watcher);
        }
    }

    private void EndWatching()
    {
        lock (_gate)
        {
            _ended = true;
            foreach (var watcher in _watchers)
                watcher.Writer.TryComplete();
        }
    }
}
