namespace Onggi.Keys.Catalog;

/// <summary>Finds the mistakes that need two places of the file, the rules of a kind, or an environment, to be seen.</summary>
internal sealed class CatalogValidator(CatalogModel model, List<CatalogMistake> mistakes)
{
    private const double MaxJitter = 0.5;

    private static readonly TimeSpan MaxGrace = TimeSpan.FromHours(24);
    private static readonly TimeSpan MaxNegativeTtl = TimeSpan.FromMinutes(10);

    /// <summary>Members that every C# class has, and the generated classes' own names, which their members cannot have.</summary>
    private static readonly string[] TakenMembers =
    [
        "Equals",
        "Finalize",
        "GetHashCode",
        "GetType",
        "MemberwiseClone",
        "ReferenceEquals",
        "ToString",
        "Keys",
        "KeyFamilies",
        "EventTypes",
    ];

    private readonly List<string> _services = model.Services.ConvertAll(service => service.Name.Value);
    private readonly List<string> _families = model.Families.ConvertAll(family => family.Name.Value);
    private readonly List<string> _events = model.Events.ConvertAll(known => known.Name.Value);

    public void Check()
    {
        CheckPaces();
        foreach (var family in model.Families)
            CheckFamily(family);
        foreach (var catalogEvent in model.Events)
            CheckEvent(catalogEvent);
        CheckChannels();
        CheckMembers(model.Families.ConvertAll(family => family.Name), "families", "Keys");
        CheckMembers(model.Events.ConvertAll(known => known.Name), "events", "EventTypes");
        CheckEnvironments();
        CheckOverlaps();
    }

    /// <summary>Whether a generated class cannot have a member of this name.</summary>
    public static bool IsTaken(string member) => TakenMembers.Contains(member);

    /// <summary>Bounds that hold wherever a value is written.</summary>
    private void CheckPaces()
    {
        CheckPace(model.Defaults, "the defaults");
        foreach (var service in model.Services)
            CheckPace(service, $"service \"{service.Name.Value}\"");
        foreach (var family in model.Families)
            CheckPace(family, family.Where);
        foreach (var environment in model.Environments)
        {
            var where = $"environment \"{environment.Name.Value}\"";
            CheckPace(environment.Defaults, $"{where}: the defaults");
            foreach (var service in environment.Services)
                CheckPace(service, $"{where}: service \"{service.Name.Value}\"");
            foreach (var family in environment.Families)
                CheckPace(family, $"{where}: {family.Where}");
        }
    }

    private void CheckPace(Pace pace, string where)
    {
        if (pace is not FamilyModel && pace.Ttl is { } ttl)
            CheckBounds(ttl, KindRules.CacheTtl, $"{where}: \"ttl\"");
        if (pace.EventTtl is { } eventTtl)
            CheckBounds(eventTtl, KindRules.EventData, $"{where}: \"eventTtl\"");
        if (pace.Grace is { } grace && grace.Value > MaxGrace)
            Add(
                MistakeCode.LimitExceeded,
                grace.Node,
                $"{where}: a grace of {CatalogWords.Spell(grace.Value)} is longer than {CatalogWords.Spell(MaxGrace)}.",
                "Grace keeps old values for the time when the source is down; nobody wants yesterday's.",
                $"Write \"{CatalogWords.Spell(MaxGrace)}\" or less."
            );
        if (pace.NegativeTtl is { } negative && (negative.Value > MaxNegativeTtl || negative.Value <= TimeSpan.Zero))
            Add(
                MistakeCode.LimitExceeded,
                negative.Node,
                $"{where}: a \"not found\" for {CatalogWords.Spell(negative.Value)} is outside 1ms to {CatalogWords.Spell(MaxNegativeTtl)}.",
                "What is created meanwhile stays invisible for so long.",
                $"Write \"{CatalogWords.Spell(KindRules.DefaultNegativeTtl)}\"."
            );
        if (pace.Jitter is { } jitter && jitter.Value > MaxJitter)
            Add(
                MistakeCode.LimitExceeded,
                jitter.Node,
                $"{where}: a jitter of {CatalogWords.SpellPercent(jitter.Value)} is more than {CatalogWords.SpellPercent(MaxJitter)}.",
                "Jitter takes time off each entry, so that they do not all end at once; more than half makes the TTL meaningless.",
                "Write \"10%\"."
            );
    }

