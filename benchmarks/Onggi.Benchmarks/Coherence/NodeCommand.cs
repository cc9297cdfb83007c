using System.Text.Json;

namespace Onggi.Benchmarks.Coherence;

/// <summary>The process behind <c>node</c>, which only <c>./bench coherence</c> starts: one node of each of some fleets.</summary>
/// <remarks>
/// It is told what to do on its standard input, a line at a time (the plan; the start; <c>finish</c>), and says on its standard output <c>ready</c>, <c>written</c>
/// and then its reports as JSON. It ends when the input ends, whatever became of the one who wrote there.
/// </remarks>
internal static class NodeCommand
{
    public const string Name = "node";
    public const string Ready = "ready";
    public const string Written = "written";
    public const string Finish = "finish";

    /// <summary>How long after the last write invalidations are tried again.</summary>
    public static readonly TimeSpan WritersPatience = TimeSpan.FromSeconds(6);

    public static async Task<int> RunAsync()
    {
        // Ctrl-C is for the one who started us.
        Console.CancelKeyPress += static (_, pressed) => pressed.Cancel = true;
        var lines = Lines();
        if (await lines() is not { } first)
            return 0;
        var plan = JsonSerializer.Deserialize(first, CoherenceJson.Default.WorkerPlan)!;
        var longest = TimeSpan.FromMilliseconds(plan.LongestMs);
        var nodes = await Task.WhenAll(plan.Nodes.Select(node => Node.StartAsync(node, plan.Seed, longest)));
        Console.WriteLine(Ready);

        if (await lines() is not { } second)
            return 0;
        var start = JsonSerializer.Deserialize(second, CoherenceJson.Default.Start)!;
        var last = TimeSpan.FromMilliseconds(start.WritesMs);
        var writing = nodes.Select(
            (node, i) =>
            {
                var own = plan.Nodes[i];
                node.Read(plan.ReadersOfFleet / own.OfNodes);
                var writes = Schedule
                    .Of(plan.Seed, own.Fleet, own.OfNodes, own.Strangers, longest)
                    .Where(write => write.Node == own.Node && write.At < last);
                return Task.Run(() => node.WriteAsync(writes, start, WritersPatience));
            }
        );
        await Task.WhenAll(writing);
        Console.WriteLine(Written);

        if (await lines() is null)
            return 0;
        var reports = await Task.WhenAll(nodes.Select(node => node.FinishAsync()));
        Console.WriteLine(JsonSerializer.Serialize(reports, CoherenceJson.Default.NodeReportArray));
        await lines();
        // Connections, threads and files end with the process.
        return 0;
    }

    // The end of the input ends the process even while nobody waits for a line. A thread of its own, because reading the console blocks.
    private static Func<Task<string?>> Lines()
    {
        var lines = System.Threading.Channels.Channel.CreateUnbounded<string>();
        new Thread(() =>
        {
            while (Console.In.ReadLine() is { } line)
                lines.Writer.TryWrite(line);
            Environment.Exit(0);
        })
        {
            IsBackground = true,
            Name = "orders",
        }.Start();
        return async () => await lines.Reader.ReadAsync();
    }
}
