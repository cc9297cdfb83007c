using System.Security.Cryptography;
using System.Text;
using Onggi.Keys;

namespace Onggi.Cli.Backup;

/// <summary>Which keys a backup is of, and whose each is.</summary>
internal sealed class BackupScope
{
    private const string Nobody = "nobody's";

    private readonly Keyspace? _keyspace;
    private readonly byte[] _prefix;
    private readonly Dictionary<string, int> _indices = new(StringComparer.Ordinal);
    private readonly List<(string Name, string Kind)> _families = [];

    /// <summary>What the catalog says, or everything where there is none.</summary>
    /// <param name="keyspace">The catalog; <c>null</c> for none.</param>
    /// <param name="catalogText">Its text; <c>null</c> for none.</param>
    /// <param name="prefix">What the keys begin with; empty for everything.</param>
    public BackupScope(Keyspace? keyspace, string? catalogText, string prefix)
    {
        (_keyspace, Prefix, _prefix) = (keyspace, prefix, Encoding.UTF8.GetBytes(prefix));
        Catalog = catalogText is null ? "" : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(catalogText)));
    }

    public string Prefix { get; }

    /// <summary>SHA-256 of the catalog's text; empty without one.</summary>
    public string Catalog { get; }

    public string System => _keyspace?.System ?? "";

    public string Environment => _keyspace?.Environment ?? "";

    /// <summary>The families that were met, in the order of their indices.</summary>
    public IReadOnlyList<(string Name, string Kind)> Families => _families;

    /// <summary>Whether the key belongs to it: itself, or as an auxiliary key behind its brace.</summary>
    public bool Holds(ReadOnlySpan<byte> key) => KeyPrefix.Begins(key, _prefix);

    /// <summary>The index of the key's family. Not for several threads.</summary>
    public int FamilyOf(byte[] key)
    {
        var family = _keyspace?.FamilyOf(Encoding.UTF8.GetString(key));
        var name = family?.Family.Name ?? (_keyspace is null ? "all" : Nobody);
        if (!_indices.TryGetValue(name, out var index))
        {
            index = _indices[name] = _families.Count;
            _families.Add((name, family?.Kind ?? ""));
        }

        return index;
    }
}

/// <summary>The beginning of keys, also behind the brace of auxiliary ones.</summary>
internal static class KeyPrefix
{
    /// <summary>Whether the key, or what stands behind its brace, begins so.</summary>
    public static bool Begins(ReadOnlySpan<byte> key, ReadOnlySpan<byte> prefix) =>
        key.StartsWith(prefix) || (key is [(byte)'{', .. var rest] && rest.StartsWith(prefix));

    /// <summary>The key with another beginning; it must have the old one.</summary>
    public static byte[] Replace(byte[] key, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        var brace = key.AsSpan().StartsWith(from) ? 0 : 1;
        return [.. key.AsSpan(0, brace), .. to, .. key.AsSpan(brace + from.Length)];
    }
}