    private void CheckFamily(FamilyModel family)
    {
        if (family.Name.Value == BuiltInNames.SystemFamily)
            Add(
                MistakeCode.ReservedNamespace,
                family.Name.Node,
                $"{family.Where}: the name is taken.",
                "Onggi's own keys are the family of this name.",
                $"Write \"{model.System?.Value ?? "my"}_{family.Name.Value}\"."
            );
        if (family.Owner is { } owner)
            CheckService(owner, $"{family.Where}: the owner");
        foreach (var reader in family.Readers ?? [])
            CheckReader(reader, family.Where);
        CheckPersonal(family);
        if (!KindIsKnown(family))
            return;
        CheckKindOfFields(family, family.KindWord, family.Where);
        CheckNamespace(family);
        foreach (var source in family.InvalidatedBy)
            CheckInvalidatedBy(family, source);
    }

    private void CheckReader(Located<string> reader, string where)
    {
        if (reader.Value != "*")
            CheckService(reader, $"{where}: the reader");
    }

    private void CheckService(Located<string> service, string where)
    {
        if (!_services.Contains(service.Value))
            Add(
                MistakeCode.UnknownService,
                service.Node,
                $"{where} \"{service.Value}\" is no service of this catalog.",
                "",
                CatalogWords.Suggest(service.Value, _services, $"Write it under \"services\": {{ \"{service.Value}\": {{}} }}.")
            );
    }

    private void CheckPersonal(FamilyModel family)
    {
        if (family.Key is null)
            return;
        foreach (var name in family.Personal.Where(name => !family.Key.Value.Identifiers.Contains(name.Value)))
            Add(
                MistakeCode.BadIdentifier,
                name.Node,
                $"{family.Where}: \"{name.Value}\" is no identifier of its key.",
                "It could not be hashed, and would stand in Redis as it is.",
                CatalogWords.Suggest(name.Value, [.. family.Key.Value.Identifiers], "")
            );
    }

    private void CheckKindOfFields(FamilyModel family, string kind, string where)
    {
        var rules = KindRules.Of(kind);
        foreach (var field in family.Fields.Where(field => !rules.Allows(field.Key)))
            Add(
                MistakeCode.FieldOfOtherKind,
                field.Value,
                $"{where}: a {kind} has no \"{field.Key}\".",
                $"Only {CatalogWords.OneOf(KindRules.KindsWith(field.Key))} families have it.",
                kind == KindRules.Session && field.Key == "ttl" ? "Write \"idle\" and \"absolute\"." : "Remove it."
            );
    }

