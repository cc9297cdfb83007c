#pragma warning disable CS1591, MA0025
namespace Onggi.Keys;

/// <summary>The typed key of one cache entry. Make it with the generated <c>Keys</c>.</summary>
/// <typeparam name="T">The type of the value under it.</typeparam>
public readonly struct CacheKey<T> : IEquatable<CacheKey<T>>
{
    public CacheKey(EntryKey entry) => Entry = entry;

    public EntryKey Entry { get; }

    public KeyFamily Family => Entry.Family;

    public bool Equals(CacheKey<T> other) => Entry.Equals(other.Entry);

    public override bool Equals(object? obj) => obj is CacheKey<T> other && Equals(other);

    public override int GetHashCode() => Entry.GetHashCode();

    public static bool operator ==(CacheKey<T> left, CacheKey<T> right) => left.Equals(right);

    public static bool operator !=(CacheKey<T> left, CacheKey<T> right) => !left.Equals(right);

    public override string ToString() => Entry.ToString();
}
