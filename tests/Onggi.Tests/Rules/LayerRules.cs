using Microsoft.Extensions.DependencyInjection;

namespace Onggi.Tests.Rules;

/// <summary>Who may see whom inside Onggi.Client and inside Onggi, read from the compiled code; docs/ARCHITECTURE.md draws the same.</summary>
public class LayerRules
{
    // From the ground up. Each sees those of its own rank and before it, never those after it.
    private static readonly string[][] ClientLayers =
    [
        ["Resp"],
        ["Connections"],
        // Meters and log lines stand beside the transport: they see what a connection tells of its commands.
        ["Transport", "Diagnostics"],
        ["Routing"],
        ["RedisClient"],
        ["Commands"],
    ];

    private static readonly string[] Features = ["Caching", "Sessions", "Tokens", "Events", "Locks", "Limits", "Migration", "Memory"];

    // Stands on a feature: entries of a batch are the cache's.
    private const string Batches = nameof(Batches);

    // The host's types stand above the features and see them all.
    private static readonly string[] Host =
    [
        nameof(OnggiKeyspace),
        nameof(OnggiOptions),
        nameof(OnggiServiceCollectionExtensions.AddOnggi),
        nameof(Diagnostics),
    ];

    // The one seam between features: Events offers it, any feature may use it.
    private static readonly string[] Seam =
    [
        "Onggi.Events.IEventSink",
        "Onggi.Events.IEventSource",
        "Onggi.Events.EventNotice",
        "Onggi.Events.EventType`1",
        "Onggi.Events.OnggiEventTypes",
        "Onggi.Events.CacheInvalidated",
        "Onggi.Events.CacheWarmed",
        "Onggi.Events.TokenIssued",
        "Onggi.Events.TokenRevoked",
        "Onggi.Events.SessionEvent",
    ];

    [Fact]
    public void Inside_the_client_nothing_sees_what_is_above_it()
    {
        var uses = UsesIn("Onggi.Client.dll");

        Repository.AssertNone(
            from use in uses
            let user = ClientLayer(use.From)
            let used = ClientLayer(use.To)
            // What has no layer (arguments, errors, options) is ground that all stand on; of the layers it may see only Resp.
            where used > Math.Max(user, 0)
            select $"{use.From} uses {use.To}"
        );
    }

    [Fact]
    public void Inside_Onggi_features_do_not_see_each_other()
    {
        var uses = UsesIn("Onggi.dll");

        Repository.AssertNone(
            from use in uses
            let user = Feature(use.From)
            let used = Feature(use.To)
            where user is not null && used is not null && user != used && !Seam.Contains(use.To)
            select $"{use.From} uses {use.To}"
        );
    }

    [Fact]
    public void Inside_Onggi_keys_and_scripts_see_no_feature_and_no_feature_sees_the_host()
    {
        var uses = UsesIn("Onggi.dll");

        Repository.AssertNone(uses.Where(use => OnggiLayer(use.To) > OnggiLayer(use.From)).Select(use => $"{use.From} uses {use.To}"));
    }

    [Fact]
    public void The_architecture_page_draws_the_layers_of_the_client_as_they_are_asserted_here()
    {
        Assert.Equal(ClientLayers, Assert.Single(ArchitecturePage.Chains("Inside Onggi.Client")));
        Repository.AssertNone(Undrawn("src/Onggi.Client", ClientLayers.SelectMany(rank => rank)));
    }

    [Fact]
    public void The_architecture_page_draws_the_layers_of_Onggi_as_they_are_asserted_here()
    {
        string[][] ranks =
        [
            ["Keys"],
            ["Scripts"],
            [.. Features.Where(IsThere)],
            [Batches],
            Host,
        ];

        Assert.Equal(ranks, Assert.Single(ArchitecturePage.Chains("Inside Onggi")));
        Repository.AssertNone(Undrawn("src/Onggi", ranks.SelectMany(rank => rank)));
    }