    /// <summary>The shared namespaces belong to their kinds, and each kind stands in its own.</summary>
    private void CheckNamespace(FamilyModel family)
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
            _ when second is "session" or "session-user" && kind != KindRules.Session && _services.Contains(first) => "sessions",
            _ when second is "token" && kind != KindRules.Token && _services.Contains(first) => "tokens",
            _ => null,
        };
        if (taken is not null)
            Add(
                MistakeCode.ReservedNamespace,
                family.Key.Node,
                $"{family.Where}: the key \"{key}\" stands in a reserved namespace.",
                $"\"{(second is "session" or "session-user" or "token" ? first + ":" + second : first)}:\" is kept for {taken}.",
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

    private void CheckInvalidatedBy(FamilyModel family, Located<string> source)
    {
        var known = model.Events.Find(candidate => candidate.Name.Value == source.Value);
        if (known is null)
        {
            var isBuiltIn = BuiltInNames.Events.Contains(source.Value);
            Add(
                MistakeCode.UnknownEvent,
                source.Node,
                isBuiltIn
                    ? $"{family.Where}: \"{source.Value}\" is an event of Onggi itself."
                    : $"{family.Where}: there is no event \"{source.Value}\" in this catalog.",
                isBuiltIn ? "It carries no keys of yours." : "Nothing would ever invalidate the family by it.",
                isBuiltIn ? "Declare an event of your own." : CatalogWords.Suggest(source.Value, _events, "Declare it under \"events\".")
            );
        }
        else if (!known.Keys.Exists(mapping => mapping.Family.Value == family.Name.Value))
            Add(
                MistakeCode.EventDisagreement,
                source.Node,
                $"{family.Where} is invalidated by \"{source.Value}\", which does not say which of its keys.",
                $"The event stands on line {known.Name.Node.Line}.",
                $"Write there \"keys\": {{ \"{family.Name.Value}\": {Example(family)} }}."
            );
    }

    private void CheckEvent(EventModel catalogEvent)
    {
        if (BuiltInNames.Events.Contains(catalogEvent.Name.Value))
            Add(
                MistakeCode.ReservedNamespace,
                catalogEvent.Name.Node,
                $"{catalogEvent.Where}: Onggi publishes this event itself.",
                "Its payload is Onggi's.",
                "Remove it, or give yours another name."
            );
        if (catalogEvent.Ttl is { } ttl)
            CheckBounds(ttl, KindRules.EventData, $"{catalogEvent.Where}: \"ttl\"");
        foreach (var mapping in catalogEvent.Keys)
            CheckMapping(catalogEvent, mapping);
    }

    private void CheckMapping(EventModel catalogEvent, MappingModel mapping)
    {
        var family = model.Families.Find(candidate => candidate.Name.Value == mapping.Family.Value);
        if (family is null)
        {
            Add(
                MistakeCode.UnknownFamily,
                mapping.Family.Node,
                $"{catalogEvent.Where}: there is no family \"{mapping.Family.Value}\" in this catalog.",
                "",
                CatalogWords.Suggest(mapping.Family.Value, _families, "Declare it under \"families\".")
            );
            return;
        }

        if (!KindIsKnown(family))
            return;
        if (family.KindWord != KindRules.Cache)
        {
            Add(
                MistakeCode.EventDisagreement,
                mapping.Family.Node,
                $"{catalogEvent.Where}: family \"{family.Name.Value}\" is no cache but a {family.KindWord}.",
                "Events invalidate cached values; the other kinds are ended by their owners.",
                "Remove it."
            );
            return;
        }

        if (!family.InvalidatedBy.Exists(source => source.Value == catalogEvent.Name.Value))
            Add(
                MistakeCode.EventDisagreement,
                mapping.Family.Node,
                $"{catalogEvent.Where} names keys of family \"{family.Name.Value}\", which does not say so.",
                $"Who reads the family (line {family.Name.Node.Line}) must see what invalidates it.",
                $"Write there \"invalidatedBy\": [{string.Join(", ", family.InvalidatedBy.Select(source => $"\"{source.Value}\"").Concat([$"\"{catalogEvent.Name.Value}\""]))}]."
            );
        if (family.Key is null)
            return;
        var identifiers = family.Key.Value.Identifiers;
        foreach (var named in mapping.Named.Where(named => !identifiers.Contains(named.Value)))
            Add(
                MistakeCode.BadMapping,
                named.Node,
                $"{catalogEvent.Where}: family \"{family.Name.Value}\" has no identifier \"{named.Value}\".",
                $"Its key is \"{family.Key.Value}\".",
                CatalogWords.Suggest(named.Value, [.. identifiers], "")
            );
        var lacking = identifiers.Where(identifier => !mapping.Named.Exists(named => named.Value == identifier)).ToList();
        if (lacking.Count > 0)
            Add(
                MistakeCode.BadMapping,
                mapping.Node,
                $"{catalogEvent.Where}: the keys of \"{family.Name.Value}\" lack the identifier{(lacking.Count > 1 ? "s" : "")} {CatalogWords.OneOf([.. lacking.Select(name => $"\"{name}\"")]).Replace(" or ", " and ")}.",
                $"Its key is \"{family.Key.Value}\": without all of them nobody knows which one is meant.",
                $"Write {string.Join(", ", lacking.Select(name => $"\"{name}\": \"data.{name}\""))} as well."
            );
    }

    private void CheckChannels()
    {
        foreach (var twice in model.Events.GroupBy(known => known.ChannelName, StringComparer.Ordinal).Where(group => group.Count() > 1))
        {
            var first = twice.First();
            foreach (var other in twice.Skip(1))
                Add(
                    MistakeCode.DuplicateName,
                    (other.Channel ?? first.Channel ?? other.Name).Node,
                    $"{other.Where} and {first.Where} share the channel \"{twice.Key}\".",
                    "Each event has its own, so that subscribers get what they asked for.",
                    "Leave the field \"channel\" away."
                );
        }
    }

    private void CheckMembers(List<Located<string>> names, string what, string generatedClass)
    {
        var members = new Dictionary<string, Located<string>>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            var member = CatalogWords.MemberName(name.Value);
            if (IsTaken(member))
                Add(
                    MistakeCode.GeneratedNameCollision,
                    name.Node,
                    $"\"{name.Value}\" would become the C# member \"{generatedClass}.{member}\", which C# keeps for itself.",
                    "",
                    $"Write \"{(what == "events" ? name.Value + "_done" : name.Value + "_entry")}\"."
                );
            else if (members.TryGetValue(member, out var first) && first.Value != name.Value)
                Add(
                    MistakeCode.GeneratedNameCollision,
                    name.Node,
                    $"The {what} \"{first.Value}\" (line {first.Node.Line}) and \"{name.Value}\" would both become the C# member \"{generatedClass}.{member}\".",
                    "",
                    "Rename one."
                );
            else
                members[member] = name;
        }
    }

    private void CheckEnvironments()
    {
        foreach (var environment in model.Environments)
        {
            var where = $"environment \"{environment.Name.Value}\"";
            foreach (var service in environment.Services)
                CheckService(service.Name, $"{where}:");
            foreach (var family in environment.Families)
                CheckOverride(family, where);
        }

        foreach (var name in model.EnvironmentNames)
        {
            var resolved = model.Resolve(name);
            foreach (var family in resolved.Families.Where(family => KindIsKnown(family.Family)))
                CheckTimes(family);
            CheckShares(resolved);
        }
    }

    private void CheckOverride(FamilyModel family, string where)
    {
        var known = model.Families.Find(candidate => candidate.Name.Value == family.Name.Value);
        if (known is null)
            Add(
                MistakeCode.UnknownFamily,
                family.Name.Node,
                $"{where}: there is no family \"{family.Name.Value}\" in this catalog.",
                "",
                CatalogWords.Suggest(family.Name.Value, _families, "Declare it under \"families\".")
            );
        else if (KindIsKnown(known))
            CheckKindOfFields(family, known.KindWord, $"{where}: {family.Where}");
        foreach (var reader in family.Readers ?? [])
            CheckReader(reader, $"{where}: {family.Where}");
    }

    private void CheckTimes(ResolvedFamily resolved)
    {
        var family = resolved.Family;
        if (resolved.Ttl is { } ttl && KindRules.TtlBounds(family) is { } bounds)
        {
            // A value that cannot be read has its own mistake.
            var unread = family.Fields.ContainsKey("ttl") && family.Ttl is null;
            var isOwn = IsOwn(resolved.TtlNode, resolved, pace => pace.Ttl?.Node);
            if (isOwn)
                CheckBounds(new Located<TimeSpan>(ttl, resolved.TtlNode!), bounds, $"{family.Where}: \"ttl\"");
            else if (!bounds.Hold(ttl) && !unread)
                Add(
                    MistakeCode.TtlOutsideRules,
                    family.Name.Node,
                    $"{family.Where} takes its ttl {CatalogWords.Spell(ttl)} from {(resolved.TtlNode is null ? "the built-in default" : $"line {resolved.TtlNode.Line}")}, outside {bounds} for {bounds.Subject}.",
                    bounds.Why,
                    $"Write \"ttl\": \"{bounds.Nearest(ttl)}\" in the family."
                );
            if (
                resolved.Grace is { } grace
                && grace.Value > ttl
                && grace.Value <= MaxGrace
                && IsOwn(grace.Node, resolved, pace => pace.Grace?.Node)
            )
                Add(
                    MistakeCode.LimitExceeded,
                    grace.Node,
                    $"{family.Where}: the grace of {CatalogWords.Spell(grace.Value)} is longer than the ttl of {CatalogWords.Spell(ttl)}.",
                    "An entry would be out of date for most of its life.",
                    $"Write \"{CatalogWords.Spell(ttl)}\" or less."
                );
            if (
                resolved.NegativeTtl is { } negative
                && negative.Value > ttl
                && negative.Value <= MaxNegativeTtl
                && IsOwn(negative.Node, resolved, pace => pace.NegativeTtl?.Node)
            )
                Add(
                    MistakeCode.LimitExceeded,
                    negative.Node,
                    $"{family.Where}: a \"not found\" lives {CatalogWords.Spell(negative.Value)}, longer than a value with {CatalogWords.Spell(ttl)}.",
                    "What is created meanwhile stays invisible for so long.",
                    $"Write \"{CatalogWords.Spell(ttl < KindRules.DefaultNegativeTtl ? ttl : KindRules.DefaultNegativeTtl)}\"."
                );
        }

        if (family.KindWord != KindRules.Session)
            return;
        if (resolved.Idle is { } idle)
            CheckBounds(idle, KindRules.Idle, $"{family.Where}: \"idle\"");
        if (resolved.Absolute is { } absolute)
            CheckBounds(absolute, KindRules.Absolute, $"{family.Where}: \"absolute\"");
        if (
            resolved.Idle is { } unused
            && resolved.Absolute is { } whole
            && unused.Value > whole.Value
            && KindRules.Idle.Hold(unused.Value)
            && KindRules.Absolute.Hold(whole.Value)
        )
            Add(
                MistakeCode.TtlOutsideRules,
                unused.Node,
                $"{family.Where}: idle ({CatalogWords.Spell(unused.Value)}) is longer than absolute ({CatalogWords.Spell(whole.Value)}).",
                "A session ends at the first of both, so idle would never count.",
                $"Write \"{CatalogWords.Spell(whole.Value)}\" or less."
            );
    }

    /// <summary>Whether a value was written for this family, and not taken from its owner or the defaults.</summary>
    private bool IsOwn(JsonNode? node, ResolvedFamily resolved, Func<Pace, JsonNode?> pick) =>
        node is not null
        && (
            ReferenceEquals(pick(resolved.Family), node)
            || model.Environments.Exists(environment => environment.Families.Exists(family => ReferenceEquals(pick(family), node)))
        );

    private void CheckBounds(Located<TimeSpan> value, Bounds bounds, string where)
    {
        if (!bounds.Hold(value.Value))
            Add(
                MistakeCode.TtlOutsideRules,
                value.Node,
                $"{where} is {CatalogWords.Spell(value.Value)}, outside {bounds} for {bounds.Subject}.",
                bounds.Why,
                $"Write \"{bounds.Nearest(value.Value)}\"."
            );
    }

    private void CheckShares(ResolvedCatalog resolved)
    {
        var shares = resolved.Families.Where(family => family.Share is not null).ToList();
        var sum = shares.Sum(family => (decimal)family.Share!.Value);
        if (shares.Count == 0 || sum < 1)
            return;
        var without = resolved.Families.Where(family => family.Share is null).Select(family => family.Family.Name.Value).ToList();
        var isOverridden = shares.Exists(family => family.Share != family.Family.Share);
        var where = isOverridden ? $"environment \"{resolved.Environment}\": the" : "The";
        var list = string.Join(
            ", ",
            shares.Select(family => $"{family.Family.Name.Value} {CatalogWords.SpellPercent(family.Share!.Value)}")
        );
        decimal running = 0;
        var culprit = shares.First(family => (running += (decimal)family.Share!.Value) >= 1);
        if (sum > 1)
            Add(
                MistakeCode.SharesExceeded,
                culprit.Share!.Node,
                $"{where} shares add up to {CatalogWords.SpellPercent((double)sum)}: {list}.",
                "There is only 100% of the memory.",
                $"Take {CatalogWords.SpellPercent((double)(sum - 1))} away."
            );
        else if (without.Count > 0)
            Add(
                MistakeCode.SharesExceeded,
                culprit.Share!.Node,
                $"{where} shares take the whole memory: {list}.",
                $"Families without a share divide what is left, and nothing is left for {CatalogWords.OneOf(without).Replace(" or ", " and ")}.",
                "Leave them some, for example 10%."
            );
    }

    /// <summary>Every two families, under the prefixes of every two environments: they may share one Redis.</summary>
    private void CheckOverlaps()
    {
        var prefixes = model
            .EnvironmentNames.Select(model.Resolve)
            .Where(resolved => !resolved.Prefix.Contains('{'))
            .GroupBy(resolved => resolved.Prefix, StringComparer.Ordinal)
            .Select(group => (Name: group.First().Environment, Words: KeyPattern.Words(group.Key)))
            .ToList();
        var families = model.Families.Where(family => family.Key is not null && KindIsKnown(family)).ToList();
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

    private static string Example(FamilyModel family) =>
        family.Key is null
            ? "{ … }"
            : "{ "
                + string.Join(", ", family.Key.Value.Identifiers.Select(identifier => $"\"{identifier}\": \"data.{identifier}\""))
                + " }";

    /// <summary>A kind that could not be read has its own mistake; nothing more can be said of such a family.</summary>
    private static bool KindIsKnown(FamilyModel family) => family.Kind is not null || !family.Fields.ContainsKey("kind");

    private void Add(MistakeCode code, JsonNode node, string what, string why, string write) =>
        mistakes.Add(new CatalogMistake(code, node, what, why, write));
}
