using System.Text.Json;
using System.Text.RegularExpressions;
using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Tests.Keys;

/// <summary>The schema that editors use and the validator that decides say the same.</summary>
public class KeyspaceSchemaTests
{
    private static readonly JsonElement Schema = JsonElement.Parse(KeyspaceSchema.Json);

    public static TheoryData<string, string[]> Objects =>
        new()
        {
            { "", CatalogFields.Catalog },
            { "defaults", CatalogFields.Defaults },
            { "memory", CatalogFields.Memory },
            { "service", CatalogFields.Service },
            { "event", CatalogFields.Event },
            { "family", CatalogFields.Family },
            { "environment", CatalogFields.Environment },
            { "familyOverride", CatalogFields.FamilyOverride },
        };

    [Theory]
    [MemberData(nameof(Objects))]
    public void Schema_and_reader_know_the_same_fields(string definition, string[] fields)
    {
        var properties = Definition(definition).GetProperty("properties").EnumerateObject().ToList();

        Assert.Equal(fields.Order(StringComparer.Ordinal), properties.Select(property => property.Name).Order(StringComparer.Ordinal));
        Assert.False(Definition(definition).GetProperty("additionalProperties").GetBoolean());
    }

    [Theory]
    [MemberData(nameof(Objects))]
    public void Every_field_is_described(string definition, string[] fields)
    {
        foreach (var field in fields)
        {
            var property = Definition(definition).GetProperty("properties").GetProperty(field);
            var described = property.TryGetProperty("$ref", out var reference)
                ? Definition(reference.GetString()!.Split('/')[^1])
                : property;
            Assert.True(described.GetProperty("description").GetString()!.Length > 10, $"{definition}.{field}");
        }
    }

    /// <summary>A field in the table that the reader forgot would pass silently whatever stands in it.</summary>
    [Theory]
    [MemberData(nameof(Objects))]
    public void The_reader_looks_at_every_field(string definition, string[] fields)
    {
        foreach (var field in fields)
        {
            var text = Around(definition, $"\"{field}\": 7");
            Assert.Contains(
                CatalogFile.Read(text, wantsTypes: false).Mistakes,
                mistake => mistake.Code == MistakeCode.WrongType && text[mistake.Offset] == '7'
            );
        }
    }

    [Fact]
    public void Words_with_a_closed_list_are_the_same()
    {
        Assert.Equal(KindRules.Kinds, Words(Definition("family").GetProperty("properties").GetProperty("kind")));
        Assert.Equal(KindRules.DataWords, Words(Definition("family").GetProperty("properties").GetProperty("data")));
        Assert.Equal(KindRules.DeliveryWords, Words(Definition("event").GetProperty("properties").GetProperty("delivery")));
        Assert.Equal(KindRules.PolicyWords, Words(Definition("family").GetProperty("properties").GetProperty("policy")));
        Assert.Equal(KindRules.PolicyWords, Words(Definition("familyOverride").GetProperty("properties").GetProperty("policy")));
        Assert.Equal(KindRules.PersonalWords, Words(Schema.GetProperty("properties").GetProperty("personalIdentifiers")));
        Assert.Equal(
            KindRules.PersonalWords,
            Words(Definition("environment").GetProperty("properties").GetProperty("personalIdentifiers"))
        );
    }

    [Theory]
    [InlineData("defaults", "ttl", "30m 500ms 7d 0s 1h30m 30 4h_ 05m -1m")]
    [InlineData("defaults", "jitter", "10% 12.5% 0% 10 % 1.% .5%")]
    [InlineData("memory", "limit", "512mb 4gb 64kb 512MB 0mb 1.5gb 4g")]
    [InlineData("family", "limit", "5 0 1000 1001 05 -1 5.0 five 12345")]
    [InlineData("", "prefix", "{environment}: {system}:{environment}: app: app {x}: a::b: a-{environment}:")]
    [InlineData("", "system", "phonebill phone-bill PhoneBill phone_bill 1a a- a--b")]
    public void Patterns_accept_what_the_reader_accepts(string definition, string field, string values)
    {
        var pattern = Matcher(Definition(definition).GetProperty("properties").GetProperty(field).GetProperty("pattern").GetString()!);
        foreach (var value in values.Split(' '))
        {
            var text =
                definition.Length == 0 && field == "system"
                    ? $$"""{ "system": "{{value}}", "families": {} }"""
                    : Around(definition, $"\"{field}\": \"{value}\"");
            var accepted = CatalogFile
                .Read(text, wantsTypes: false)
                .Mistakes.All(mistake =>
                    mistake.Code
                        is MistakeCode.TtlOutsideRules
                            or MistakeCode.LimitExceeded
                            or MistakeCode.FieldOfOtherKind
                            or MistakeCode.MissingField
                );
            Assert.True(accepted == pattern.IsMatch(value), $"{field} \"{value}\": the reader says {accepted}");
        }
    }

    [Fact]
    public void Names_of_families_events_and_services_follow_one_grammar()
    {
        (string Section, string Separators, string Values)[] cases =
        [
            ("families", "_-", "bill line_status line-status Line a__b a_ 1a"),
            ("services", "-", "auth bill-inquiry bill_inquiry Auth a-"),
            ("environments", "-", "production test-2 Production"),
        ];
        foreach (var (section, separators, values) in cases)
        {
            var pattern = Matcher(
                Schema.GetProperty("properties").GetProperty(section).GetProperty("propertyNames").GetProperty("pattern").GetString()!
            );
            foreach (var value in values.Split(' '))
                Assert.Equal(CatalogWords.IsName(value, separators), pattern.IsMatch(value));
        }

        var events = Matcher(
            Schema.GetProperty("properties").GetProperty("events").GetProperty("propertyNames").GetProperty("pattern").GetString()!
        );
        foreach (var value in "user.updated auth.token_issued a.b.c user User.updated a..b a. .a a_.b".Split(' '))
            Assert.Equal(CatalogWords.IsName(value, "._") && value.Contains('.', StringComparison.Ordinal), events.IsMatch(value));
    }

    private static Regex Matcher(string pattern) => new(pattern, RegexOptions.None, TimeSpan.FromSeconds(1));

    private static JsonElement Definition(string name) => name.Length == 0 ? Schema : Schema.GetProperty("$defs").GetProperty(name);

    private static IEnumerable<string?> Words(JsonElement property) =>
        property.GetProperty("enum").EnumerateArray().Select(word => word.GetString());

    /// <summary>A catalog with the field in an object of the kind.</summary>
    private static string Around(string definition, string field) =>
        definition switch
        {
            "" when field.StartsWith("\"system\"", StringComparison.Ordinal) => $$"""{ {{field}}, "families": {} }""",
            "" when field.StartsWith("\"families\"", StringComparison.Ordinal) => $$"""{ "system": "s", {{field}} }""",
            "" => $$"""{ "system": "s", "families": {}, {{field}} }""",
            "service" => $$"""{ "system": "s", "families": {}, "services": { "a": { {{field}} } } }""",
            "event" => $$"""{ "system": "s", "families": {}, "events": { "a.b": { {{field}} } } }""",
            "family" => $$"""{ "system": "s", "families": { "a": { {{field}} } } }""",
            "environment" => $$"""{ "system": "s", "families": {}, "environments": { "e": { {{field}} } } }""",
            "familyOverride" =>
                $$"""{ "system": "s", "families": { "a": { "key": "a:{id}" } }, "environments": { "e": { "families": { "a": { {{field}} } } } } }""",
            _ => $$"""{ "system": "s", "families": {}, "{{definition}}": { {{field}} } }""",
        };
}
