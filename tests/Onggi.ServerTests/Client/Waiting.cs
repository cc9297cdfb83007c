using Onggi.Client;

namespace Onggi.ServerTests.Client;

/// <summary>Bounds for what must happen: a test that waits for ever says nothing.</summary>
internal static class Waiting
{
    /// <summary>Far longer than anything here takes, far shorter than a person's patience.</summary>
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    public static Task Within(this Task task) => task.WaitAsync(Bound);

    public static Task<T> Within<T>(this Task<T> task) => task.WaitAsync(Bound);

    public static Task<T> Within<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(Bound);

    public static Task Within(this ValueTask task) => task.AsTask().WaitAsync(Bound);

    /// <summary>The exception that the call ends with: of this type or derived from it.</summary>
    public static async Task<TError> FailsWith<TError>(this Task task)
        where TError : Exception => await Assert.ThrowsAnyAsync<TError>(() => task.WaitAsync(Bound));

    /// <inheritdoc cref="FailsWith{TError}(Task)"/>
    public static Task<TError> FailsWith<TError>(this ValueTask task)
        where TError : Exception => task.AsTask().FailsWith<TError>();

    /// <inheritdoc cref="FailsWith{TError}(Task)"/>
    public static Task<TError> FailsWith<T, TError>(this ValueTask<T> task)
        where TError : Exception => ((Task)task.AsTask()).FailsWith<TError>();

    /// <summary>Ends when the client says that commands flow, or no longer flow. Call it before what brings the change about.</summary>
    public static Task Change(this RedisClient redis, bool connected)
    {
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        redis.ConnectionChanged += now =>
        {
            if (now == connected)
                changed.TrySetResult();
        };
        return changed.Task.Within();
    }
}
