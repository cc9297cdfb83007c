namespace Onggi.Keys.Catalog;

/// <summary>Finds the mistakes that need two places of the file, the rules of a kind, or an environment, to be seen.</summary>
internal sealed class CatalogValidator(CatalogModel model, List<CatalogMistake> mistakes)
{
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

    private readonly EventRules _eventRules = new(model, mistakes);
    private readonly KeyRules _keyRules = new(model, mistakes);
    private readonly TimeRules _timeRules = new(model, mistakes);

    public void Check()
    {
        _timeRules.CheckPaces();
        foreach (var family in model.Families)
            CheckFamily(family);
        foreach (var catalogEvent in model.Events)
        {
            _eventRules.CheckEvent(catalogEvent);
            foreach (var publisher in catalogEvent.Publishers ?? [])
                CheckServiceOrAll(publisher, $"{catalogEvent.Where}: the publisher");
        }

        _eventRules.CheckChannels();
        CheckMembers(model.Families.ConvertAll(family => family.Name), "families", "Keys");
        CheckMembers(model.Events.ConvertAll(known => known.Name), "events", "EventTypes");
        CheckEnvironments();
        _keyRules.CheckOverlaps();
    }

    /// <summary>Whether a generated class cannot have a member of this name.</summary>
    public static bool IsTaken(string member) => TakenMembers.Contains(member);

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
            CheckServiceOrAll(reader, $"{family.Where}: the reader");
        foreach (var writer in family.Writers ?? [])
            CheckServiceOrAll(writer, $"{family.Where}: the writer");
        CheckPersonal(family);
        if (!family.KindIsKnown)
            return;
        CheckKindOfFields(family, family.KindWord, family.Where);
        _keyRules.CheckNamespace(family);
        foreach (var source in family.InvalidatedBy)
            _eventRules.CheckInvalidatedBy(family, source);
    }

    private void CheckServiceOrAll(Located<string> service, string where)
    {
        if (service.Value != "*")
            CheckService(service, where);
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
            foreach (var family in resolved.Families.Where(family => family.Family.KindIsKnown))
                _timeRules.CheckTimes(family);
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
        else if (known.KindIsKnown)
            CheckKindOfFields(family, known.KindWord, $"{where}: {family.Where}");
        foreach (var reader in family.Readers ?? [])
            CheckServiceOrAll(reader, $"{where}: {family.Where}: the reader");
        foreach (var writer in family.Writers ?? [])
            CheckServiceOrAll(writer, $"{where}: {family.Where}: the writer");
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

    private void Add(MistakeCode code, JsonNode node, string what, string why, string write) =>
        mistakes.Add(new CatalogMistake(code, node, what, why, write));
}
