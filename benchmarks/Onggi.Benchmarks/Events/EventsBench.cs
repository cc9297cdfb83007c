namespace Onggi.Benchmarks.Events;

/// <summary>One part of what <c>./bench events</c> measures.</summary>
internal interface IEventsSection
{
    /// <summary>What the rows mean.</summary>
    IReadOnlyList<string> Notes { get; }

    /// <summary>Measures, on servers of its own.</summary>
    Task<IReadOnlyList<Row>> RunAsync(BenchRun run);
}

/// <summary>What events cost, and how fast what was missed is brought.</summary>
internal sealed class EventsBench : IBench
{
    private static readonly IEventsSection[] Sections = [new BusSection(), new KillSection()];

    public string Name => "events";

    public string Summary => "events against the bare script and bare Pub/Sub; what is missed while the link is lost";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        List<Row> rows = [];
        foreach (var section in Sections)
        {
            run.Notes.AddRange(section.Notes);
            rows.AddRange(await section.RunAsync(run));
        }

        return rows;
    }
}
