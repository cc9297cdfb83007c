namespace Onggi.Keys;

/// <summary>Names of what stands beside an entry: in its slot, and within the second pattern of its family.</summary>
internal static class AuxiliaryName
{
    /// <summary><c>{k}:part</c>, or <c>k:~part</c> where the name has a hash tag already.</summary>
    public static string Of(string wireName, string part) => HasHashTag(wireName) ? $"{wireName}:~{part}" : $"{{{wireName}}}:{part}";

    // Redis's rule: what stands between the first brace and the next closing one, when that is not nothing.
    private static bool HasHashTag(string wireName)
    {
        var open = wireName.IndexOf('{', StringComparison.Ordinal);
        return open >= 0 && wireName.IndexOf('}', open + 1) > open + 1;
    }
}
