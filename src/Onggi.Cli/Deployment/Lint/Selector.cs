namespace Onggi.Cli.Deployment.Lint;

/// <summary>Which labels a selector wants: <c>matchLabels</c> and <c>matchExpressions</c>, or a plain mapping.</summary>
internal static class Selector
{
    /// <summary>Whether the labels are selected by a <c>LabelSelector</c>; an empty one selects everything.</summary>
    public static bool Matches(YamlPart selector, IReadOnlyDictionary<string, string> labels) =>
        MatchesAll(selector["matchLabels"], labels) && selector["matchExpressions"].Items.All(expression => Holds(expression, labels));

    /// <summary>Whether the labels have all of a plain mapping.</summary>
    public static bool MatchesAll(YamlPart wanted, IReadOnlyDictionary<string, string> labels) =>
        wanted.Strings().All(pair => labels.GetValueOrDefault(pair.Key) == pair.Value);

    /// <summary>The selector as people write it: <c>app=redis, tier in (a, b)</c>.</summary>
    public static string Spell(YamlPart selector)
    {
        var plain = selector["matchLabels"].Exists || selector["matchExpressions"].Exists ? selector["matchLabels"] : selector;
        var words = plain
            .Strings()
            .Select(pair => $"{pair.Key}={pair.Value}")
            .Concat(
                selector["matchExpressions"]
                    .Items.Select(expression =>
                        $"{expression["key"].Text} {expression["operator"].Text} ({string.Join(", ", expression["values"].Items.Select(value => value.Text))})"
                    )
            )
            .ToList();
        return words.Count == 0 ? "everything" : string.Join(", ", words);
    }

    private static bool Holds(YamlPart expression, IReadOnlyDictionary<string, string> labels)
    {
        var label = labels.GetValueOrDefault(expression["key"].Text ?? "");
        var isAmong = label is not null && expression["values"].Items.Any(value => value.Text == label);
        return expression["operator"].Text switch
        {
            "In" => isAmong,
            "NotIn" => !isAmong,
            "Exists" => label is not null,
            "DoesNotExist" => label is null,
            _ => false,
        };
    }
}
