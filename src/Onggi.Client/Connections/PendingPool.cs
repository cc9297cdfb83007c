using System.Collections.Concurrent;

namespace Onggi.Client.Connections;

/// <summary>Objects to be used again: one at hand for each thread, a bounded number shared by all.</summary>
/// <remarks>A caller that goes on on the reading thread gives back and takes on the same thread: it nearly always finds the one at hand.</remarks>
internal static class PendingPool<T>
    where T : class
{
    private const int KeepAtMost = 1024;
    private static readonly ConcurrentQueue<T> Shared = new();
    private static int _count;

    [ThreadStatic]
    private static T? _atHand;

    public static T? Rent()
    {
        if (_atHand is { } pooled)
        {
            _atHand = null;
            return pooled;
        }

        if (!Shared.TryDequeue(out pooled))
            return null;
        Interlocked.Decrement(ref _count);
        return pooled;
    }

    public static void Return(T pooled)
    {
        if (_atHand is null)
        {
            _atHand = pooled;
            return;
        }

        // About as many as said; a few more or less do no harm.
        if (Volatile.Read(ref _count) >= KeepAtMost)
            return;
        Interlocked.Increment(ref _count);
        Shared.Enqueue(pooled);
    }
}
