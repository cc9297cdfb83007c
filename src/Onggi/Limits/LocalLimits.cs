using System.Collections.Concurrent;

namespace Onggi.Limits;

/// <summary>Counts in this process while Redis is away: every rule as an even flow, with this process's part of the budget.</summary>
internal sealed class LocalLimits(TimeProvider time, int most)
{
    private readonly ConcurrentDictionary<string, double[]> _subjects = new(StringComparer.Ordinal);

    /// <summary>Spends, or only looks.</summary>
    public Decision Take(LimitTerms terms, string wire, int cost, bool spends)
    {
        if (_subjects.Count >= most)
            _subjects.Clear();
        // Of a flow the time at which it is full again, of places how many are taken.
        var states = _subjects.GetOrAdd(wire, static (_, count) => new double[count], terms.Rules.Length);
        var now = (double)time.GetTimestamp() / time.TimestampFrequency;
        var remaining = int.MaxValue;
        var retry = TimeSpan.Zero;
        lock (states)
        {
            for (var i = 0; i < states.Length; i++)
            {
                var (left, wait) = Look(terms.Rules[i], terms.Policy.Nodes, states[i], cost, now);
                remaining = Math.Min(remaining, left);
                retry = wait > retry ? wait : retry;
            }

            if (spends && retry == TimeSpan.Zero)
            {
                for (var i = 0; i < states.Length; i++)
                    states[i] = After(terms.Rules[i], terms.Policy.Nodes, states[i], cost, now);
                remaining -= cost;
            }
        }

        return new Decision
        {
            Allowed = retry == TimeSpan.Zero,
            Remaining = Math.Max(0, remaining),
            RetryAfter = retry,
            Source = DecisionSource.FailMode,
        };
    }

    /// <summary>Gives a place back.</summary>
    public void Leave(LimitTerms terms, string wire)
    {
        if (!_subjects.TryGetValue(wire, out var states))
            return;
        lock (states)
        {
            for (var i = 0; i < states.Length; i++)
            {
                if (terms.Rules[i].Kind == 'p' && states[i] > 0)
                    states[i]--;
            }
        }
    }

    private static (int Left, TimeSpan Wait) Look(LimitRule rule, int nodes, double state, int cost, double now)
    {
        var part = Part(rule.Burst, nodes);
        if (rule.Kind == 'p')
            return ((int)(part - state), state < part ? TimeSpan.Zero : TimeSpan.FromSeconds(1));
        var interval = Interval(rule, nodes);
        var at = Math.Max(state, now);
        // What is greater than our whole part is let through when that is full.
        var wait = at + (interval * Math.Min(cost, part)) - (interval * part) - now;
        return ((int)((now + (interval * part) - at) / interval + 1e-6), wait > 1e-6 ? TimeSpan.FromSeconds(wait) : TimeSpan.Zero);
    }

    private static double After(LimitRule rule, int nodes, double state, int cost, double now) =>
        rule.Kind == 'p' ? state + 1 : Math.Max(state, now) + (Interval(rule, nodes) * cost);

    private static int Part(int whole, int nodes) => Math.Max(1, whole / nodes);

    private static double Interval(LimitRule rule, int nodes) => rule.Period.TotalSeconds * nodes / rule.Permits;
}
