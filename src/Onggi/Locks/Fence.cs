using System.Globalization;

namespace Onggi.Locks;

/// <summary>The number that grows with each holder of a lock. What is written under the lock is written with it, so that a holder that was paused and has lost the lock is refused.</summary>
/// <param name="Value">A positive number below 2^53; the server's time in microseconds when the lock was taken, or one more than the last.</param>
public readonly record struct Fence(long Value) : IComparable<Fence>
{
    /// <summary>Which of the two came first.</summary>
    public int CompareTo(Fence other) => Value.CompareTo(other.Value);

    /// <summary>Whether the left one came before.</summary>
    public static bool operator <(Fence left, Fence right) => left.Value < right.Value;

    /// <summary>Whether the left one came before, or they are the same.</summary>
    public static bool operator <=(Fence left, Fence right) => left.Value <= right.Value;

    /// <summary>Whether the left one came after.</summary>
    public static bool operator >(Fence left, Fence right) => left.Value > right.Value;

    /// <summary>Whether the left one came after, or they are the same.</summary>
    public static bool operator >=(Fence left, Fence right) => left.Value >= right.Value;

    /// <summary>The number.</summary>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}
