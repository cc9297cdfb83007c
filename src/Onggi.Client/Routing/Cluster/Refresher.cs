namespace Onggi.Client.Routing.Cluster;

/// <summary>Runs one thing again and again: soon when it is requested, and now and then by itself; never twice at a time, and not too often.</summary>
internal sealed class Refresher : IAsyncDisposable
{
    private static readonly TimeSpan Least = TimeSpan.FromMilliseconds(100);

    private static readonly ConfigureAwaitOptions ForceYielding =
        ConfigureAwaitOptions.ForceYielding | (Rt.Capture ? ConfigureAwaitOptions.ContinueOnCapturedContext : ConfigureAwaitOptions.None);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly Random _random = new();
    private readonly TimeProvider _time;
    private readonly Func<CancellationToken, Task<(TimeSpan Pause, bool Asked)>> _refresh;
    private TaskCompletionSource _requested = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task? _running;

    /// <param name="time">The clock.</param>
    /// <param name="refresh">What is run; it says after how long it is to be run again unless it is requested earlier, and whether it has cost anybody anything.</param>
    public Refresher(TimeProvider time, Func<CancellationToken, Task<(TimeSpan Pause, bool Asked)>> refresh) =>
        (_time, _refresh) = (time, refresh);

    /// <summary>Asks for a run that begins from now on.</summary>
    public void Request()
    {
        lock (_gate)
        {
            if (_stop.IsCancellationRequested)
                return;
            _requested.TrySetResult();
            if (_running is not null)
                return;

            // It outlives the caller: it must not carry the caller's request or activity along.
            using var flow = Rt.WithoutFlow();
            _running = RunAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task? running;
        lock (_gate)
        {
            if (_stop.IsCancellationRequested)
                return;
            _stop.Cancel();
            running = _running;
        }

        if (running is not null)
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        // Never on the thread of whoever asks: it may hold a lock.
        await Task.CompletedTask.ConfigureAwait(ForceYielding);
        var stop = _stop.Token;
        var pause = TimeSpan.Zero;
        while (!stop.IsCancellationRequested)
        {
            Task requested;
            lock (_gate)
                requested = _requested.Task;
            try
            {
                // Drawn at random between it and its half, so that many clients do not ask in step.
                await requested.WaitAsync(pause * (1 - (0.5 * _random.NextDouble())), _time, stop).ConfigureAwait(Rt.Capture);
            }
            catch (TimeoutException) { }

            lock (_gate)
                _requested = new(TaskCreationOptions.RunContinuationsAsynchronously);
            var began = _time.GetTimestamp();
            (pause, var asked) = await _refresh(stop).ConfigureAwait(Rt.Capture);
            var rest = Least - _time.GetElapsedTime(began);
            if (asked && rest > TimeSpan.Zero)
                await Task.Delay(rest, _time, stop).ConfigureAwait(Rt.Capture);
        }
    }
}
