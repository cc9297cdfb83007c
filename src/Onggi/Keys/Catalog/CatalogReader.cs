namespace Onggi.Keys.Catalog;

/// <summary>Turns JSON into the model: fields, types, small languages and names. What needs two places of the file is the validator's.</summary>
internal sealed class CatalogReader(List<CatalogMistake> mistakes, bool wantsTypes)
{
    private readonly ValueReader _values = new(mistakes);

    public CatalogModel Read(JsonNode root)
    {
        var model = new CatalogModel();
        if (!_values.IsObject(root, "the catalog", "{ \"system\": \"…\", \"families\": { … } }"))
            return model;
        var seesFamilies = false;
        foreach (var member in _values.Fields(root, "the catalog", CatalogFields.Catalog))
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "system":
                    model.System = _values.Name(value, "the system", "-");
                    break;
                case "environment":
                    model.Environment = _values.Name(value, "the environment", "-");
                    break;
                case "prefix":
                    model.Prefix = _values.Prefix(value, "the catalog");
                    break;
                case "personalIdentifiers":
                    model.PersonalIdentifiers = _values.Word(value, "\"personalIdentifiers\"", KindRules.PersonalWords);
                    break;
                case "defaults":
                    model.Defaults = ReadDefaults(value, "the defaults");
                    break;
                case "memory":
                    model.MemoryLimit = ReadMemory(value, "\"memory\"");
                    break;
                case "services":
                    model.Services.AddRange(ReadServices(value, "\"services\""));
                    break;
                case "events":
                    model.Events.AddRange(_values.Entries(value, "\"events\"", "an event such as \"user.updated\"").Select(ReadEvent));
                    break;
                case "families":
                    seesFamilies = true;
                    model.Families.AddRange(
                        _values
                            .Entries(value, "\"families\"", "a family such as \"customer\"")
                            .Select(entry => ReadFamily(entry, $"family \"{entry.Name}\"", CatalogFields.Family, isOverride: false))
                    );
                    break;
                case "environments":
                    model.Environments.AddRange(
                        _values.Entries(value, "\"environments\"", "an environment such as \"production\"").Select(ReadEnvironment)
                    );
                    break;
                default:
                    _values.Text(value, $"\"{member.Name}\"");
                    break;
            }
        }

        if (!root.Members.Exists(member => member.Name == "system"))
            _values.Missing(
                root,
                "the catalog",
                "system",
                "It names the whole of what the team owns in Redis.",
                "\"system\": \"phonebill\""
            );
        if (!seesFamilies)
            _values.Missing(root, "the catalog", "families", "They say what lives in Redis.", "\"families\": { … }");
        return model;
    }

    private EnvironmentModel ReadEnvironment(JsonMember entry)
    {
        var where = $"environment \"{entry.Name}\"";
        var environment = new EnvironmentModel(_values.EntryName(entry, where, "-"));
        if (!_values.IsObject(entry.Value, where, "{ \"memory\": { \"limit\": \"4gb\" } }"))
            return environment;
        foreach (var member in _values.Fields(entry.Value, where, CatalogFields.Environment))
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "prefix":
                    environment.Prefix = _values.Prefix(value, where);
                    break;
                case "personalIdentifiers":
                    environment.PersonalIdentifiers = _values.Word(value, $"{where}: \"personalIdentifiers\"", KindRules.PersonalWords);
                    break;
                case "defaults":
                    environment.Defaults = ReadDefaults(value, $"{where}: the defaults");
                    break;
                case "memory":
                    environment.MemoryLimit = ReadMemory(value, $"{where}: \"memory\"");
                    break;
                case "services":
                    environment.Services.AddRange(ReadServices(value, $"{where}: \"services\""));
                    break;
                case "families":
                    environment.Families.AddRange(
                        _values
                            .Entries(value, $"{where}: \"families\"", "what changes of a family")
                            .Select(family =>
                                ReadFamily(family, $"{where}: family \"{family.Name}\"", CatalogFields.FamilyOverride, isOverride: true)
                            )
                    );
                    break;
                default:
                    _values.Text(value, $"{where}: \"{member.Name}\"");
                    break;
            }
        }

        return environment;
    }

    private Pace ReadDefaults(JsonNode node, string where)
    {
        var defaults = new Pace();
        if (!_values.IsObject(node, where, "{ \"ttl\": \"30m\", \"jitter\": \"10%\" }"))
            return defaults;
        foreach (var member in _values.Fields(node, where, CatalogFields.Defaults))
            ReadPace(defaults, member, where);
        return defaults;
    }

    private Located<long>? ReadMemory(JsonNode node, string where)
    {
        Located<long>? limit = null;
        if (!_values.IsObject(node, where, "{ \"limit\": \"512mb\" }"))
            return null;
        foreach (var member in _values.Fields(node, where, CatalogFields.Memory))
            limit = _values.Size(member.Value, $"{where}: \"{member.Name}\"");
        return limit;
    }

    private IEnumerable<ServiceModel> ReadServices(JsonNode node, string where)
    {
        foreach (var entry in _values.Entries(node, where, "a service such as \"auth\""))
        {
            var entryWhere = $"service \"{entry.Name}\"";
            var service = new ServiceModel(_values.EntryName(entry, entryWhere, "-"));
            if (_values.IsObject(entry.Value, entryWhere, "{ }"))
            {
                foreach (var member in _values.Fields(entry.Value, entryWhere, CatalogFields.Service))
                {
                    if (member.Name == "description")
                        _values.Text(member.Value, $"{entryWhere}: \"description\"");
                    else
                        ReadPace(service, member, entryWhere);
                }
            }

            yield return service;
        }
    }

    private EventModel ReadEvent(JsonMember entry)
    {
        var where = $"event \"{entry.Name}\"";
        var name = new Located<string>(entry.Name, entry.NameNode);
        if (!CatalogWords.IsName(entry.Name, "._") || !entry.Name.Contains('.'))
        {
            var guess = CatalogWords.AsName(entry.Name, '_', "._");
            _values.Add(
                MistakeCode.BadName,
                entry.NameNode,
                $"{where}: \"{entry.Name}\" cannot name an event.",
                "An event is a subject and what happened to it, in small letters with a dot between.",
                $"Write \"{(guess.Contains('.') ? guess : guess.Contains('_') ? ReplaceLast(guess, '_', '.') : guess + ".changed")}\"."
            );
        }

        var model = new EventModel(name);
        if (!_values.IsObject(entry.Value, where, "{ \"payload\": \"…\", \"keys\": { … } }"))
            return model;
        foreach (var member in _values.Fields(entry.Value, where, CatalogFields.Event))
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "payload":
                    model.Payload = _values.TypeName(value, $"{where}: \"payload\"");
                    break;
                case "delivery":
                    model.Delivery = _values.Word(value, $"{where}: \"delivery\"", KindRules.DeliveryWords);
                    break;
                case "channel":
                    model.Channel = _values.Channel(value, where, entry.Name);
                    break;
                case "ttl":
                    model.Ttl = _values.Duration(value, $"{where}: \"ttl\"");
                    break;
                case "publishers":
                    model.Publishers = [.. _values.Texts(value, $"{where}: \"publishers\"", "auth")];
                    break;
                case "keys":
                    foreach (var family in _values.Entries(value, $"{where}: \"keys\"", "a family and where its identifiers come from"))
                        model.Keys.AddRange(ReadMappings(family, where));
                    break;
                default:
                    model.Description = _values.Text(value, $"{where}: \"{member.Name}\"")?.Value;
                    break;
            }
        }

        if (wantsTypes && !entry.Value.Members.Exists(member => member.Name == "payload"))
            _values.Missing(
                entry.NameNode,
                where,
                "payload",
                "C# code is made from it.",
                "\"payload\": \"MyTeam.Contracts.SomethingChanged\", or \"System.Text.Json.JsonElement\" where no type of yours describes it"
            );
        return model;
    }

    /// <summary>One mapping, or a list of them where an event invalidates several keys of a family.</summary>
    private IEnumerable<MappingModel> ReadMappings(JsonMember family, string where)
    {
        var nodes = family.Value.Kind == JsonNodeKind.Array ? family.Value.Items : [family.Value];
        foreach (var node in nodes)
        {
            var mapping = new MappingModel(new Located<string>(family.Name, family.NameNode), node);
            var mappingWhere = $"{where}: the keys of \"{family.Name}\"";
            if (!_values.IsObject(node, mappingWhere, "{ \"lineNumber\": \"data.lineNumber\" }"))
                continue;
            foreach (var member in _values.Unique(node, mappingWhere))
            {
                mapping.Named.Add(new Located<string>(member.Name, member.NameNode));
                if (_values.Text(member.Value, $"{mappingWhere}: \"{member.Name}\"", "data." + member.Name) is not { } source)
                    continue;
                if (IdentifierSource.Parse(source.Value) is { } parsed)
                    mapping.Sources[member.Name] = new Located<IdentifierSource>(parsed, source.Node);
                else
                    _values.Add(
                        MistakeCode.BadMapping,
                        source.Node,
                        $"{mappingWhere}: \"{source.Value}\" is no source of an identifier.",
                        "An identifier comes from the payload (\"data.a.b\"), from the metadata (\"metadata.name\"), or is always the same (\"=all\").",
                        $"Write \"{GuessSource(source.Value, member.Name)}\"."
                    );
            }

            yield return mapping;
        }
    }

    private FamilyModel ReadFamily(JsonMember entry, string where, string[] fields, bool isOverride)
    {
        var family = new FamilyModel(isOverride ? new Located<string>(entry.Name, entry.NameNode) : _values.EntryName(entry, where, "_-"));
        if (
            !_values.IsObject(
                entry.Value,
                where,
                isOverride ? "{ \"ttl\": \"1h\" }" : "{ \"key\": \"customer:{lineNumber}\", \"value\": \"…\" }"
            )
        )
            return family;
        foreach (var member in _values.Fields(entry.Value, where, fields, isOverride))
        {
            var value = member.Value;
            var field = $"{where}: \"{member.Name}\"";
            family.Fields[member.Name] = member.NameNode;
            switch (member.Name)
            {
                case "key":
                    if (
                        _values.Text(value, field, "customer:{lineNumber}") is { } key
                        && KeyPattern.Parse(key.Node, where, mistakes) is { } pattern
                    )
                        family.Key = new Located<KeyPattern>(pattern, key.Node);
                    break;
                case "kind":
                    family.Kind = _values.Word(value, field, KindRules.Kinds);
                    break;
                case "data":
                    family.Data = _values.Word(value, field, KindRules.DataWords);
                    break;
                case "value":
                    family.Value = _values.TypeName(value, field);
                    break;
                case "owner":
                    family.Owner = _values.Text(value, field, "auth");
                    break;
                case "readers":
                    family.Readers = [.. _values.Texts(value, field, "auth")];
                    break;
                case "writers":
                    family.Writers = [.. _values.Texts(value, field, "auth")];
                    break;
                case "personal":
                    family.Personal.AddRange(_values.Texts(value, field, "lineNumber"));
                    break;
                case "invalidatedBy":
                    family.InvalidatedBy.AddRange(_values.Texts(value, field, "user.updated"));
                    break;
                case "idle":
                    family.Idle = _values.Duration(value, field);
                    break;
                case "absolute":
                    family.Absolute = _values.Duration(value, field);
                    break;
                case "limit":
                    family.Limit = _values.Count(value, field, KindRules.MostSessions);
                    break;
                case "policy":
                    family.Policy = _values.Word(value, field, KindRules.PolicyWords);
                    break;
                case "share":
                    family.Share = _values.Percent(value, field);
                    break;
                case "description":
                    family.Description = _values.Text(value, field)?.Value;
                    break;
                default:
                    ReadPace(family, member, where);
                    break;
            }
        }

        if (!isOverride)
            RequireFields(entry, family, where);
        return family;
    }

    private void RequireFields(JsonMember entry, FamilyModel family, string where)
    {
        bool Lacks(string field) => !family.Fields.ContainsKey(field);

        if (Lacks("key"))
            _values.Missing(entry.NameNode, where, "key", "It is the pattern of the keys' names.", $"\"key\": \"{entry.Name}:{{id}}\"");
        // Without a kind that can be read nobody knows what else is needed.
        if (family.Kind is null && !Lacks("kind"))
            return;
        if (wantsTypes && family.KindWord == KindRules.Cache && Lacks("value"))
            _values.Missing(
                entry.NameNode,
                where,
                "value",
                "C# keys are typed by it.",
                "\"value\": \"MyTeam.Contracts.Customer\", or \"System.Text.Json.JsonElement\" where no type of yours describes it"
            );
        foreach (var field in KindRules.Of(family.KindWord).Required.Where(Lacks))
        {
            var (why, write) = (field, family.KindWord) switch
            {
                ("owner", _) => ("The key's first word is its owner's name.", "\"owner\": \"auth\""),
                ("idle", _) => ("A session ends when nobody uses it.", "\"idle\": \"30m\""),
                ("absolute", _) => ("A session ends even when it is used.", "\"absolute\": \"24h\""),
                (_, KindRules.Token) => ("It bounds the expiry that a token of this family may have.", "\"ttl\": \"8h\""),
                (_, KindRules.Lock) => ("It is the lease: what a holder that crashed leaves the others waiting.", "\"ttl\": \"30s\""),
                (_, KindRules.Limit) => ("It is the window in which the budget fills up again.", "\"ttl\": \"1m\""),
                _ => ("Every key ends some day.", "\"ttl\": \"7d\""),
            };
            _values.Missing(entry.NameNode, where, field, why, write);
        }
    }

    private void ReadPace(Pace pace, JsonMember member, string where)
    {
        var field = $"{where}: \"{member.Name}\"";
        switch (member.Name)
        {
            case "ttl":
                pace.Ttl = _values.Duration(member.Value, field);
                break;
            case "grace":
                pace.Grace = _values.Duration(member.Value, field);
                break;
            case "negativeTtl":
                pace.NegativeTtl = _values.Duration(member.Value, field);
                break;
            case "eventTtl":
                pace.EventTtl = _values.Duration(member.Value, field);
                break;
            default:
                pace.Jitter = _values.Percent(member.Value, field);
                break;
        }
    }

    private static string GuessSource(string text, string identifier)
    {
        var plain = text.Trim().Trim('{', '}', '$', '.').Trim();
        if (plain.StartsWith("payload.", StringComparison.Ordinal))
            plain = "data." + plain.Substring(8);
        else if (plain.StartsWith("meta.", StringComparison.Ordinal))
            plain = "metadata." + plain.Substring(5);
        if (IdentifierSource.Parse(plain) is not null)
            return plain;
        return "data." + (CatalogWords.IsIdentifier(plain) ? plain : identifier);
    }

    private static string ReplaceLast(string text, char what, char with)
    {
        var at = text.LastIndexOf(what);
        return text.Substring(0, at) + with + text.Substring(at + 1);
    }
}
