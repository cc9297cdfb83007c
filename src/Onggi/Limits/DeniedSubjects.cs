using System.Collections.Concurrent;

namespace Onggi.Limits;

/// <summary>Who is denied for a while, by Redis's own word: a flood of one subject is answered here.</summary>
internal sealed class DeniedSubjects(TimeProvider time, int most)
{
    private readonly ConcurrentDictionary<string, Denial> _denials = new(StringComparer.Ordinal);

    /// <summary>Whether so much is still denied to the subject, and until when.</summary>
    public bool TryFind(string wire, int cost, out Decision decision)
    {
        decision = default;
        if (_denials.IsEmpty || !_denials.TryGetValue(wire, out var denial) || cost < denial.Cost)
            return false;
        var now = time.GetTimestamp();
        if (now >= denial.Until)
        {
            _denials.TryRemove(new KeyValuePair<string, Denial>(wire, denial));
            return false;
        }

        var since = time.GetElapsedTime(denial.Told, now);
        decision = denial.Decision with
        {
            RetryAfter = Left(denial.Decision.RetryAfter, since),
            ResetAfter = Left(denial.Decision.ResetAfter, since),
            Source = DecisionSource.Remembered,
        };
        return true;
    }

    /// <summary>Remembers a denial. It ends counted from before the question left, so never after it is over at the server; what is told of it is counted from the answer.</summary>
    public void Add(string wire, in Decision decision, int cost, long asked, TimeSpan atMost)
    {
        // mutant: DenyTooLong
        var length = LimitMutants.DenyTooLong || decision.RetryAfter > atMost ? atMost : decision.RetryAfter;
        if (length <= TimeSpan.Zero)
            return;
        if (_denials.Count >= most)
            _denials.Clear();
        var until = asked + (long)(length.TotalSeconds * time.TimestampFrequency);
        _denials[wire] = new Denial(decision, cost, time.GetTimestamp(), until);
    }

    public void Forget(string wire)
    {
        if (!_denials.IsEmpty)
            _denials.TryRemove(wire, out _);
    }

    private static TimeSpan Left(TimeSpan whole, TimeSpan since) => whole > since ? whole - since : TimeSpan.Zero;

    private sealed record Denial(Decision Decision, int Cost, long Told, long Until);
}
