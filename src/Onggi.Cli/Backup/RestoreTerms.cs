using System.Text;

namespace Onggi.Cli.Backup;

/// <summary>What a restore is to do with a key that is there already.</summary>
internal enum WhenThere
{
    /// <summary>Nothing is begun.</summary>
    Refuse,

    /// <summary>It stays as it is.</summary>
    Keep,

    /// <summary>It is replaced.</summary>
    Replace,
}

/// <summary>What is restored, and under which names.</summary>
internal sealed class RestoreTerms
{
    private const string Own = "onggi";
    private const int MostPrefixWords = 2;

    private readonly byte[] _from;
    private readonly byte[] _to;
    private readonly byte[]? _system;
    private readonly bool _withSystem;
    private readonly HashSet<int> _families;

    /// <summary>Takes what the user wants of an archive.</summary>
    /// <param name="archive">The archive.</param>
    /// <param name="from">Only keys with this beginning; <c>null</c> for all.</param>
    /// <param name="to">What they begin with instead; <c>null</c> for the same.</param>
    /// <param name="families">Only these families; empty for all.</param>
    /// <param name="withCaches">Whether families of kind cache are restored.</param>
    /// <param name="withSystem">Whether Onggi's own keys are.</param>
    /// <exception cref="ToolException">The archive has no such family.</exception>
    public RestoreTerms(ArchiveReader archive, string? from, string? to, IReadOnlyList<string> families, bool withCaches, bool withSystem)
    {
        (From, To) = (from ?? "", to ?? from ?? "");
        (_from, _to) = (Encoding.UTF8.GetBytes(From), Encoding.UTF8.GetBytes(To));
        var prefix = from ?? archive.Header.Prefix;
        _withSystem = withSystem;
        _system = prefix.Length == 0 ? null : Encoding.UTF8.GetBytes(prefix + Own + ":");
        var known = archive.Footer.Families;
        foreach (var name in families)
        {
            if (!known.Any(family => family.Name == name))
                throw new ToolException(
                    $"the archive has no family \"{name}\". It has {Words.List([.. known.Select(family => family.Name)])}."
                );
        }

        _families =
        [
            .. Enumerable
                .Range(0, known.Count)
                .Where(i => families.Count == 0 || families.Contains(known[i].Name))
                .Where(i => withCaches || known[i].Kind != "cache"),
        ];
    }

    public string From { get; }

    public string To { get; }

    /// <summary>Whether the key is to be restored.</summary>
    public bool Wants(in KeyRecord record) =>
        _families.Contains(record.Family) && KeyPrefix.Begins(record.Key, _from) && (_withSystem || !IsSystem(record.Key));

    // Of what prefix the keys of a whole server are is not known: it has a word or two.
    private bool IsSystem(byte[] key)
    {
        if (_system is not null)
            return KeyPrefix.Begins(key, _system);
        var words = Encoding.UTF8.GetString(key).TrimStart('{').Split(':', MostPrefixWords + 2);
        return words.SkipLast(1).Contains(Own);
    }

    /// <summary>Its name at the target.</summary>
    public byte[] NameOf(byte[] key) => From == To ? key : KeyPrefix.Replace(key, _from, _to);
}
