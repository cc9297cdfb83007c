using System.Globalization;
using Onggi.Cli.Checks;

namespace Onggi.Cli.Auditing;

/// <summary>Gathers what is wrong, many keys to one finding.</summary>
/// <param name="server">Where they are.</param>
internal sealed class AuditFindings(string server)
{
    private const int Examples = 3;
    private const int MostOfACode = 20;

    private readonly Dictionary<(string Code, string Group), Bucket> _buckets = [];
    private readonly List<Finding> _others = [];

    /// <summary>One more key of which the same is wrong.</summary>
    /// <param name="code">The code.</param>
    /// <param name="group">What is the same: a family, a shape.</param>
    /// <param name="name">The key.</param>
    /// <param name="of">The family of which only some keys were asked this; <c>null</c> where all were.</param>
    /// <param name="say">The finding, once it is known how many there are: their number in words, and the first of them.</param>
    public void Add(string code, string group, string name, FamilyTally? of, Func<string, string, Finding> say)
    {
        if (!_buckets.TryGetValue((code, group), out var bucket))
            _buckets[(code, group)] = bucket = new Bucket(of, say);
        bucket.Count++;
        if (bucket.Names.Count < Examples)
            bucket.Names.Add(PersonalData.Mask(name));
    }

    /// <summary>A finding of its own.</summary>
    public void Add(Finding finding) => _others.Add(finding);

    /// <summary>A finding about this server.</summary>
    public Finding Here(string code, string? group, string what, string why, string fix, bool isWarning = false) =>
        new(code, group is null ? server : $"{server} {group}", what, why, fix, isWarning);

    /// <summary>All, by their codes, the most first.</summary>
    public IReadOnlyList<Finding> ToList()
    {
        var all = new List<Finding>();
        foreach (var code in _buckets.GroupBy(pair => pair.Key.Code).OrderBy(code => code.Key, StringComparer.Ordinal))
        {
            var most = code.OrderByDescending(pair => pair.Value.Count).ToList();
            all.AddRange(most.Take(MostOfACode).Select(pair => pair.Value.Say()));
            if (most.Count > MostOfACode)
                all.Add(
                    most[MostOfACode].Value.Say() with
                    {
                        Where = server,
                        What =
                            $"and {most.Skip(MostOfACode).Sum(pair => pair.Value.Count)} keys more, of {most.Count - MostOfACode} other kinds.",
                    }
                );
        }

        return [.. all.Concat(_others).OrderBy(finding => finding.Code, StringComparer.Ordinal)];
    }

    private sealed class Bucket(FamilyTally? of, Func<string, string, Finding> say)
    {
        public long Count { get; set; }

        public List<string> Names { get; } = [];

        public Finding Say()
        {
            var examples = string.Join(", ", Names) + (Count > Names.Count ? ", …" : "");
            if (of is null || of.Looked >= of.Keys)
                return say($"{Number(Count)} {(Count == 1 ? "key" : "keys")}", examples);
            var (about, error) = of.Reckon(Count);
            return say($"about {Number(about)} ± {Number(error)} keys ({Number(Count)} of {Number(of.Looked)} looked into)", examples);
        }

        private static string Number(double number) => number.ToString("N0", CultureInfo.InvariantCulture);
    }
}
