using System.Collections.Concurrent;

namespace Onggi.Client.Routing.Sentinel;

/// <summary>What one server says of where the primary is.</summary>
/// <param name="From">Who says it.</param>
/// <param name="Primary">Where it is; <c>null</c> when it does not know.</param>
/// <param name="Weight">How much speaks for it.</param>
/// <param name="Problem">Why it does not know, in a few words.</param>
/// <param name="IsFinal">Asking it again cannot help: it refuses us, or does not know the name.</param>
internal sealed record Answer(RedisAddress From, RedisAddress? Primary, int Weight = 0, string Problem = "", bool IsFinal = false);

/// <summary>Collects the answers of servers that were asked at the same time.</summary>
internal sealed class Answers(int asked)
{
    private readonly ConcurrentQueue<Answer> _all = [];
    private readonly TaskCompletionSource _any = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _enough = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _left = asked;

    /// <summary>Ends when somebody knows, or all have answered.</summary>
    public Task WhenAny => _any.Task;

    /// <summary>Ends when there is nothing to wait for: an answer is good, or all have answered.</summary>
    public Task WhenEnough => _enough.Task;

    public IReadOnlyList<Answer> All => [.. _all];

    public void Add(Answer answer, bool isGood)
    {
        _all.Enqueue(answer);
        var last = Interlocked.Decrement(ref _left) == 0;
        if (last || isGood)
            _enough.TrySetResult();
        if (last || answer.Primary is not null)
            _any.TrySetResult();
    }
}
