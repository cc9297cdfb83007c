using System.Globalization;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Migration;

/// <summary>Reads a file of rules: JSON with comments, as the catalog is. Every mistake is told with its line.</summary>
internal sealed class RulesFile
{
    private static readonly string[] RootFields =
    [
        "name",
        "environment",
        "source",
        "target",
        "writers",
        "keep",
        "fence",
        "others",
        "rules",
    ];
    private static readonly string[] EndpointFields = ["redis", "variable", "db"];
    private static readonly string[] ClassNames = [.. Enum.GetNames<MigrationClass>().Select(name => name.ToLowerInvariant())];
    private static readonly string[] RuleFields = ["db", "from", "to", "class", "move"];

    private readonly List<CatalogMistake> _mistakes = [];

    /// <summary>Reads the file.</summary>
    /// <exception cref="ToolException">It cannot be read, or has mistakes: all of them are in the message, a line each.</exception>
    public static MigrationRules Load(string file)
    {
        string text;
        try
        {
            text = File.ReadAllText(file);
        }
        catch (Exception problem) when (problem is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ToolException(
                $"there is no file {file}. Name the file of rules; docs/operations/migration.md has one to begin with."
            );
        }

        return Parse(text, file);
    }

    /// <summary>Reads the text; the name of the file stands before each mistake.</summary>
    /// <exception cref="ToolException">It has mistakes.</exception>
    public static MigrationRules Parse(string text, string file)
    {
        var reader = new RulesFile();
        var rules = string.IsNullOrWhiteSpace(text) ? reader.Missing() : reader.Read(text);
        if (reader._mistakes.Count == 0)
            return rules!;
        var lines = reader
            ._mistakes.OrderBy(mistake => mistake.Offset)
            .Select(mistake => $"{file}:{mistake.Line}:{mistake.Column}: {mistake.Message}");
        throw new ToolException($"the rules cannot be used.\n{string.Join('\n', lines)}");
    }

    private MigrationRules? Missing()
    {
        Add(null, "The file is empty.", "", "Write { \"name\": \"…\", \"environment\": \"…\", \"rules\": [ … ] }.");
        return null;
    }

    private MigrationRules? Read(string text)
    {
        if (JsonSource.Parse(text, _mistakes) is not { } root)
            return null;
        if (root.Kind != JsonNodeKind.Object)
        {
            Add(root, $"The file holds {root.Described}.", "", "Write an object: { \"name\": … }.");
            return null;
        }

        var fields = Fields(root, RootFields);
        var name = Name(fields, root, "name");
        var environment = Name(fields, root, "environment");
        var source = Endpoint(fields.GetValueOrDefault("source"), out _);
        var target = Endpoint(fields.GetValueOrDefault("target"), out var targetDatabase);
        if (source is null)
            Add(
                fields.GetValueOrDefault("source") ?? root,
                "The source is not named.",
                "",
                "Write \"source\": { \"redis\": \"host:port\" } or { \"variable\": \"NAME\" }."
            );
        var rules = Rules(fields.GetValueOrDefault("rules"), root, targetDatabase);
        var read = new MigrationRules(
            name,
            environment,
            source ?? new MigrationEndpoint(null, null),
            target ?? source ?? new MigrationEndpoint(null, null),
            Texts(fields.GetValueOrDefault("writers")),
            Texts(fields.GetValueOrDefault("keep")),
            Word(fields.GetValueOrDefault("fence"), ["writes", "reads-and-writes"]) == 1,
            Word(fields.GetValueOrDefault("others"), ["refuse", "leave"]) == 1,
            rules
        );
        if (read.Writers.Count == 0)
            Add(
                fields.GetValueOrDefault("writers") ?? root,
                "Nobody is named who writes the old keys.",
                "The cut-over takes their right to write away in one step: without it a write after the last look is lost.",
                "Write \"writers\": [\"the ACL user of the service\"]."
            );
        return read;
    }

    private List<MigrationRule> Rules(JsonNode? node, JsonNode root, int targetDatabase)
    {
        var rules = new List<MigrationRule>();
        if (node is not { Kind: JsonNodeKind.Array, Items.Count: > 0 })
        {
            Add(
                node ?? root,
                "There are no rules.",
                "",
                "Write \"rules\": [ { \"db\": 1, \"from\": \"user:\", \"to\": \"dev:user:\", \"class\": \"state\" } ]."
            );
            return rules;
        }

        foreach (var item in node.Items)
        {
            if (item.Kind != JsonNodeKind.Object)
            {
                Add(item, $"A rule is an object, not {item.Described}.", "", "Write { \"from\": \"…\", \"to\": \"…\", \"class\": \"…\" }.");
                continue;
            }

            if (Rule(item, targetDatabase) is { } rule)
            {
                Check(rule, rules, item);
                rules.Add(rule);
            }
        }

        return rules;
    }

