namespace Onggi.Cli.Auditing;

/// <summary>Sessions and the indexes that name them, both whole, compared when all was walked.</summary>
internal sealed class SessionBooks
{
    private readonly HashSet<string> _indexed = new(StringComparer.Ordinal);
    private readonly List<string> _sessions = [];

    /// <summary>A session's own key. One that was given a new id opens the other for a moment longer, and no index names it.</summary>
    public void AddSession(string name, bool wasReplaced)
    {
        if (!wasReplaced)
            _sessions.Add(name);
    }

    public void AddIndexed(IEnumerable<string> names) => _indexed.UnionWith(names);

    /// <summary>Sessions that no index has named so far.</summary>
    public IReadOnlyList<string> Unnamed => _sessions.FindAll(name => !_indexed.Contains(name));

    /// <summary>Sessions that are not to be told of after all.</summary>
    public void Remove(IReadOnlySet<string> names) => _sessions.RemoveAll(names.Contains);

    /// <summary>Sessions that no index names open nothing, and nobody can end them.</summary>
    public void Report(AuditFindings findings)
    {
        foreach (var name in Unnamed)
            findings.Add(
                "ONG087",
                "sessions without an index",
                name,
                of: null,
                (count, examples) =>
                    findings.Here(
                        "ONG087",
                        null,
                        $"{count} of sessions stand in no index: {examples}.",
                        "They open nothing, and stay until their time is over: an index was evicted, or removed by hand.",
                        "See that nothing is evicted (ONG041); who was signed in signs in again. The keys end by themselves.",
                        isWarning: true
                    )
            );
    }
}
