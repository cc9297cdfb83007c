namespace Onggi.Keys.Catalog;

/// <summary>What events and families must say of each other.</summary>
internal sealed class EventRules(CatalogModel model, List<CatalogMistake> mistakes)
{
    private readonly List<string> _families = model.Families.ConvertAll(family => family.Name.Value);
    private readonly List<string> _events = model.Events.ConvertAll(known => known.Name.Value);

    public void CheckInvalidatedBy(FamilyModel family, Located<string> source)
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

    public void CheckEvent(EventModel catalogEvent)
    {
        if (BuiltInNames.Events.Contains(catalogEvent.Name.Value))
            Add(
                MistakeCode.ReservedNamespace,
                catalogEvent.Name.Node,
                $"{catalogEvent.Where}: Onggi publishes this event itself.",
                "Its payload is Onggi's.",
                "Remove it, or give yours another name."
            );
        if (catalogEvent.Delivery?.Value == KindRules.AtLeastOnce)
            CheckStream(catalogEvent);
        foreach (var mapping in catalogEvent.Keys)
            CheckMapping(catalogEvent, mapping);
    }

    // What only Pub/Sub has would be accepted without effect.
    private void CheckStream(EventModel catalogEvent)
    {
        if (catalogEvent.Channel is { } channel)
            Add(
                MistakeCode.FieldOfOtherKind,
                channel.Node,
                $"{catalogEvent.Where}: an event that is delivered at least once has no \"channel\".",
                $"It goes through the stream \"events:stream:{catalogEvent.Name.Value}\".",
                "Remove it."
            );
        if (catalogEvent.Ttl is { } ttl)
            Add(
                MistakeCode.FieldOfOtherKind,
                ttl.Node,
                $"{catalogEvent.Where}: an event that is delivered at least once has no \"ttl\".",
                "It stays until every group has settled it; how long after that is the option Events:Streams:KeepSettled.",
                "Remove it."
            );
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

        if (!family.KindIsKnown)
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

    public void CheckChannels()
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

    private static string Example(FamilyModel family) =>
        family.Key is null
            ? "{ … }"
            : "{ "
                + string.Join(", ", family.Key.Value.Identifiers.Select(identifier => $"\"{identifier}\": \"data.{identifier}\""))
                + " }";

    private void Add(MistakeCode code, JsonNode node, string what, string why, string write) =>
        mistakes.Add(new CatalogMistake(code, node, what, why, write));
}