    private MigrationRule? Rule(JsonNode item, int targetDatabase)
    {
        var fields = Fields(item, RuleFields);
        foreach (var needed in (string[])["from", "to", "class"])
        {
            if (!fields.ContainsKey(needed))
                Add(
                    item,
                    $"The rule has no \"{needed}\".",
                    "",
                    $"Write \"{needed}\": \"…\"{(needed == "class" ? $", one of {ClassWords}" : "")}."
                );
        }

        var number = Class(fields.GetValueOrDefault("class"));
        var from = Text(fields.GetValueOrDefault("from"));
        var to = Text(fields.GetValueOrDefault("to"));
        if (from is null || to is null || number is not { } kind)
            return null;
        if (to.StartsWith('{') || from.StartsWith('{'))
            Add(
                item,
                "A prefix begins with a brace.",
                "Names with a brace before the prefix are auxiliary keys, which go along by themselves.",
                "Write the prefix without it."
            );
        var moves = fields.TryGetValue("move", out var move) ? Flag(move) : kind is not (MigrationClass.Cache or MigrationClass.Lock);
        return new MigrationRule(Database(fields.GetValueOrDefault("db")), from, targetDatabase, to, kind, moves);
    }

    private void Check(MigrationRule rule, List<MigrationRule> before, JsonNode item)
    {
        if (before.Exists(other => other.Database == rule.Database && other.From == rule.From))
            Add(item, $"A second rule for \"{rule.From}\" in database {rule.Database}.", "", "Remove one of them.");
    }

    private MigrationEndpoint? Endpoint(JsonNode? node, out int database)
    {
        database = 0;
        if (node is null)
            return null;
        if (node.Kind != JsonNodeKind.Object)
        {
            Add(
                node,
                $"A server is an object, not {node.Described}.",
                "",
                "Write { \"redis\": \"host:port\" } or { \"variable\": \"NAME\" }."
            );
            return null;
        }

        var fields = Fields(node, EndpointFields);
        database = Database(fields.GetValueOrDefault("db"));
        var redis = Text(fields.GetValueOrDefault("redis"));
        var variable = Text(fields.GetValueOrDefault("variable"));
        if (redis is not null && variable is not null)
            Add(node, "Both \"redis\" and \"variable\" name the server.", "", "Keep one of them; the variable where there is a password.");
        return redis is null && variable is null ? null : new MigrationEndpoint(redis, variable);
    }

    private Dictionary<string, JsonNode> Fields(JsonNode node, string[] known)
    {
        var fields = new Dictionary<string, JsonNode>(StringComparer.Ordinal);
        foreach (var member in node.Members)
        {
            if (member.Name == "$schema")
                continue;
            if (!known.Contains(member.Name))
                Add(member.NameNode, $"There is no field \"{member.Name}\".", "", CatalogWords.Suggest(member.Name, known, ""));
            else if (!fields.TryAdd(member.Name, member.Value))
                Add(member.NameNode, $"\"{member.Name}\" stands here a second time.", "", "Remove one of them.");
        }

        return fields;
    }

    private string Name(Dictionary<string, JsonNode> fields, JsonNode root, string field)
    {
        if (!fields.TryGetValue(field, out var node))
        {
            Add(root, $"There is no \"{field}\".", "It names the key that says which side is the true one.", $"Write \"{field}\": \"…\".");
            return "";
        }

        var text = Text(node) ?? "";
        if (text.Length is 0 or > 40 || !text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'))
            Add(node, $"\"{field}\" is \"{text}\".", "It becomes part of a key.", "Write 1 to 40 small letters, digits and hyphens.");
        return text;
    }

    private static string ClassWords => string.Join(", ", ClassNames);

    private MigrationClass? Class(JsonNode? node)
    {
        if (Text(node) is not { } word)
            return null;
        var at = Array.IndexOf(ClassNames, word);
        if (at >= 0)
            return (MigrationClass)at;
        Add(node, $"There is no class \"{word}\".", "", $"Write one of {ClassWords}.");
        return null;
    }

    private int Word(JsonNode? node, string[] words)
    {
        if (node is null)
            return 0;
        var at = Array.IndexOf(words, Text(node));
        if (at < 0)
            Add(node, $"\"{node.Text}\" is not known here.", "", $"Write {string.Join(" or ", words.Select(word => $"\"{word}\""))}.");
        return Math.Max(0, at);
    }

    private List<string> Texts(JsonNode? node)
    {
        if (node is null)
            return [];
        if (node.Kind == JsonNodeKind.Array)
            return [.. node.Items.Select(Text).OfType<string>()];
        Add(node, $"A list is wanted, not {node.Described}.", "", "Write [ \"…\" ].");
        return [];
    }

    private string? Text(JsonNode? node)
    {
        if (node is null or { Kind: JsonNodeKind.Text })
            return node?.Text;
        Add(node, $"A text is wanted, not {node.Described}.", "", "Write it in double quotes.");
        return null;
    }

    private bool Flag(JsonNode node)
    {
        if (node.Kind is not (JsonNodeKind.True or JsonNodeKind.False))
            Add(node, $"true or false is wanted, not {node.Described}.", "", "Write true or false.");
        return node.Kind == JsonNodeKind.True;
    }

    private int Database(JsonNode? node)
    {
        if (node is null)
            return 0;
        if (
            node.Kind == JsonNodeKind.Number
            && int.TryParse(node.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= 1 << 20
        )
            return number;
        Add(node, $"\"db\" is {node.Text}.", "", "Write the number of a database: 0, 1 …");
        return 0;
    }

    private void Add(JsonNode? node, string what, string why, string write) =>
        _mistakes.Add(new CatalogMistake(MistakeCode.BrokenJson, node, what, why, write));
}
