namespace Onggi.Caching;

/// <summary>The name of the right to fill an entry. It hashes to the entry's own slot.</summary>
internal static class LeaseName
{
    /// <summary><c>{k}:l</c>, or <c>k:~l</c> where the name has a hash tag already.</summary>
    public static string Of(string wireName) => HasHashTag(wireName) ? wireName + ":~l" : "{" + wireName + "}:l";

    /// <summary>The entry that a lease is of; another name as it is.</summary>
    public static ReadOnlySpan<char> EntryOf(ReadOnlySpan<char> name)
    {
        if (name.EndsWith(":~l", StringComparison.Ordinal))
            return name[..^3];
        return name.StartsWith('{') && name.EndsWith("}:l", StringComparison.Ordinal) ? name[1..^3] : name;
    }

    // Redis's rule: what stands between the first brace and the next closing one, when that is not nothing.
    private static bool HasHashTag(string wireName)
    {
        var open = wireName.IndexOf('{', StringComparison.Ordinal);
        return open >= 0 && wireName.IndexOf('}', open + 1) > open + 1;
    }
}
