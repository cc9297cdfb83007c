namespace Onggi.Keys.Catalog;

/// <summary>The bounds of times and jitter: wherever they are written, and for each family as an environment has it.</summary>
internal sealed class TimeRules(CatalogModel model, List<CatalogMistake> mistakes)
{
    private const double MaxJitter = 0.5;
    private static readonly TimeSpan MaxGrace = TimeSpan.FromHours(24);
    private static readonly TimeSpan MaxNegativeTtl = TimeSpan.FromMinutes(10);

    /// <summary>Bounds that hold wherever a value is written.</summary>
    public void CheckPaces()
    {
        CheckPace(model.Defaults, "the defaults");
        foreach (var service in model.Services)
            CheckPace(service, $"service \"{service.Name.Value}\"");
        foreach (var family in model.Families)
            CheckPace(family, family.Where);
        foreach (var catalogEvent in model.Events.Where(known => known.Ttl is not null))
            CheckBounds(catalogEvent.Ttl!, KindRules.EventData, $"{catalogEvent.Where}: \"ttl\"");
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

    public void CheckTimes(ResolvedFamily resolved)
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

    private void Add(MistakeCode code, JsonNode node, string what, string why, string write) =>
        mistakes.Add(new CatalogMistake(code, node, what, why, write));
}
