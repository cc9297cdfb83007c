using System.Globalization;
using System.Text.Json;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Checks;

/// <summary>A finding that somebody has decided to live with, until a day.</summary>
/// <param name="Code">Its code.</param>
/// <param name="Where">A part of the place; <c>null</c> for everywhere.</param>
/// <param name="Reason">Why it is lived with.</param>
/// <param name="Until">The last day.</param>
internal sealed record Suppression(string Code, string? Where, string Reason, DateOnly Until);

/// <summary>The file of suppressions, and the people's signatures under what no program can check.</summary>
internal sealed class Suppressions
{
    public const string DefaultFile = "onggi.verify.json";
    public const string ExpiredCode = "ONG029";

    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private readonly string _file;

    private Suppressions(string file, IReadOnlyList<Suppression> entries, IReadOnlyDictionary<string, string> signed) =>
        (_file, Entries, Signed) = (file, entries, signed);

    /// <summary>No file.</summary>
    public static Suppressions None { get; } = new("", [], new Dictionary<string, string>());

    public IReadOnlyList<Suppression> Entries { get; }

    /// <summary>What was signed, and by whom and when.</summary>
    public IReadOnlyDictionary<string, string> Signed { get; }

    /// <summary>The named file; without a name that of this folder, if there is one.</summary>
    /// <exception cref="ToolException">It cannot be read, or an entry lacks something.</exception>
    public static Suppressions Find(string? file) =>
        file is not null ? Parse(file, Commands.Inputs.Read(file, "Name the file of suppressions."))
        : File.Exists(DefaultFile) ? Parse(DefaultFile, File.ReadAllText(DefaultFile))
        : None;

    /// <summary>Reads the text: <c>{ "suppressions": [ { "code", "where", "reason", "until" } ], "signed": { "training": { "by", "on" } } }</c>.</summary>
    /// <exception cref="ToolException">It is no JSON, or an entry lacks something; the message says which.</exception>
    public static Suppressions Parse(string file, string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, Lenient);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                throw new ToolException($"{file}: an object is needed, with \"suppressions\" in it.");
            foreach (var field in root.EnumerateObject())
                if (field.Name is not ("suppressions" or "signed" or "$schema"))
                    throw new ToolException(
                        $"{file}: there is no field \"{field.Name}\" here. {CatalogWords.Suggest(field.Name, ["suppressions", "signed"], "")}"
                    );
            return new Suppressions(file, [.. EntriesOf(file, root)], SignedOf(file, root));
        }
        catch (JsonException problem)
        {
            throw new ToolException($"{file} is no JSON: {problem.Message}");
        }
    }

    /// <summary>A finding for each entry that is past its day.</summary>
    public IEnumerable<Finding> Expired(DateOnly today) =>
        Entries
            .Where(entry => entry.Until < today)
            .Select(entry => new Finding(
                ExpiredCode,
                _file,
                $"the suppression of {entry.Code} ended on {entry.Until:yyyy-MM-dd} ({entry.Reason}).",
                "What was to be lived with for a while is lived with for ever.",
                $"Mend {entry.Code}, or decide anew with another end."
            ));

    /// <summary>Whether somebody has decided to live with it, today.</summary>
    public bool Covers(Finding finding, DateOnly today) =>
        Entries.Any(entry =>
            entry.Code == finding.Code
            && entry.Until >= today
            && (entry.Where is null || finding.Where.Contains(entry.Where, StringComparison.Ordinal))
        );

    private static IEnumerable<Suppression> EntriesOf(string file, JsonElement root)
    {
        if (!root.TryGetProperty("suppressions", out var list))
            yield break;
        if (list.ValueKind != JsonValueKind.Array)
            throw new ToolException($"{file}: \"suppressions\" is a list.");
        var number = 0;
        foreach (var entry in list.EnumerateArray())
        {
            var place = $"{file}: suppression {++number}";
            var code = Text(entry, "code", place);
            if (!code.StartsWith("ONG", StringComparison.Ordinal) || code.Length != 6 || !code.Skip(3).All(char.IsAsciiDigit))
                throw new ToolException($"{place}: \"{code}\" is no code. Codes are like ONG041; onggi verify --list-checks has them.");
            var until = Text(entry, "until", place);
            if (!DateOnly.TryParseExact(until, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
                throw new ToolException($"{place}: \"until\": \"{until}\" is no day. Write it as 2026-12-31.");
            yield return new Suppression(
                code,
                entry.TryGetProperty("where", out var where) ? where.GetString() : null,
                Text(entry, "reason", place),
                day
            );
        }
    }

    private static Dictionary<string, string> SignedOf(string file, JsonElement root)
    {
        var signed = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!root.TryGetProperty("signed", out var list))
            return signed;
        if (list.ValueKind != JsonValueKind.Object)
            throw new ToolException($"{file}: \"signed\" is an object: {{ \"training\": {{ \"by\": \"…\", \"on\": \"2026-12-31\" }} }}.");
        foreach (var field in list.EnumerateObject())
        {
            var place = $"{file}: signed \"{field.Name}\"";
            signed[field.Name] = $"{Text(field.Value, "by", place)}, {Text(field.Value, "on", place)}";
        }

        return signed;
    }

    private static string Text(JsonElement entry, string field, string place) =>
        entry.ValueKind == JsonValueKind.Object
        && entry.TryGetProperty(field, out var value)
        && value.ValueKind == JsonValueKind.String
        && value.GetString() is { } text
        && !string.IsNullOrWhiteSpace(text)
            ? text
            : throw new ToolException($"{place} lacks \"{field}\". Each has a code, a reason, and an end: until.");
}
