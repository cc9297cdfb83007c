namespace Onggi.Keys;

/// <summary>The identity of a family of keys: its name in the catalog and the names of its identifiers. Generated code holds one per family.</summary>
public sealed class KeyFamily : IEquatable<KeyFamily>
{
    private readonly int _hash;

    /// <summary>Names a family. Generated code calls it.</summary>
    /// <param name="name">The family's name in the catalog.</param>
    /// <param name="identifiers">The names of its identifiers, in the order of the pattern.</param>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public KeyFamily(string name, params string[] identifiers)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(identifiers);
        Name = name;
        Identifiers = identifiers;
        Arity = identifiers.Length;
        _hash = StringComparer.Ordinal.GetHashCode(name);
    }

    /// <summary>The family's name in the catalog, for example <c>line_status</c>.</summary>
    public string Name { get; }

    /// <summary>The names of its identifiers, in the order in which they stand in the pattern; at most three.</summary>
    public IReadOnlyList<string> Identifiers { get; }

    /// <summary>How many identifiers a key of the family has.</summary>
    internal int Arity { get; }

    /// <summary>Whether both have the same name: a catalog has each name once.</summary>
    public bool Equals(KeyFamily? other) => ReferenceEquals(this, other) || (other is not null && other.Name == Name);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as KeyFamily);

    /// <inheritdoc/>
    public override int GetHashCode() => _hash;

    /// <summary>The family's name.</summary>
    public override string ToString() => Name;
}
