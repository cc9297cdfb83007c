namespace Onggi.AspNetCore.Metrics;

/// <summary>The numbers of one instrument under one set of tag values. Recording takes no lock and allocates nothing.</summary>
internal sealed class Series
{
    private readonly double[] _bounds;
    private readonly long[] _buckets;
    private double _value;

    /// <param name="labels">The label pairs as they stand between the braces; empty for none.</param>
    /// <param name="bounds">A histogram's upper bounds, ascending; empty for everything else.</param>
    public Series(string labels, double[] bounds)
    {
        Labels = labels;
        _bounds = bounds;
        // One more than bounds: what is above the last.
        _buckets = bounds.Length == 0 ? [] : new long[bounds.Length + 1];
    }

    public string Labels { get; }

    /// <summary>The sum of a counter or histogram, the last value of a gauge.</summary>
    public double Value => Volatile.Read(ref _value);

    public ReadOnlySpan<double> Bounds => _bounds;

    public void Set(double value) => Volatile.Write(ref _value, value);

    public void Add(double amount)
    {
        var seen = Volatile.Read(ref _value);
        while (true)
        {
            var before = Interlocked.CompareExchange(ref _value, seen + amount, seen);
            // Bits, not numbers: NaN is not equal to itself, and the loop would never end.
            if (BitConverter.DoubleToInt64Bits(before) == BitConverter.DoubleToInt64Bits(seen))
                return;
            seen = before;
        }
    }

    public void Observe(double value)
    {
        // A value equal to a bound belongs under it (le: less or equal).
        var at = Array.BinarySearch(_bounds, value);
        Interlocked.Increment(ref _buckets[at < 0 ? ~at : at]);
        Add(value);
    }

    /// <summary>How many observations lie at or under each bound, and in the last place all of them.</summary>
    public long[] Cumulative()
    {
        var counts = new long[_buckets.Length];
        var sum = 0L;
        for (var i = 0; i < counts.Length; i++)
            counts[i] = sum += Interlocked.Read(ref _buckets[i]);
        return counts;
    }
}
