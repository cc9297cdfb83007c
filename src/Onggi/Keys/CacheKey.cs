using System.Diagnostics.CodeAnalysis;

namespace Onggi.Keys;

/// <summary>The typed key of one cache entry. Make it with the generated <c>Keys</c>: wrong names do not compile.</summary>
/// <remarks>Three references and a family; making one touches no memory and asks nobody.</remarks>
/// <typeparam name="T">The type of the value under it.</typeparam>
public readonly struct CacheKey<T> : IEquatable<CacheKey<T>>
{
    private readonly EntryKey _entry;

    /// <summary>Gives an untyped key the type of its value. Generated code calls it.</summary>
    /// <param name="entry">The family and the identifiers.</param>
    public CacheKey(EntryKey entry) => _entry = entry;

    /// <summary>The key without its value type, where it lies: nothing is copied.</summary>
    [UnscopedRef]
    public ref readonly EntryKey Entry => ref _entry;

    /// <summary>The family it belongs to.</summary>
    public KeyFamily Family => Entry.Family;

    /// <summary>Whether both name the same family and identifiers.</summary>
    public bool Equals(CacheKey<T> other) => Entry.Equals(other.Entry);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is CacheKey<T> other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Entry.GetHashCode();

    /// <summary>Whether both name the same family and identifiers.</summary>
    public static bool operator ==(CacheKey<T> left, CacheKey<T> right) => left.Equals(right);

    /// <summary>Whether they name different families or identifiers.</summary>
    public static bool operator !=(CacheKey<T> left, CacheKey<T> right) => !left.Equals(right);

    /// <summary>The family only: identifiers can be personal.</summary>
    public override string ToString() => Entry.ToString();
}
