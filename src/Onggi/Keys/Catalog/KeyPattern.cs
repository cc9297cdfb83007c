namespace Onggi.Keys.Catalog;

/// <summary>One part of a key between two colons: a word, or an identifier that is put in.</summary>
internal readonly struct KeySegment
{
    public KeySegment(string text, bool isIdentifier)
    {
        Text = text;
        IsIdentifier = isIdentifier;
    }

    /// <summary>The word, or the identifier's name.</summary>
    public string Text { get; }

    public bool IsIdentifier { get; }

    public override string ToString() => IsIdentifier ? "{" + Text + "}" : Text;
}

/// <summary>The shape of a family's keys, for example <c>bill:{lineNumber}:{month}</c>.</summary>
/// <remarks>
/// Every identifier fills one whole part between two colons, and colons inside identifiers are escaped. So two patterns can make the same
/// key only when they have as many parts and no part has two different words: <see cref="Overlap"/> is exact, not a guess.
/// </remarks>
internal sealed class KeyPattern
{
    public const int MaxIdentifiers = 3;

    public KeyPattern(IReadOnlyList<KeySegment> segments)
    {
        Segments = segments;
        Identifiers = [.. segments.Where(segment => segment.IsIdentifier).Select(segment => segment.Text)];
    }

    public IReadOnlyList<KeySegment> Segments { get; }

    public IReadOnlyList<string> Identifiers { get; }

    /// <summary>Whether some key belongs to both patterns.</summary>
    public static bool Overlap(IReadOnlyList<KeySegment> left, IReadOnlyList<KeySegment> right)
    {
        if (left.Count != right.Count)
            return false;
        for (var i = 0; i < left.Count; i++)
        {
            if (!left[i].IsIdentifier && !right[i].IsIdentifier && left[i].Text != right[i].Text)
                return false;
        }

        return true;
    }

    /// <summary>A key that belongs to both of two overlapping patterns.</summary>
    public static string Witness(IReadOnlyList<KeySegment> left, IReadOnlyList<KeySegment> right)
    {
        var parts = new string[left.Count];
        for (var i = 0; i < parts.Length; i++)
            parts[i] =
                !left[i].IsIdentifier ? left[i].Text
                : !right[i].IsIdentifier ? right[i].Text
                : "1";
        return string.Join(":", parts);
    }

    /// <summary>The words of a prefix such as <c>dev:</c> as segments.</summary>
    public static List<KeySegment> Words(string prefix) =>
        [.. prefix.Split([':'], StringSplitOptions.RemoveEmptyEntries).Select(word => new KeySegment(word, isIdentifier: false))];

