using Onggi.Keys.Catalog;

namespace Onggi.Keys;

/// <summary>A family's pattern, cut into what stands around the identifiers, so that a name is one concatenation.</summary>
internal sealed class KeyShape
{
    private readonly KeySegment[][] _patterns;
    private readonly string[] _around;
    private readonly bool[] _personal;
    private KeyFamily _fits;

    private KeyShape(FamilySettings settings, KeySegment[][] patterns, string prefix, bool[] personal)
    {
        Settings = settings;
        _patterns = patterns;
        _personal = personal;
        _fits = settings.Family;
        _around = Around(prefix, patterns[0]);
    }

    public FamilySettings Settings { get; }

    public static KeyShape Of(ResolvedFamily resolved, ResolvedCatalog catalog)
    {
        var model = resolved.Family;
        var key = model.Key!.Value;
        var personal = model.Personal.ConvertAll(name => name.Value);
        var ttl = (model.KindWord == KindRules.Session ? resolved.Absolute!.Value : resolved.Ttl)!.Value;
        KeySegment[][] patterns = [.. KindPatterns.Of(model).Select(pattern => pattern.ToArray())];
        var settings = new FamilySettings
        {
            Family = new KeyFamily(model.Name.Value, [.. key.Identifiers]),
            Kind = model.KindWord,
            Owner = model.Owner?.Value,
            Readers = [.. resolved.Readers.Select(reader => reader.Value)],
            Writers = [.. resolved.Writers.Select(writer => writer.Value)],
            Ttl = ttl,
            IdleTtl = resolved.Idle?.Value,
            SessionLimit = resolved.Limit?.Value,
            SessionPolicy = resolved.Policy?.Value,
            MaxTtl = KindRules.TtlBounds(model)?.Most ?? ttl,
            Grace = Least(resolved.Grace?.Value ?? TimeSpan.Zero, ttl),
            NegativeTtl = Least(resolved.NegativeTtl?.Value ?? KindRules.DefaultNegativeTtl, ttl),
            Jitter = resolved.Jitter?.Value ?? 0,
            Share = resolved.Share?.Value,
            InvalidatedBy = [.. model.InvalidatedBy.Select(name => name.Value)],
            Personal = personal,
            ValueType = model.Value?.Value,
            Pattern = catalog.Prefix + key,
            Description = model.Description,
            ScanPatterns = [.. patterns.Select(pattern => Glob(catalog.Prefix, pattern)).SelectMany(glob => new[] { glob, "{" + glob })],
        };
        return new KeyShape(settings, patterns, catalog.Prefix, [.. key.Identifiers.Select(personal.Contains)]);
    }

    /// <summary>Whether code that was compiled with this family makes names of this shape.</summary>
    /// <remarks>Generated code has one object for each family, so it is looked at once.</remarks>
    public bool Fits(KeyFamily family)
    {
        if (ReferenceEquals(_fits, family))
            return true;
        if (!Settings.Family.Identifiers.SequenceEqual(family.Identifiers, StringComparer.Ordinal))
            return false;
        _fits = family;
        return true;
    }

    public bool IsPersonal(int index) => _personal[index];

    /// <summary>The name of a key, from identifiers that are encoded.</summary>
    public string WireName(string first, string? second, string? third) =>
        _around.Length switch
        {
            2 => string.Concat(_around[0], first, _around[1]),
            3 => string.Concat([_around[0], first, _around[1], second, _around[2]]),
            _ => string.Concat([_around[0], first, _around[1], second, _around[2], third, _around[3]]),
        };

    /// <summary>Whether a name without its prefix, cut at the colons, can be a key of this family.</summary>
    public bool Matches(string[] parts, bool hashesPersonal)
    {
        foreach (var pattern in _patterns)
        {
            if (Matches(pattern, parts, hashesPersonal))
                return true;
        }

        return false;
    }

    private bool Matches(KeySegment[] pattern, string[] parts, bool hashesPersonal)
    {
        if (pattern.Length != parts.Length)
            return false;
        for (var i = 0; i < pattern.Length; i++)
        {
            if (!pattern[i].IsIdentifier && pattern[i].Text != parts[i])
                return false;
        }

        for (var i = 0; i < pattern.Length; i++)
        {
            if (!pattern[i].IsIdentifier)
                continue;
            var hashed = hashesPersonal && Settings.Personal.Contains(pattern[i].Text);
            if (parts[i].Length == 0 || !IdentifierEncoding.CanBe(parts[i], hashed))
                return false;
        }

        return true;
    }

    private static string[] Around(string prefix, KeySegment[] pattern)
    {
        var around = new List<string>();
        var text = prefix;
        for (var i = 0; i < pattern.Length; i++)
        {
            text += i > 0 ? ":" : "";
            if (!pattern[i].IsIdentifier)
            {
                text += pattern[i].Text;
                continue;
            }

            around.Add(text);
            text = "";
        }

        return [.. around, text];
    }

    private static string Glob(string prefix, KeySegment[] pattern) =>
        prefix + string.Join(':', pattern.Select(segment => segment.IsIdentifier ? "*" : segment.Text));

    private static TimeSpan Least(TimeSpan left, TimeSpan right) => left < right ? left : right;
}
