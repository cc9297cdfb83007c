namespace Onggi.Keys.Catalog;

/// <summary>What came of reading a catalog: the model, as far as it could be read, and every mistake in the file's order.</summary>
internal sealed class CatalogFile(CatalogModel? model, IReadOnlyList<CatalogMistake> mistakes)
{
    /// <summary>The catalog; parts with mistakes are missing. <c>null</c> when the JSON cannot be read.</summary>
    public CatalogModel? Model { get; } = model;

    public IReadOnlyList<CatalogMistake> Mistakes { get; } = mistakes;

    /// <summary>Reads and checks a catalog.</summary>
    /// <param name="text">The text of <c>keyspace.json</c>.</param>
    /// <param name="wantsTypes">Whether cache families must name their value type: C# code is made from them.</param>
    public static CatalogFile Read(string text, bool wantsTypes)
    {
        var mistakes = new List<CatalogMistake>();
        var root = JsonSource.Parse(text, mistakes);
        CatalogModel? model = null;
        if (root is not null)
        {
            model = new CatalogReader(mistakes, wantsTypes).Read(root);
            new CatalogValidator(model, mistakes).Check();
        }

        var seen = new HashSet<(MistakeCode, int, string)>();
        return new CatalogFile(
            model,
            [
                .. mistakes
                    .Where(mistake => seen.Add((mistake.Code, mistake.Offset, mistake.What)))
                    .OrderBy(mistake => mistake.Offset)
                    .ThenBy(mistake => mistake.Code),
            ]
        );
    }
}