    /// <summary>Reads a pattern; <c>null</c> when it has mistakes, each of which is reported.</summary>
    public static KeyPattern? Parse(JsonNode node, string where, List<CatalogMistake> mistakes)
    {
        var text = node.Text;
        var before = mistakes.Count;
        var segments = new List<KeySegment>();

        void Bad(int start, int length, string what, string why, string write) =>
            mistakes.Add(new CatalogMistake(MistakeCode.BadPattern, node.Part(start, length), $"{where}: {what}", why, write));

        if (text.Length == 0)
        {
            Bad(0, 1, "the key is empty.", "", "Write a pattern such as \"customer:{lineNumber}\".");
            return null;
        }

        var at = 0;
        foreach (var part in text.Split(':'))
        {
            ReadPart(part, at);
            at += part.Length + 1;
        }

        if (mistakes.Count > before)
            return null;
        if (segments[0].IsIdentifier)
            Bad(
                0,
                segments[0].Text.Length + 2,
                "the key begins with an identifier.",
                "Its first word is the namespace that tells people and tools what the key is.",
                $"Write \"{(segments.Count > 1 && !segments[1].IsIdentifier ? segments[1].Text + ":" + segments[0] : "name:" + text)}\"."
            );
        var pattern = new KeyPattern(segments);
        if (pattern.Identifiers.Count == 0)
            Bad(
                0,
                text.Length,
                $"the key \"{text}\" has no identifier.",
                "A family is many keys of one shape.",
                $"Write \"{text}:{{id}}\"."
            );
        if (pattern.Identifiers.Count > MaxIdentifiers)
            Bad(
                0,
                text.Length,
                $"the key has {pattern.Identifiers.Count} identifiers.",
                $"More than {MaxIdentifiers} are a sign of two families in one.",
                "Join some of them in one identifier, or split the family."
            );
        foreach (var twice in pattern.Identifiers.GroupBy(name => name).Where(group => group.Count() > 1))
            Bad(
                text.LastIndexOf("{" + twice.Key + "}", StringComparison.Ordinal),
                twice.Key.Length + 2,
                $"the identifier \"{twice.Key}\" stands twice.",
                "Each becomes a parameter in C#.",
                "Give the second one a name of its own."
            );
        return mistakes.Count > before ? null : pattern;

        void ReadPart(string part, int start)
        {
            if (part.Length == 0)
            {
                Bad(Math.Max(0, start - 1), 1, "a colon with nothing on one side.", "The prefix brings its own colon.", "Remove it.");
                return;
            }

            var opens = part.IndexOf('{');
            var closes = part.IndexOf('}');
            if (opens < 0 && closes < 0)
            {
                ReadWord(part, start);
                return;
            }

            if (opens < 0 || closes < opens || part.IndexOf('{', opens + 1) >= 0 || part.IndexOf('}', closes + 1) >= 0)
            {
                var name = part.Trim('{', '}').Split('{', '}')[0];
                Bad(
                    start,
                    part.Length,
                    $"the braces of \"{part}\" do not fit together.",
                    "Braces stand around an identifier and nowhere else; in Redis Cluster they would decide the slot.",
                    $"Write \"{{{(CatalogWords.IsIdentifier(name) ? name : CatalogWords.AsIdentifier(name))}}}\"."
                );
                return;
            }

            var inner = part.Substring(opens + 1, closes - opens - 1);
            if (opens > 0 || closes < part.Length - 1)
            {
                var word = (part.Substring(0, opens).Trim('-', '_', '.', '$') + part.Substring(closes + 1).Trim('-', '_', '.')).Trim();
                Bad(
                    start,
                    part.Length,
                    $"\"{part}\" mixes a word and an identifier.",
                    "An identifier fills the whole part between two colons: otherwise two families could make the same key.",
                    $"Write \"{(word.Length > 0 ? word + ":" : "")}{{{inner}}}\"."
                );
                return;
            }

            if (!CatalogWords.IsIdentifier(inner))
            {
                mistakes.Add(
                    new CatalogMistake(
                        MistakeCode.BadIdentifier,
                        node.Part(start + 1, inner.Length),
                        $"{where}: \"{inner}\" cannot name an identifier.",
                        "It becomes the name of a parameter in C#: letters, digits and _, not beginning with a digit.",
                        $"Write \"{{{CatalogWords.AsIdentifier(inner)}}}\"."
                    )
                );
                return;
            }

            segments.Add(new KeySegment(inner, isIdentifier: true));
        }

        void ReadWord(string part, int start)
        {
            for (var i = 0; i < part.Length; i++)
            {
                if (part[i] is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9') or '_' or '-' or '.')
                    continue;
                Bad(
                    start + i,
                    1,
                    $"\"{part[i]}\" in \"{part}\".",
                    "Words of a key are letters, digits, _, - and . so that patterns, ACL rules and shells read them as they are.",
                    part.Contains('*') || part[0] is '<' or '$' or '[' ? "Write an identifier in braces: \"{id}\"." : "Remove it."
                );
                return;
            }

            segments.Add(new KeySegment(part, isIdentifier: false));
        }
    }

    public override string ToString() => string.Join(":", Segments);
}
