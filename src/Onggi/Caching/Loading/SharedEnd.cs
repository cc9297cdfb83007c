namespace Onggi.Caching;

/// <summary>An end that many wait for. Each waits for a task of their own, so that all are let go in the order in which they came, and one who gives up disturbs nobody.</summary>
internal sealed class SharedEnd<T>
{
    private readonly Lock _gate = new();
    private List<TaskCompletionSource<T>>? _waiting;
    private Task<T>? _ended;

    public bool HasCome => Volatile.Read(ref _ended) is not null;

    /// <summary>A task for one who waits.</summary>
    public Task<T> WaitAsync()
    {
        lock (_gate)
        {
            if (_ended is { } ended)
                return ended;
            var own = new TaskCompletionSource<T>(Rt.Signals);
            (_waiting ??= []).Add(own);
            return own.Task;
        }
    }

    public void Complete(T result) => End(Task.FromResult(result));

    public void Fail(Exception error) => End(Task.FromException<T>(error));

    private void End(Task<T> ended)
    {
        List<TaskCompletionSource<T>>? waiting;
        lock (_gate)
        {
            if (_ended is not null)
                return;
            Volatile.Write(ref _ended, ended);
            (waiting, _waiting) = (_waiting, null);
        }

        // All may have left; then nobody else looks at it.
        var error = ended.Exception;
        foreach (var one in waiting ?? [])
        {
            if (error is null)
            {
                one.SetResult(ended.Result);
                continue;
            }

            one.SetException(error.InnerException!);
            _ = one.Task.Exception;
        }
    }
}
