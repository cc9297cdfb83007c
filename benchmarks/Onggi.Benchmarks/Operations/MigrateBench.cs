using Onggi.Testing;

namespace Onggi.Benchmarks.Operations;

/// <summary>How fast <c>onggi migrate</c> moves keys, and whether it loses one while they are written.</summary>
internal sealed class MigrateBench : IBench
{
    private const int Writers = 4;

    public string Name => "migrate";

    public string Summary => "onggi migrate: 200,000 keys, quiet and under writers with a ledger, against redis-cli";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        var keys = run.Quick ? 20_000 : 200_000;
        run.Notes.AddRange(Notes(keys));
        List<Row> rows = [];
        // A small one first, so that no row pays for the compiler.
        await using (var warm = await MigrateStage.StartAsync(oneServer: true, 20_000))
            await warm.MoveAsync(run.Stop);
        foreach (var oneServer in (bool[])[false, true])
        {
            var place = oneServer ? "db1-to-db0" : "instances";
            if (run.Wants($"{place}.quiet"))
                rows.AddRange(await QuietAsync(run, place, oneServer, keys));
            if (run.Wants($"{place}.written"))
                rows.AddRange(await WrittenAsync(run, place, oneServer, keys));
            if (run.Wants($"{place}.no-fence"))
                rows.Add(await WithoutFenceAsync(run, place, oneServer, keys / 10));
        }

        return rows;
    }

    private static string[] Notes(int keys) =>
        [
            $"{keys:N0} keys: 60 % strings of 20 to 200 bytes, 20 % hashes, 10 % sets, 5 % sorted sets, 5 % lists of 8 elements; 80 % with an end. `instances`: from one server to another. `db1-to-db0`: on one server, from database 1 to a prefix of database 0.",
            "`quiet.copy`: keys a second of the first walk, nobody writing. Its baseline is redis-cli in the same run, as batched as a shell can: all names, all values, all ends and all restores, each through one process.",
            "`quiet.compare`: keys a second of the comparison of everything, both sides.",
            $"`written`: {Writers} writers, 2,000 keys each (strings, counters, lists, hashes, sets; ends, deletions), 4,000 writes a second each at the most, before, while and after. `lost`: keys of the ledger that are not as their answered writes say. `different`: keys that nobody wrote and that differ; `end-diff`: the largest difference of their ends. `pause`: from the hold or the fence until the epoch is changed.",
            "`no-fence`: the same with a tenth of the keys, without the write fence: writers learn of the cut-over when they next read the epoch. It must lose keys, or the ledger could not tell.",
        ];

    private static async Task<IEnumerable<Row>> QuietAsync(BenchRun run, string place, bool oneServer, int keys)
    {
        BenchRun.Say($"{place}, quiet");
        await using var stage = await MigrateStage.StartAsync(oneServer, keys);
        var (copied, time) = await stage.CopyByRedisCliAsync(run.Stop);
        await stage.ClearTargetAsync();
        if (copied != keys)
            throw new InvalidOperationException($"redis-cli copied {copied} of {keys} keys: the baseline is none.");
        var baseline = copied / time.TotalSeconds;
        await using (var client = await stage.NewSideAsync())
            run.Redis = client.Server?.Version.ToString();
        var result = await stage.MoveAsync(run.Stop);
        var rate = result.Copied / result.CopyTime.TotalSeconds;
        return
        [
            new Row($"{place}.quiet.copy", "keys/s", rate, "redis-cli", baseline, "≥ 5 × redis-cli", rate >= 5 * baseline),
            Row.AtLeast($"{place}.quiet.rate", "keys/s", rate, oneServer ? 50_000 : 100_000),
            new Row($"{place}.quiet.compare", "keys/s", result.Compared / result.CompareTime.TotalSeconds),
            Row.AtMost($"{place}.quiet.repaired", "keys", result.Repaired, 0),
        ];
    }

    private static async Task<IEnumerable<Row>> WrittenAsync(BenchRun run, string place, bool oneServer, int keys)
    {
        BenchRun.Say($"{place}, written ({Seed.Line})");
        await using var stage = await MigrateStage.StartAsync(oneServer, keys);
        await using var ledger = await stage.WriteAsync(Writers, perSecond: 4_000);
        await ledger.WhenWrittenAsync(2_000);
        var result = await stage.MoveAsync(run.Stop);
        await ledger.WhenWrittenAsync(2_000);
        await ledger.StopAsync();
        await using var client = await stage.NewSideAsync();
        var lost = await ledger.DifferencesAsync(client, "dev:user:");
        foreach (var line in lost.Take(5))
            BenchRun.Say(line);
        var different = await stage.DifferencesAsync(run.Stop);
        return
        [
            new Row($"{place}.written.copy", "keys/s", result.Copied / result.CopyTime.TotalSeconds),
            new Row($"{place}.written.acknowledged", "writes", ledger.Acknowledged),
            new Row($"{place}.written.again", "keys", result.Again),
            Row.AtMost($"{place}.written.lost", "keys", lost.Count, 0),
            Row.AtMost($"{place}.written.different", "keys", different.Count, 0),
            Row.AtMost($"{place}.written.end-diff", "ms", different.Select(one => one.EndDifference).DefaultIfEmpty().Max(), 0),
            Row.AtMost($"{place}.written.pause", "ms", result.Pause.TotalMilliseconds, 100),
            new Row($"{place}.written.longest-wait", "ms", ledger.LongestWait.TotalMilliseconds),
        ];
    }

    private static async Task<Row> WithoutFenceAsync(BenchRun run, string place, bool oneServer, int keys)
    {
        BenchRun.Say($"{place}, without the fence ({Seed.Line})");
        await using var stage = await MigrateStage.StartAsync(oneServer, keys);
        await using var ledger = await stage.WriteAsync(Writers, perSecond: 4_000);
        await ledger.WhenWrittenAsync(2_000);
        await stage.MoveAsync(run.Stop, fenced: false);
        await ledger.WhenWrittenAsync(10_000);
        await ledger.StopAsync();
        await using var client = await stage.NewSideAsync();
        return Row.AtLeast($"{place}.no-fence.lost", "keys", (await ledger.DifferencesAsync(client, "dev:user:")).Count, 1);
    }
}
