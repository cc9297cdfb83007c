namespace Onggi.Caching;

/// <summary>One loop that begins when it is first needed and ends when it is disposed.</summary>
internal sealed class BackgroundLoop(Func<CancellationToken, Task> run) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Task? _running;

    public CancellationToken Stopping => _stop.Token;

    /// <summary>Begins, if that has not been done.</summary>
    public void Start()
    {
        if (_running is not null)
            return;
        lock (_gate)
        {
            if (_running is not null || _stop.IsCancellationRequested)
                return;
            using var flow = Rt.WithoutFlow();
            _running = run(_stop.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task? running;
        lock (_gate)
        {
            running = _running;
            _stop.Cancel();
        }

        if (running is not null)
            await running.ConfigureAwait(Rt.Quietly);
    }
}
