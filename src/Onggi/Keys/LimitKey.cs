namespace Onggi.Keys;

/// <summary>The key of one limit: whose budget it is. Make it with the generated <c>Keys</c>: wrong names do not compile.</summary>
public readonly struct LimitKey : IEquatable<LimitKey>
{
    /// <summary>Says that a key is a limit's. Generated code calls it.</summary>
    /// <param name="entry">The family, of kind <c>limit</c>, and the identifiers.</param>
    public LimitKey(EntryKey entry) => Entry = entry;

    /// <summary>The key without its kind.</summary>
    public EntryKey Entry { get; }

    /// <summary>The family it belongs to.</summary>
    public KeyFamily Family => Entry.Family;

    /// <summary>Whether both name the same family and identifiers.</summary>
    public bool Equals(LimitKey other) => Entry.Equals(other.Entry);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is LimitKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Entry.GetHashCode();

    /// <summary>Whether both name the same family and identifiers.</summary>
    public static bool operator ==(LimitKey left, LimitKey right) => left.Equals(right);

    /// <summary>Whether they name different families or identifiers.</summary>
    public static bool operator !=(LimitKey left, LimitKey right) => !left.Equals(right);

    /// <summary>The family only: identifiers can be personal.</summary>
    public override string ToString() => Entry.ToString();
}
