using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>The name of the right to fill an entry. It hashes to the entry's own slot.</summary>
internal static class LeaseName
{
    /// <summary><c>{k}:l</c>, or <c>k:~l</c> where the name has a hash tag already.</summary>
    public static string Of(string wireName) => AuxiliaryName.Of(wireName, "l");

    /// <summary>The entry that a lease is of; another name as it is.</summary>
    public static ReadOnlySpan<char> EntryOf(ReadOnlySpan<char> name)
    {
        if (name.EndsWith(":~l", StringComparison.Ordinal))
            return name[..^3];
        return name.StartsWith('{') && name.EndsWith("}:l", StringComparison.Ordinal) ? name[1..^3] : name;
    }
}
