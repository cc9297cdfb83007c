namespace Onggi.Keys.Catalog;

/// <summary>Reads the values that stand in the catalog's objects, each in its small language, and reports those that are none.</summary>
internal sealed class ValueReader(List<CatalogMistake> mistakes)
{
    /// <summary>The members whose names are known, each once; the others are reported.</summary>
    public IEnumerable<JsonMember> Fields(JsonNode node, string where, string[] known, bool isOverride = false)
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
    public IEnumerable<JsonMember> Entries(JsonNode node, string where, string holds) =>
        IsObject(node, where, "{ … }", $"It holds {holds} by its name.") ? Unique(node, where) : [];

    public IEnumerable<JsonMember> Unique(JsonNode node, string where)
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

    public Located<string> EntryName(JsonMember entry, string where, string separators)
    {
        CheckName(entry.NameNode, where, separators);
        return new Located<string>(entry.Name, entry.NameNode);
    }

    public Located<string>? Name(JsonNode node, string where, string separators)
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

    public Located<string>? Prefix(JsonNode node, string where)
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

    public Located<string>? Channel(JsonNode node, string where, string eventName)
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

    public Located<string>? TypeName(JsonNode node, string where)
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

    public Located<TimeSpan>? Duration(JsonNode node, string where)
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

    public Located<long>? Size(JsonNode node, string where)
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

    public Located<int>? Count(JsonNode node, string where, int most)
    {
        var guess = node.Kind == JsonNodeKind.Number ? node.Text : "5";
        if (Text(node, where, guess) is not { } text)
            return null;
        var isPlain =
            text.Value.Length is > 0 and < 9
            && text.Value.All(c => c is >= '0' and <= '9')
            && (text.Value[0] != '0' || text.Value.Length == 1);
        if (isPlain && int.Parse(text.Value, System.Globalization.CultureInfo.InvariantCulture) is var count && count <= most)
            return new Located<int>(count, text.Node);
        Add(
            MistakeCode.BadSize,
            text.Node,
            $"{where}: \"{text.Value}\" is no number of sessions.",
            $"It is a whole number from 0 (no limit) to {most}.",
            "Write \"5\"."
        );
        return null;
    }

    public Located<double>? Percent(JsonNode node, string where)
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

    public Located<string>? Word(JsonNode node, string where, string[] words)
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

    public IEnumerable<Located<string>> Texts(JsonNode node, string where, string example)
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

    public Located<string>? Text(JsonNode node, string where, string? example = null, string why = "")
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

    public bool IsObject(JsonNode node, string where, string example, string why = "")
    {
        if (node.Kind == JsonNodeKind.Object)
            return true;
        Add(MistakeCode.WrongType, node, $"{where} is {node.Described} and must be an object.", why, $"Write {example}.");
        return false;
    }

    public void Missing(JsonNode node, string where, string field, string why, string write) =>
        Add(MistakeCode.MissingField, node, $"{where} lacks the field \"{field}\".", why, $"Write {write}.");

    public void Add(MistakeCode code, JsonNode node, string what, string why, string write) =>
        mistakes.Add(new CatalogMistake(code, node, what, why, write));
}
