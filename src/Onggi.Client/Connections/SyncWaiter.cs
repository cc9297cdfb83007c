namespace Onggi.Client.Connections;

/// <summary>A thread that blocks until something is to be done: its reply has come, or it is its turn to read. One for each thread.</summary>
internal sealed class SyncWaiter
{
    [ThreadStatic]
    private static SyncWaiter? _ofThisThread;

    private readonly object _signal = new();
    private bool _woken;

    public static SyncWaiter OfThisThread => _ofThisThread ??= new SyncWaiter();

    public void Wake()
    {
        lock (_signal)
        {
            _woken = true;
            Monitor.Pulse(_signal);
        }
    }

    /// <summary>Waits until woken, or so long; a wake-up that came since the last wait counts.</summary>
    public void Wait(TimeSpan most)
    {
        lock (_signal)
        {
            if (!_woken)
                Monitor.Wait(_signal, most);
            _woken = false;
        }
    }
}
