using System.Collections.Concurrent;

namespace Onggi.Client.Connections;

/// <summary>Commands whose replies have been read and whose callers are to go on. One reader adds; any threads take.</summary>
internal sealed class ReadyQueue
{
    private readonly ConcurrentQueue<PendingReply> _ready = new();

    public bool IsEmpty => _ready.IsEmpty;

    public void Add(PendingReply pending) => _ready.Enqueue(pending);

    /// <summary>Lets one caller go on, on this thread; <c>false</c> when there is none.</summary>
    public bool TryRunOne()
    {
        if (!_ready.TryDequeue(out var pending))
            return false;
        try
        {
            pending.Complete();
        }
        finally
        {
            pending.Release();
        }

        return true;
    }

    public void RunAll()
    {
        while (TryRunOne()) { }
    }
}