/// <summary>Turns JSON into the model: fields, types, small languages and names. What needs two places of the file is the validator's.</summary>
internal sealed class CatalogReader(List<CatalogMistake> mistakes, bool wantsTypes)
{
    public CatalogModel Read(JsonNode root)
    {
        var model = new CatalogModel();
        if (!IsObject(root, "the catalog", "{ \"system\": \"…\", \"families\": { … } }"))
            return model;
        var seesFamilies = false;
        foreach (var member in Fields(root, "the catalog", CatalogFields.Catalog))
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "system":
                    model.System = Name(value, "the system", "-");
                    break;
                case "environment":
                    model.Environment = Name(value, "the environment", "-");
                    break;
                case "prefix":
                    model.Prefix = Prefix(value, "the catalog");
                    break;
                case "personalIdentifiers":
                    model.PersonalIdentifiers = Word(value, "\"personalIdentifiers\"", KindRules.PersonalWords);
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
                    model.Events.AddRange(Entries(value, "\"events\"", "an event such as \"user.updated\"").Select(ReadEvent));
                    break;
                case "families":
                    seesFamilies = true;
                    model.Families.AddRange(
                        Entries(value, "\"families\"", "a family such as \"customer\"")
                            .Select(entry => ReadFamily(entry, $"family \"{entry.Name}\"", CatalogFields.Family, isOverride: false))
                    );
                    break;
                case "environments":
                    model.Environments.AddRange(
                        Entries(value, "\"environments\"", "an environment such as \"production\"").Select(ReadEnvironment)
                    );
                    break;
                default:
                    Text(value, $"\"{member.Name}\"");
                    break;
            }
        }

        if (!root.Members.Exists(member => member.Name == "system"))
            Missing(root, "the catalog", "system", "It names the whole of what the team owns in Redis.", "\"system\": \"phonebill\"");
        if (!seesFamilies)
            Missing(root, "the catalog", "families", "They say what lives in Redis.", "\"families\": { … }");
        return model;
    }

    private EnvironmentModel ReadEnvironment(JsonMember entry)
    {
        var where = $"environment \"{entry.Name}\"";
        var environment = new EnvironmentModel(EntryName(entry, where, "-"));
        if (!IsObject(entry.Value, where, "{ \"memory\": { \"limit\": \"4gb\" } }"))
            return environment;
        foreach (var member in Fields(entry.Value, where, CatalogFields.Environment))
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "prefix":
                    environment.Prefix = Prefix(value, where);
                    break;
                case "personalIdentifiers":
                    environment.PersonalIdentifiers = Word(value, $"{where}: \"personalIdentifiers\"", KindRules.PersonalWords);
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
                        Entries(value, $"{where}: \"families\"", "what changes of a family")
                            .Select(family =>
                                ReadFamily(family, $"{where}: family \"{family.Name}\"", CatalogFields.FamilyOverride, isOverride: true)
                            )
                    );
                    break;
                default:
                    Text(value, $"{where}: \"{member.Name}\"");
                    break;
            }
        }

        return environment;
    }

    private Pace ReadDefaults(JsonNode node, string where)
    {
        var defaults = new Pace();
        if (!IsObject(node, where, "{ \"ttl\": \"30m\", \"jitter\": \"10%\" }"))
            return defaults;
        foreach (var member in Fields(node, where, CatalogFields.Defaults))
            ReadPace(defaults, member, where);
        return defaults;
    }

    private Located<long>? ReadMemory(JsonNode node, string where)
    {
        Located<long>? limit = null;
        if (!IsObject(node, where, "{ \"limit\": \"512mb\" }"))
            return null;
        foreach (var member in Fields(node, where, CatalogFields.Memory))
            limit = Size(member.Value, $"{where}: \"{member.Name}\"");
        return limit;
    }

    private IEnumerable<ServiceModel> ReadServices(JsonNode node, string where)
    {
        foreach (var entry in Entries(node, where, "a service such as \"auth\""))
        {
            var entryWhere = $"service \"{entry.Name}\"";
            var service = new ServiceModel(EntryName(entry, entryWhere, "-"));
            if (IsObject(entry.Value, entryWhere, "{ }"))
            {
                foreach (var member in Fields(entry.Value, entryWhere, CatalogFields.Service))
                {
                    if (member.Name == "description")
                        Text(member.Value, $"{entryWhere}: \"description\"");
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
            Add(
                MistakeCode.BadName,
                entry.NameNode,
                $"{where}: \"{entry.Name}\" cannot name an event.",
                "An event is a subject and what happened to it, in small letters with a dot between.",
                $"Write \"{(guess.Contains('.') ? guess : guess.Contains('_') ? ReplaceLast(guess, '_', '.') : guess + ".changed")}\"."
            );
        }

        var model = new EventModel(name);
        if (!IsObject(entry.Value, where, "{ \"payload\": \"…\", \"keys\": { … } }"))
            return model;
        foreach (var member in Fields(entry.Value, where, CatalogFields.Event))
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "payload":
                    model.Payload = TypeName(value, $"{where}: \"payload\"");
                    break;
                case "channel":
                    model.Channel = Channel(value, where, entry.Name);
                    break;
                case "ttl":
                    model.Ttl = Duration(value, $"{where}: \"ttl\"");
                    break;
                case "keys":
                    foreach (var family in Entries(value, $"{where}: \"keys\"", "a family and where its identifiers come from"))
                        model.Keys.AddRange(ReadMappings(family, where));
                    break;
                default:
                    model.Description = Text(value, $"{where}: \"{member.Name}\"")?.Value;
                    break;
            }
        }

        if (wantsTypes && !entry.Value.Members.Exists(member => member.Name == "payload"))
            Missing(
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
            if (!IsObject(node, mappingWhere, "{ \"lineNumber\": \"data.lineNumber\" }"))
                continue;
            foreach (var member in Unique(node, mappingWhere))
            {
                mapping.Named.Add(new Located<string>(member.Name, member.NameNode));
                if (Text(member.Value, $"{mappingWhere}: \"{member.Name}\"", "data." + member.Name) is not { } source)
                    continue;
                if (IdentifierSource.Parse(source.Value) is { } parsed)
                    mapping.Sources[member.Name] = new Located<IdentifierSource>(parsed, source.Node);
                else
                    Add(
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
        var family = new FamilyModel(isOverride ? new Located<string>(entry.Name, entry.NameNode) : EntryName(entry, where, "_-"));
        if (!IsObject(entry.Value, where, isOverride ? "{ \"ttl\": \"1h\" }" : "{ \"key\": \"customer:{lineNumber}\", \"value\": \"…\" }"))
            return family;
        foreach (var member in Fields(entry.Value, where, fields, isOverride))
        {
            var value = member.Value;
            var field = $"{where}: \"{member.Name}\"";
            family.Fields[member.Name] = member.NameNode;
            switch (member.Name)
            {
                case "key":
                    if (
                        Text(value, field, "customer:{lineNumber}") is { } key
                        && KeyPattern.Parse(key.Node, where, mistakes) is { } pattern
                    )
                        family.Key = new Located<KeyPattern>(pattern, key.Node);
                    break;
                case "kind":
                    family.Kind = Word(value, field, KindRules.Kinds);
                    break;
                case "data":
                    family.Data = Word(value, field, KindRules.DataWords);
                    break;
                case "value":
                    family.Value = TypeName(value, field);
                    break;
                case "owner":
                    family.Owner = Text(value, field, "auth");
                    break;
                case "readers":
                    family.Readers = [.. Texts(value, field, "auth")];
                    break;
                case "personal":
                    family.Personal.AddRange(Texts(value, field, "lineNumber"));
                    break;
                case "invalidatedBy":
                    family.InvalidatedBy.AddRange(Texts(value, field, "user.updated"));
                    break;
                case "idle":
                    family.Idle = Duration(value, field);
                    break;
                case "absolute":
                    family.Absolute = Duration(value, field);
                    break;
                case "share":
                    family.Share = Percent(value, field);
                    break;
                case "description":
                    family.Description = Text(value, field)?.Value;
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
            Missing(entry.NameNode, where, "key", "It is the pattern of the keys' names.", $"\"key\": \"{entry.Name}:{{id}}\"");
        // Without a kind that can be read nobody knows what else is needed.
        if (family.Kind is null && !Lacks("kind"))
            return;
        if (wantsTypes && family.KindWord == KindRules.Cache && Lacks("value"))
            Missing(
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
            Missing(entry.NameNode, where, field, why, write);
        }
    }

    private void ReadPace(Pace pace, JsonMember member, string where)
    {
        var field = $"{where}: \"{member.Name}\"";
        switch (member.Name)
        {
            case "ttl":
                pace.Ttl = Duration(member.Value, field);
                break;
            case "grace":
                pace.Grace = Duration(member.Value, field);
                break;
            case "negativeTtl":
                pace.NegativeTtl = Duration(member.Value, field);
                break;
            case "eventTtl":
                pace.EventTtl = Duration(member.Value, field);
                break;
            default:
                pace.Jitter = Percent(member.Value, field);
                break;
        }
    }

    /// <summary>The members whose names are known, each once; the others are reported.</summary>
    private IEnumerable<JsonMember> Fields(JsonNode node, string where, string[] known, bool isOverride = false)
    {
        foreach (var member in Unique(node, where))
        {
            if (known.Contains(member.Name, StringComparer.Ordinal))
                yield return member;
            else if (isOverride && CatalogFields.Family.Contains(member.Name, StringComparer.Ordinal))
                Add(
                    MistakeCode.UnknownField,
                    member.NameNode,
                    $"{where}: an environment cannot change \"{member.Name}\".",
                    "It is the same everywhere: code and other services are built on it.",
                    "Write it in the family itself."
                );
            else
                Add(
                    MistakeCode.UnknownField,
                    member.NameNode,
                    $"{where} has no field \"{member.Name}\".",
                    "It would be ignored, and nobody would notice.",
                    CatalogWords.Suggest(member.Name, known, "")
                );
        }
    }

    /// <summary>The members of an object whose names people choose.</summary>
    private IEnumerable<JsonMember> Entries(JsonNode node, string where, string holds) =>
        IsObject(node, where, "{ … }", $"It holds {holds} by its name.") ? Unique(node, where) : [];

    private IEnumerable<JsonMember> Unique(JsonNode node, string where)
    {
        var seen = new Dictionary<string, JsonNode>(StringComparer.Ordinal);
        foreach (var member in node.Members)
        {
            if (seen.TryGetValue(member.Name, out var first))
            {
                Add(
                    MistakeCode.DuplicateName,
                    member.NameNode,
                    $"{where}: \"{member.Name}\" stands twice.",
                    $"The first one is on line {first.Line}; readers would disagree on which of them counts.",
                    "Remove or rename one."
                );
                continue;
            }

            seen[member.Name] = member.NameNode;
            yield return member;
        }
    }

    private Located<string> EntryName(JsonMember entry, string where, string separators)
    {
        CheckName(entry.NameNode, where, separators);
        return new Located<string>(entry.Name, entry.NameNode);
    }

    private Located<string>? Name(JsonNode node, string where, string separators)
    {
        if (Text(node, where, "phonebill") is not { } text)
            return null;
        CheckName(text.Node, where, separators);
        return text;
    }

    private void CheckName(JsonNode node, string where, string separators)
    {
        if (!CatalogWords.IsName(node.Text, separators))
            Add(
                MistakeCode.BadName,
                node,
                $"{where}: \"{node.Text}\" cannot be a name here.",
                $"Names are small letters and digits, begin with a letter, have \"{string.Join("\" or \"", separators.ToCharArray())}\" between words and at most 64 characters.",
                $"Write \"{CatalogWords.AsName(node.Text, separators[0], separators)}\"."
            );
    }

    private Located<string>? Prefix(JsonNode node, string where)
    {
        if (Text(node, $"{where}: \"prefix\"", CatalogModel.DefaultPrefix) is not { } prefix)
            return null;
        var plain = prefix.Value.Replace("{environment}", "environment").Replace("{system}", "system");
        if (plain.Length == 0)
            return prefix;
        var ok = plain[plain.Length - 1] == ':';
        foreach (var word in plain.TrimEnd(':').Split(':'))
            ok &=
                word.Length > 0
                && word.All(c => c is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9') or '_' or '-' or '.');
        ok &= !plain.EndsWith("::", StringComparison.Ordinal);
        if (ok)
            return prefix;
        var guess = new string([.. plain.Select(c => char.IsLetterOrDigit(c) && c < 128 || c is '_' or '-' or '.' ? c : ':')]).Trim(
            ':',
            '-',
            '.'
        );
        while (guess.Contains("::"))
            guess = guess.Replace("::", ":");
        Add(
            MistakeCode.BadPrefix,
            prefix.Node,
            $"{where}: \"{prefix.Value}\" cannot be a prefix.",
            "A prefix is empty, or words that each end in a colon; {environment} and {system} may stand for words.",
            $"Write \"{(guess.Length == 0 || guess == "environment" ? CatalogModel.DefaultPrefix : guess + ":")}\"."
        );
        return null;
    }

    private Located<string>? Channel(JsonNode node, string where, string eventName)
    {
        if (Text(node, $"{where}: \"channel\"", "events:global:" + eventName) is not { } channel)
            return null;
        var words = channel.Value.Split(':');
        if (
            words.Length >= 2
            && words[0] == "events"
            && words[1] is not ("head" or "stream")
            && words.All(word =>
                word.Length > 0
                && word.All(c => c is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9') or '_' or '-' or '.')
            )
        )
            return channel;
        Add(
            MistakeCode.ReservedNamespace,
            channel.Node,
            $"{where}: \"{channel.Value}\" cannot be a channel.",
            "Channels begin with \"events:\", so that one ACL rule covers them; \"events:head:\" and \"events:stream:\" hold keys.",
            $"Write \"events:global:{eventName}\", or leave the field away."
        );
        return null;
    }

    private Located<string>? TypeName(JsonNode node, string where)
    {
        if (Text(node, where, "MyTeam.Contracts.Customer") is not { } name)
            return null;
        if (ClrTypeName.TryParse(name.Value, out _))
            return name;
        Add(
            MistakeCode.BadTypeName,
            name.Node,
            $"{where}: \"{name.Value}\" is no C# type.",
            "It is a type with its namespace, as C# writes it; generics and arrays are fine.",
            "Write \"MyTeam.Contracts.Customer\" or \"System.Collections.Generic.List<MyTeam.Contracts.Customer>\"."
        );
        return null;
    }

    private Located<TimeSpan>? Duration(JsonNode node, string where)
    {
        var guess = node.Kind == JsonNodeKind.Number ? CatalogWords.GuessDuration(node.Text) : "30m";
        if (Text(node, where, guess, "A number alone does not say whether it means seconds or milliseconds.") is not { } text)
            return null;
        if (CatalogWords.TryDuration(text.Value, out var duration))
            return new Located<TimeSpan>(duration, text.Node);
        Add(
            MistakeCode.BadDuration,
            text.Node,
            $"{where}: \"{text.Value}\" is no duration.",
            "A duration is a whole number and one unit: ms, s, m, h or d.",
            $"Write \"{CatalogWords.GuessDuration(text.Value)}\"."
        );
        return null;
    }

    private Located<long>? Size(JsonNode node, string where)
    {
        var guess = node.Kind == JsonNodeKind.Number ? CatalogWords.GuessSize(node.Text) : "512mb";
        if (Text(node, where, guess, "A size says its unit.") is not { } text)
            return null;
        if (CatalogWords.TrySize(text.Value, out var bytes))
            return new Located<long>(bytes, text.Node);
        Add(
            MistakeCode.BadSize,
            text.Node,
            $"{where}: \"{text.Value}\" is no size.",
            "A size is a whole number and kb, mb or gb (1024 of the one before, as in redis.conf).",
            $"Write \"{CatalogWords.GuessSize(text.Value)}\"."
        );
        return null;
    }

    private Located<double>? Percent(JsonNode node, string where)
    {
        var guess = node.Kind == JsonNodeKind.Number ? CatalogWords.GuessPercent(node.Text) : "10%";
        if (Text(node, where, guess, "A number alone does not say whether it means percent or a fraction.") is not { } text)
            return null;
        if (CatalogWords.TryPercent(text.Value, out var fraction))
            return new Located<double>(fraction, text.Node);
        Add(
            MistakeCode.BadPercent,
            text.Node,
            $"{where}: \"{text.Value}\" is no percentage.",
            "A percentage is a number from 0 to 100 and %.",
            $"Write \"{CatalogWords.GuessPercent(text.Value)}\"."
        );
        return null;
    }

    private Located<string>? Word(JsonNode node, string where, string[] words)
    {
        if (Text(node, where, words[0]) is not { } text)
            return null;
        if (words.Contains(text.Value, StringComparer.Ordinal))
            return text;
        Add(
            MistakeCode.UnknownWord,
            text.Node,
            $"{where}: \"{text.Value}\" is not one of its words.",
            $"It is {CatalogWords.OneOf(words)}.",
            CatalogWords.Nearest(text.Value, words) is { } nearest ? $"Did you mean \"{nearest}\"?" : $"Write \"{words[0]}\"."
        );
        return null;
    }

    private IEnumerable<Located<string>> Texts(JsonNode node, string where, string example)
    {
        if (node.Kind != JsonNodeKind.Array)
        {
            var one = node.Kind == JsonNodeKind.Text ? node.Text : example;
            Add(MistakeCode.WrongType, node, $"{where} is {node.Described} and must be a list of texts.", "", $"Write [\"{one}\"].");
            yield break;
        }

        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in node.Items)
        {
            if (Text(item, where, example) is not { } text)
                continue;
            if (seen.Add(text.Value))
                yield return text;
            else
                Add(MistakeCode.DuplicateName, item, $"{where}: \"{text.Value}\" stands twice.", "", "Remove one.");
        }
    }

    private Located<string>? Text(JsonNode node, string where, string? example = null, string why = "")
    {
        if (node.Kind == JsonNodeKind.Text)
            return new Located<string>(node.Text, node);
        Add(
            MistakeCode.WrongType,
            node,
            $"{where} is {node.Described} and must be a text.",
            node.Kind == JsonNodeKind.Number ? why : "",
            $"Write \"{example ?? (node.Kind == JsonNodeKind.Number ? node.Text : "…")}\"."
        );
        return null;
    }

    private bool IsObject(JsonNode node, string where, string example, string why = "")
    {
        if (node.Kind == JsonNodeKind.Object)
            return true;
        Add(MistakeCode.WrongType, node, $"{where} is {node.Described} and must be an object.", why, $"Write {example}.");
        return false;
    }

    private void Missing(JsonNode node, string where, string field, string why, string write) =>
        Add(MistakeCode.MissingField, node, $"{where} lacks the field \"{field}\".", why, $"Write {write}.");

    private void Add(MistakeCode code, JsonNode node, string what, string why, string write) =>
        mistakes.Add(new CatalogMistake(code, node, what, why, write));

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
