using Onggi.Client;

namespace Onggi.Batches;

/// <summary>What has become of the entries of a batch, in numbers.</summary>
/// <param name="Answered">Those that Redis, or memory, answered.</param>
/// <param name="Failed">Those that have an error. Of some of them it is not known whether they were executed: <see cref="BatchEntry.Sent"/>.</param>
/// <param name="Unknown">Those that were on their way when the wait was cancelled.</param>
/// <param name="NotSent">Those that were not sent when the wait was cancelled.</param>
public readonly record struct BatchReport(int Answered, int Failed, int Unknown, int NotSent)
{
    /// <summary>Whether every entry has its result.</summary>
    public bool IsComplete => Failed + Unknown + NotSent == 0;

    /// <summary>The first error, in the order of the entries; <c>null</c> when there is none.</summary>
    public RedisException? FirstError { get; internal init; }

    /// <summary>For who can do nothing with a part: throws <see cref="FirstError"/>, where there is one.</summary>
    /// <exception cref="RedisException">An entry failed. The others may be done.</exception>
    public void ThrowIfFailed()
    {
        if (FirstError is not null)
            throw FirstError;
    }

    internal static BatchReport Of(IReadOnlyList<BatchEntry> entries)
    {
        Span<int> counts = stackalloc int[4];
        RedisException? first = null;
        foreach (var entry in entries)
        {
            counts[(int)entry.Outcome]++;
            first ??= entry.Error;
        }

        return new BatchReport(
            counts[(int)BatchOutcome.Answered],
            counts[(int)BatchOutcome.Failed],
            counts[(int)BatchOutcome.Unknown],
            counts[(int)BatchOutcome.NotSent]
        )
        {
            FirstError = first,
        };
    }
}
