using System.CommandLine;

namespace Onggi.Cli.Commands;

/// <summary>The options of <c>onggi delete</c>.</summary>
internal sealed class DeleteInputs
{
    public const string DefaultState = "onggi-delete.state.json";

    private const int DefaultLatency = 10;
    private const int MostLatency = 1000;

    public DeleteInputs() => Inputs.Bound(Latency, 1, MostLatency);

    public Option<string?> Pattern { get; } =
        new("--pattern", "-p")
        {
            Description =
                "The keys whose names match this glob, in quotes: \"dev:customer:*\". Exactly those; of cached families their leases, too.",
            HelpName = "GLOB",
        };

    public Option<string?> Family { get; } =
        new("--family", "-f")
        {
            Description = "The keys of this family of the catalog, and what stands beside them. A longer family's keys are spared.",
            HelpName = "NAME",
        };

    public Option<string?> Catalog { get; } = Inputs.Catalog("Without one, only patterns can be deleted, and owners are not known.");

    public Option<string?> Environment { get; } = Inputs.Environment();

    public Option<string?> Redis { get; } = Inputs.Redis();

    public Option<bool> DryRun { get; } =
        new("--dry-run", "-n") { Description = "Only looks: how many, how large, whose, and some of them." };

    public Option<bool> Yes { get; } = Inputs.Yes("Removes at once, without looking first and");

    public Option<bool> YesAll { get; } =
        new("--yes-all") { Description = "The same, also where nothing is spared: a whole prefix, or every key there is." };

    public Option<int> Latency { get; } =
        new("--latency")
        {
            Description =
                "The pace, in milliseconds: while another client's PING takes longer than half of this, batches get smaller; when it takes longer than all of it, they are halved, and the smallest are followed by pauses. A smaller figure is gentler and slower. One batch can keep somebody waiting for longer: it is no promise.",
            DefaultValueFactory = _ => DefaultLatency,
            HelpName = "MS",
        };

    public Option<string?> Undo { get; } =
        new("--undo", "-u")
        {
            Description = "Saves each key with its value and its end to this file before it is removed; onggi undelete puts them back.",
            HelpName = "FILE",
        };

    public Option<string> State { get; } =
        new("--state")
        {
            Description = "Where it is written down how far it has come, so that it can be stopped and gone on with. Removed at the end.",
            DefaultValueFactory = _ => DefaultState,
            HelpName = "FILE",
        };

    public Option<bool> Anew { get; } = new("--anew") { Description = "Forgets what an earlier run left in the state file." };

    public Option<bool> Json { get; } = Inputs.Json();

    public IReadOnlyList<Option> All =>
        [Pattern, Family, Catalog, Environment, Redis, DryRun, Yes, YesAll, Latency, Undo, State, Anew, Json];
}
