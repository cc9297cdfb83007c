namespace Onggi.Keys.Catalog;

/// <summary>Where keys may stand, and that no two families make the same one.</summary>
internal sealed class KeyRules(CatalogModel model, List<CatalogMistake> mistakes)
{
    private readonly List<string> _services = model.Services.ConvertAll(service => service.Name.Value);

    /// <summary>The shared namespaces belong to their kinds, and each kind stands in its own.</summary>
    public void CheckNamespace(FamilyModel family)
    {
        if (family.Key is null)
            return;
        var key = family.Key.Value;
        var first = key.Segments[0].Text;
        var second = key.Segments.Count > 1 && !key.Segments[1].IsIdentifier ? key.Segments[1].Text : "";
        var rest = string.Join(":", key.Segments.Skip(key.Segments.TakeWhile(segment => !segment.IsIdentifier).Count()));
        var owner = family.Owner?.Value ?? "auth";
        var kind = family.KindWord;
        var home = kind switch
        {
            KindRules.Session => $"{owner}:session:{{{(key.Identifiers.Count == 1 ? key.Identifiers[0] : "sessionId")}}}",
            KindRules.Token =>
                $"{owner}:token:{(first == owner && second == "token" || second.Length == 0 ? family.Name.Value : second)}:{rest}",
            KindRules.Lock => $"locks:{family.Name.Value}:{rest}",
            KindRules.Limit => $"rate_limit:{family.Name.Value}:{rest}",
            KindRules.Stream => $"events:stream:{rest}",
            _ => $"{family.Name.Value}:{rest}",
        };
        var isHome = kind switch
        {
            KindRules.Session => key.ToString() == home,
            KindRules.Token => first == owner && second == "token",
            KindRules.Lock => first == "locks",
            KindRules.Limit => first == "rate_limit",
            KindRules.Stream => first == "events" && second == "stream",
            _ => true,
        };
        if (!isHome && (kind is not (KindRules.Session or KindRules.Token) || family.Owner is not null))
        {
            Add(
                MistakeCode.ReservedNamespace,
                family.Key.Node,
                $"{family.Where}: the key \"{key}\" is not where a {kind} stands.",
                kind is KindRules.Session or KindRules.Token
                    ? $"Its keys are those of its owner: \"{owner}:{kind}:…\"."
                    : "Rights, audits and people tell kinds apart by the first words.",
                $"Write \"{home}\"."
            );
            return;
        }

        var taken = first switch
        {
            "onggi" => "Onggi itself",
            "events" when kind != KindRules.Stream => "events and streams",
            "locks" when kind != KindRules.Lock => "locks",
            "rate_limit" when kind != KindRules.Limit => "limits",
            "session" or "token" => "sessions and tokens, which stand behind their owner",
            "cache" when kind != KindRules.Cache => "caches",
            _ when second is "session" or "session-user" or "session-due" && kind != KindRules.Session && _services.Contains(first) =>
                "sessions",
            _ when second is "token" && kind != KindRules.Token && _services.Contains(first) => "tokens",
            _ => null,
        };
        if (taken is not null)
            Add(
                MistakeCode.ReservedNamespace,
                family.Key.Node,
                $"{family.Where}: the key \"{key}\" stands in a reserved namespace.",
                $"\"{(second is "session" or "session-user" or "session-due" or "token" ? first + ":" + second : first)}:\" is kept for {taken}.",
                $"Write \"{home}\"{(first is "locks" or "rate_limit" ? $", or \"kind\": \"{(first == "locks" ? "lock" : "limit")}\"" : "")}."
            );
        else if (model.EnvironmentNames.Contains(first) && (model.Prefix?.Value ?? CatalogModel.DefaultPrefix).Contains("{environment}"))
            Add(
                MistakeCode.BadPattern,
                family.Key.Node,
                $"{family.Where}: the key begins with the environment \"{first}\".",
                "The prefix puts the environment in front of every key.",
                $"Write \"{string.Join(":", key.Segments.Skip(1))}\"."
            );
    }

    /// <summary>Every two families, under the prefixes of every two environments: they may share one Redis.</summary>
    public void CheckOverlaps()
    {
        var prefixes = model
            .EnvironmentNames.Select(model.Resolve)
            .Where(resolved => !resolved.Prefix.Contains('{'))
            .GroupBy(resolved => resolved.Prefix, StringComparer.Ordinal)
            .Select(group => (Name: group.First().Environment, Words: KeyPattern.Words(group.Key)))
            .ToList();
        var families = model.Families.Where(family => family.Key is not null && family.KindIsKnown).ToList();
        for (var later = 1; later < families.Count; later++)
        {
            for (var earlier = 0; earlier < later; earlier++)
                CheckOverlap(families[earlier], families[later], prefixes);
        }
    }

    private void CheckOverlap(FamilyModel first, FamilyModel second, List<(string Name, List<KeySegment> Words)> prefixes)
    {
        foreach (var left in prefixes)
        {
            foreach (var right in prefixes)
            {
                foreach (var ours in KindPatterns.Of(first))
                {
                    foreach (var theirs in KindPatterns.Of(second))
                    {
                        List<KeySegment> one = [.. left.Words, .. ours];
                        List<KeySegment> other = [.. right.Words, .. theirs];
                        if (!KeyPattern.Overlap(one, other))
                            continue;
                        var word = second.Key!.Value.Segments[0].Text == second.Name.Value ? second.Name.Value + "s" : second.Name.Value;
                        Add(
                            MistakeCode.OverlappingFamilies,
                            second.Key.Node,
                            $"{second.Where} can make the same key as {first.Where} on line {first.Key!.Node.Line}: \"{KeyPattern.Witness(one, other)}\"{(left.Name == right.Name ? "" : $" (environments {left.Name} and {right.Name})")}.",
                            "One would read what the other wrote.",
                            left.Name == right.Name
                                ? $"Begin it with a word of its own: \"{word}:{string.Join(":", second.Key.Value.Segments.Skip(1))}\"."
                                : "Give both environments a prefix of as many words, such as \"{environment}:\"."
                        );
                        return;
                    }
                }
            }
        }
    }

    private void Add(MistakeCode code, JsonNode node, string what, string why, string write) =>
        mistakes.Add(new CatalogMistake(code, node, what, why, write));
}
