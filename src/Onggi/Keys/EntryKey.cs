using System.Diagnostics.CodeAnalysis;

namespace Onggi.Keys;

/// <summary>One key without its value type: family and identifiers. The wire name is built only when Redis is asked.</summary>
public readonly struct EntryKey : IEquatable<EntryKey>
{
    /// <summary>A key of a family, with as many identifiers as the family has.</summary>
    /// <param name="family">The family.</param>
    /// <param name="first">The first identifier; any text but an empty one.</param>
    /// <param name="second">The second one; <c>null</c> where the family has one.</param>
    /// <param name="third">The third one; <c>null</c> where the family has fewer.</param>
    /// <exception cref="ArgumentException">An identifier is empty (a lost id would make one key for everybody), or there are more or fewer than the family has.</exception>
    public EntryKey(KeyFamily family, string first, string? second = null, string? third = null)
    {
        ArgumentNullException.ThrowIfNull(family);
        if (string.IsNullOrEmpty(first) || second is "" || third is "")
            ThrowEmpty(family);
        if (
            family.Arity
            != (
                third is not null ? (second is not null ? 3 : -1)
                : second is not null ? 2
                : 1
            )
        )
            ThrowCount(family);
        Family = family;
        First = first;
        Second = second;
        Third = third;
    }

    /// <summary>The family.</summary>
    public KeyFamily Family { get; }

    /// <summary>The first identifier, as it was given: neither escaped nor hashed.</summary>
    public string First { get; }

    /// <summary>The second identifier; <c>null</c> where the family has one.</summary>
    public string? Second { get; }

    /// <summary>The third identifier; <c>null</c> where the family has fewer.</summary>
    public string? Third { get; }

    /// <summary>Whether both name the same family and identifiers.</summary>
    public bool Equals(EntryKey other) =>
        First == other.First && Second == other.Second && Third == other.Third && Equals(Family, other.Family);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is EntryKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Family, First, Second, Third);

    /// <summary>Whether both name the same family and identifiers.</summary>
    public static bool operator ==(EntryKey left, EntryKey right) => left.Equals(right);

    /// <summary>Whether they name different families or identifiers.</summary>
    public static bool operator !=(EntryKey left, EntryKey right) => !left.Equals(right);

    /// <summary>The family only: identifiers can be personal.</summary>
    public override string ToString() => $"{Family}:…";

    [DoesNotReturn]
    private static void ThrowEmpty(KeyFamily family) =>
        throw new ArgumentException(
            $"An identifier of family \"{family.Name}\" ({string.Join(", ", family.Identifiers)}) is empty: everybody without one would share a key. Pass the identifier."
        );

    [DoesNotReturn]
    private static void ThrowCount(KeyFamily family) =>
        throw new ArgumentException(
            $"Family \"{family.Name}\" has {family.Arity} identifier(s) ({string.Join(", ", family.Identifiers)}); pass exactly these."
        );
}
