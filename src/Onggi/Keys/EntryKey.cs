#pragma warning disable CS1591, MA0025
namespace Onggi.Keys;

/// <summary>One key without its value type: family and identifiers. The wire name is built only when Redis is asked.</summary>
public readonly struct EntryKey : IEquatable<EntryKey>
{
    public EntryKey(KeyFamily family, string first, string? second = null, string? third = null)
    {
        Family = family;
        First = first;
        Second = second;
        Third = third;
    }

    public KeyFamily Family { get; }

    public string First { get; }

    public string? Second { get; }

    public string? Third { get; }

    public bool Equals(EntryKey other) =>
        First == other.First && Family.Equals(other.Family) && Second == other.Second && Third == other.Third;

    public override bool Equals(object? obj) => obj is EntryKey other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Family, First, Second, Third);

    public static bool operator ==(EntryKey left, EntryKey right) => left.Equals(right);

    public static bool operator !=(EntryKey left, EntryKey right) => !left.Equals(right);

    /// <summary>The family only: identifiers can be personal.</summary>
    public override string ToString() => $"{Family}:…";
}
