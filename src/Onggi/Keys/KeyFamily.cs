#pragma warning disable CS1591, MA0025
namespace Onggi.Keys;

/// <summary>The identity of a family of keys: its name in the catalog and the names of its identifiers. Generated code holds one per family.</summary>
public sealed class KeyFamily : IEquatable<KeyFamily>
{
    private readonly int _hash;

    public KeyFamily(string name, params string[] identifiers)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(identifiers);
        Name = name;
        Identifiers = identifiers;
        _hash = StringComparer.Ordinal.GetHashCode(name);
    }

    /// <summary>The family's name in the catalog, for example <c>line_status</c>.</summary>
    public string Name { get; }

    /// <summary>The names of its identifiers, in the order in which they stand in the pattern; at most three.</summary>
    public IReadOnlyList<string> Identifiers { get; }

    public bool Equals(KeyFamily? other) => ReferenceEquals(this, other) || (other is not null && other.Name == Name);

    public override bool Equals(object? obj) => Equals(obj as KeyFamily);

    public override int GetHashCode() => _hash;

    public override string ToString() => Name;
}