    [Fact]
    public void The_rooms_that_the_architecture_page_keeps_for_later_are_the_features_that_are_not_there()
    {
        const string Begin = "* in Onggi: ";
        var line = Assert.Single(
            ArchitecturePage.Section("Rooms kept for later"),
            line => line.StartsWith(Begin, StringComparison.Ordinal)
        );
        var rooms = line[Begin.Length..].Split(' ', ',').Where(word => word.Length > 0 && char.IsAsciiLetterUpper(word[0]));

        Assert.Equal(Features.Where(name => !IsThere(name)).Order(StringComparer.Ordinal), rooms.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_reader_of_uses_sees_fields_calls_and_generic_arguments()
    {
        var uses = TypeUses.Read(typeof(LayerRules).Assembly.Location).Where(use => use.From == typeof(Sample).FullName).ToList();

        Assert.Equal(
            [nameof(SeenAsArgument), nameof(SeenInBody), nameof(SeenInField)],
            uses.Select(use => use.To.Split('.')[^1]).Where(name => name.StartsWith("Seen", StringComparison.Ordinal)).Order()
        );
    }

    private static bool IsThere(string feature) => Directory.Exists(Repository.PathOf($"src/Onggi/{feature}"));

    private static IEnumerable<string> Undrawn(string project, IEnumerable<string> drawn) =>
        Directory
            .EnumerateDirectories(Repository.PathOf(project))
            .Select(folder => Path.GetFileName(folder)!)
            .Where(folder => folder is not ("bin" or "obj" or "build"))
            .Except(drawn)
            .Select(folder => $"{project}/{folder} is not in the drawing of docs/ARCHITECTURE.md");

    private static IReadOnlyCollection<TypeUse> UsesIn(string assembly)
    {
        var uses = TypeUses.Read(Path.Combine(AppContext.BaseDirectory, assembly));
        Assert.NotEmpty(uses);
        return uses;
    }

    /// <summary>The place in <see cref="ClientLayers"/>, -1 for the ground.</summary>
    private static int ClientLayer(string type) =>
        type.Split('.') switch
        {
            ["Onggi", "Client", "RedisClient"] => Rank("RedisClient"),
            // Options choose the transport; subscriptions and leases are handed out by those that keep their connections.
            ["Onggi", "Client", "RedisClientOptions" or "OptionRules" or "ConnectionString" or "ConnectionDraft"] => Rank("Transport"),
            [
                "Onggi",
                "Client",
                "RedisSubscription"
                or "RedisLease"
                or "RedisBatch"
                or "RedisTransaction"
                or "BatchItem"
                or "BatchItem`1",
            ] => Rank("Routing"),
            ["Onggi", "Client", var name] when name.EndsWith("Commands", StringComparison.Ordinal) => Rank("Commands"),
            ["Onggi", "Client", var layer, ..] => Rank(layer),
            _ => -1,
        };

    private static int Rank(string layer) => Array.FindIndex(ClientLayers, rank => rank.Contains(layer));

    private static string? Feature(string type) => type.Split('.') is ["Onggi", var name, _, ..] && Features.Contains(name) ? name : null;

    // Keys, Scripts, the features side by side, batches, and the host's entry types (namespace Onggi) that see them all.
    private static int OnggiLayer(string type) =>
        type.Split('.') switch
        {
            ["Onggi", "Keys", _, ..] => 0,
            ["Onggi", "Scripts", _, ..] => 1,
            // How values become JSON and back is the same for all features.
            ["Onggi", "OnggiJson"] => 1,
            // Whether Redis is worth asking is the same question for all features.
            ["Onggi", nameof(RedisSilence)] => 1,
            ["Onggi", var name, _, ..] when Features.Contains(name) => 2,
            ["Onggi", Batches, _, ..] => 3,
            _ => 4,
        };
}

internal sealed class Sample
{
    private readonly SeenInField _field = new();

    public object Body() => (_field, SeenInBody.Text(), new List<SeenAsArgument>().Count);
}

internal sealed class SeenInField;

internal static class SeenInBody
{
    public static string Text() => "";
}

internal sealed class SeenAsArgument;
