namespace Onggi.Caching;

/// <summary>An end that many wait for. Each waits for a task of their own, so that all are let go in the order in which they came, and one who gives up disturbs nobody and leaves nothing behind.</summary>
internal sealed class SharedEnd<T>
{
    private readonly Lock _gate = new();
    private LinkedList<TaskCompletionSource<T>>? _waiting;
    private Task<T>? _ended;

    public bool HasCome => Volatile.Read(ref _ended) is not null;

    /// <summary>How many wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
                return _waiting?.Count ?? 0;
        }
    }

    /// <summary>The end, for one who waits.</summary>
    /// <exception cref="OperationCanceledException">The own token was cancelled; that ends this wait only.</exception>
    public async ValueTask<T> WaitAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _ended) is { } ended)
            return await ended.ConfigureAwait(Rt.Capture);
        var place = Enter();
        try
        {
            return await place.Value.Task.WaitAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            Leave(place);
        }
    }

    /// <summary>Waits so long for the end; whatever it is, <see cref="HasCome"/> tells whether it has come.</summary>
    /// <exception cref="OperationCanceledException">The own token was cancelled.</exception>
    public async ValueTask WaitAtMostAsync(TimeSpan most, TimeProvider time, CancellationToken cancellationToken)
    {
        var place = Enter();
        try
        {
            await ((Task)place.Value.Task).WaitAsync(most, time, cancellationToken).ConfigureAwait(Rt.Quietly);
        }
        finally
        {
            Leave(place);
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    public void Complete(T result) => End(Task.FromResult(result));

    public void Fail(Exception error) => End(Task.FromException<T>(error));

    private LinkedListNode<TaskCompletionSource<T>> Enter()
    {
        var place = new LinkedListNode<TaskCompletionSource<T>>(new TaskCompletionSource<T>(Rt.Signals));
        lock (_gate)
        {
            if (_ended is { } ended)
                Settle(place.Value, ended);
            else
                (_waiting ??= []).AddLast(place);
        }

        return place;
    }

    private void Leave(LinkedListNode<TaskCompletionSource<T>> place)
    {
        lock (_gate)
        {
            // When the end has come those who waited stand in nobody's way.
            if (_waiting is not null)
                _waiting.Remove(place);
        }
    }

    private void End(Task<T> ended)
    {
        LinkedList<TaskCompletionSource<T>>? waiting;
        lock (_gate)
        {
            if (_ended is not null)
                return;
            Volatile.Write(ref _ended, ended);
            (waiting, _waiting) = (_waiting, null);
        }

        foreach (var one in waiting ?? [])
            Settle(one, ended);
    }

    private static void Settle(TaskCompletionSource<T> one, Task<T> ended)
    {
        one.SetFromTask(ended);
        // All may have left; then nobody else looks at it.
        _ = one.Task.Exception;
        _ = ended.Exception;
    }
}
