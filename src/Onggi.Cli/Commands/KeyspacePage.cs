using Onggi.Events.Streams;
using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary>The Markdown page that lists every key and event of a keyspace.</summary>
internal static class KeyspacePage
{
    public static void Write(Keyspace keyspace, TextWriter page)
    {
        page.WriteLine($"# Keyspace {keyspace.System}, environment {keyspace.Environment}");
        page.WriteLine();
        page.WriteLine(
            $"Every name begins with `{keyspace.Prefix}`."
                + (keyspace.MemoryLimit is { } limit ? $" Redis may take {CatalogWords.SpellSize(limit)}." : "")
                + (keyspace.HashesPersonalIdentifiers ? " Identifiers marked personal are hashed." : "")
        );
        page.WriteLine();
        page.WriteLine("| family | key | kind | time to live | share | written by | read by |");
        page.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var family in keyspace.Families)
            page.WriteLine(
                $"| [{family.Family.Name}](#{family.Family.Name}) | {Code(family.Pattern)} | {family.Kind} | {Words.Time(family.Ttl)} | {Words.Percent(family.Share)} | {family.Owner ?? "every service"} | {Cell(Words.List(family.Readers))} |"
            );
        foreach (var family in keyspace.Families)
            WriteFamily(family, page);
        if (keyspace.Events.Count == 0)
            return;
        page.WriteLine();
        page.WriteLine("## Events");
        page.WriteLine();
        page.WriteLine("| event | delivery | channel or stream | payload | published by | invalidates | |");
        page.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var known in keyspace.Events)
            page.WriteLine(
                $"| `{known.Type}` | {DeliveryOf(known)} | {Code(PlaceOf(keyspace, known))} | {Code(known.PayloadType)} | {PublishersOf(known)} | {Words.List(known.Families)} | {Cell(known.Description ?? "")} |"
            );
    }

    private static string WritersOf(FamilySettings family) =>
        family.Owner is not { } owner ? "every service"
        : family.Writers.Count == 0 ? owner
        : $"{owner} and {Words.List(family.Writers)}";

    /// <summary>The services that publish an event, in words.</summary>
    public static string PublishersOf(EventSettings known) =>
        known.Publishers.Contains("*") ? "every service" : Words.List(known.Publishers);

    /// <summary>How an event reaches who hears it, in words.</summary>
    public static string DeliveryOf(EventSettings known) => known.Delivery == EventDelivery.AtLeastOnce ? "at least once" : "at most once";

    /// <summary>Where it is heard: its channel, or its stream.</summary>
    public static string PlaceOf(Keyspace keyspace, EventSettings known) =>
        known.Delivery == EventDelivery.AtLeastOnce ? StreamKeys.NameOf(keyspace.Prefix, known.Type) : known.Channel;

    private static void WriteFamily(FamilySettings family, TextWriter page)
    {
        page.WriteLine();
        page.WriteLine($"## {family.Family.Name}");
        page.WriteLine();
        if (family.Description is not null)
        {
            page.WriteLine(family.Description);
            page.WriteLine();
        }

        page.WriteLine($"- key {Code(family.Pattern)}{(family.Personal.Count > 0 ? $", personal: {Words.List(family.Personal)}" : "")}");
        if (family.ValueType is not null)
            page.WriteLine($"- value {Code(family.ValueType)}, as JSON");
        page.WriteLine(
            family.IdleTtl is { } idle
                ? $"- lives {Words.Time(idle)} unused, {Words.Time(family.Ttl)} in all"
                : $"- lives {Words.Time(family.Ttl)}{(family.Grace > TimeSpan.Zero ? $", {Words.Time(family.Grace)} of grace" : "")}{(family.Jitter > 0 ? $", up to {Words.Percent(family.Jitter)} less by jitter" : "")}"
        );
        page.WriteLine($"- written by {WritersOf(family)}, read by {Words.List(family.Readers)}");
        if (family.InvalidatedBy.Count > 0)
            page.WriteLine($"- invalidated by {string.Join(", ", family.InvalidatedBy.Select(name => $"`{name}`"))}");
        page.WriteLine($"- found by {string.Join(" and ", family.ScanPatterns.Select(pattern => $"`{pattern}`"))}");
    }

    private static string Code(string? text) => text is null ? Words.None : $"`{text}`";

    private static string Cell(string text) =>
        text.Replace("|", "\\|", StringComparison.Ordinal).Replace("*", "\\*", StringComparison.Ordinal).Replace('\n', ' ');
}
