using System.Diagnostics;
using System.Globalization;
using Onggi.Testing;

namespace Onggi.Benchmarks;

/// <summary>The model of the coherent cache, gone through whole: right as it stands, and each built-in mistake found out.</summary>
internal sealed class ModelBench : IBench
{
    private const int SmallMemory = 1024;

    /// <summary>MiB for the large ones.</summary>
    private const int LargeMemory = 10_000;

    public string Name => "model";

    public string Summary => "the coherence protocol, every state of its model";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        run.Notes.AddRange([
            "The model is `benchmarks/model/coherence.pml`; its header says what is modelled and what the configurations are. Spin goes through every state that can be reached.",
            "`NAME.states`: the states of a configuration without a mistake. `NAME.errors`: in how many a promise is broken.",
            "`mutant.NAME`: a mistake built in; it must be found out, and break the promise named (G1 no stale set, G2 bounded staleness, G3 strict). The value is the number of states until it was. Its baseline is the whole of the same configuration without the mistake.",
        ]);
        if (run.Quick)
            run.Notes.Add("Run with `--quick`: the small configurations only.");
        var model = CoherenceModel.FileIn(Machine.Root());
        var configurations = CoherenceModel
            .Configurations.Where(configuration => run.Wants(configuration.Name) && (configuration.IsSmall || !run.Quick))
            .ToArray();
        List<Row> rows = [];
        var whole = new Dictionary<ModelConfiguration, long>();
        (ModelConfiguration, SpinResult)[] results =
        [
            .. await CheckAsync([.. configurations.Where(one => one.IsSmall)], run, one => CheckAsync(model, one, run)),
            // Each of these wants the machine's memory to itself.
            .. await CheckAsync([.. configurations.Where(one => !one.IsSmall)], run, one => CheckAsync(model, one, run), atOnce: 1),
        ];
        foreach (var (configuration, result) in results)
        {
            whole[configuration] = result.States;
            rows.Add(new Row($"{configuration.Name}.states", "states", result.States, Goal: "all", Pass: result.IsWhole));
            rows.Add(Row.AtMost($"{configuration.Name}.errors", "errors", result.Errors, 0));
        }

        var mutants = CoherenceModel.Mutants.Where(mutant => run.Wants($"mutant.{mutant.Name}")).ToArray();
        foreach (var (mutant, result) in await CheckAsync(mutants, run, one => CheckAsync(model, one, run)))
            rows.Add(
                new Row(
                    $"mutant.{mutant.Name}",
                    "states",
                    result.States,
                    mutant.Configuration.Name,
                    whole.TryGetValue(mutant.Configuration, out var states) ? states : null,
                    $"breaks {mutant.Breaks}",
                    result.Failure is { } failure && CoherenceModel.BrokenPromise(failure) == mutant.Breaks
                )
            );
        return rows;
    }

    private static async Task<SpinResult> CheckAsync(string model, ModelConfiguration configuration, BenchRun run)
    {
        var began = Stopwatch.GetTimestamp();
        var memory = configuration.IsSmall ? SmallMemory : LargeMemory;
        var result = await SpinProcess.CheckAsync(model, configuration.Defines, memory, trace: true, run.Stop);
        Say(configuration.Name, result, began);
        if (result.Errors > 0)
            BenchRun.Say($"{result.Failure}\n{result.Trace}");
        else if (!result.IsWhole)
            BenchRun.Say(result.Output);
        return result;
    }

    private static async Task<SpinResult> CheckAsync(string model, ModelMutant mutant, BenchRun run)
    {
        var began = Stopwatch.GetTimestamp();
        var result = await SpinProcess.CheckAsync(model, mutant.Defines, SmallMemory, trace: false, run.Stop);
        Say($"mutant {mutant.Name}", result, began);
        return result;
    }

    /// <summary>Several side by side, as many as there are processors; in the end in the order in which they were given.</summary>
    private static async Task<(T Item, SpinResult Result)[]> CheckAsync<T>(
        T[] items,
        BenchRun run,
        Func<T, Task<SpinResult>> check,
        int? atOnce = null
    )
    {
        var results = new SpinResult[items.Length];
        await Parallel.ForAsync(
            0,
            items.Length,
            new ParallelOptions { MaxDegreeOfParallelism = atOnce ?? Environment.ProcessorCount, CancellationToken = run.Stop },
            async (i, _) => results[i] = await check(items[i])
        );
        return [.. items.Zip(results)];
    }

    private static void Say(string name, SpinResult result, long began) =>
        BenchRun.Say(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{name}: {result.States:#,0} states, {result.Errors} errors, {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s"
            )
        );
}
