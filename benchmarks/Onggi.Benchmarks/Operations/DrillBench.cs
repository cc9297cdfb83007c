using System.Globalization;
using Onggi.DeployTests.Production;

namespace Onggi.Benchmarks.Operations;

/// <summary>What a failure costs on the production set: how long no write is acknowledged, and how many acknowledged ones are not there afterwards.</summary>
/// <remarks>The set is that of the overlay, with its files and its times; only its addresses are loopback. Each drill has its control where something is claimed.</remarks>
internal sealed class DrillBench : IBench
{
    // What sentinel.conf waits, the election, and what the client needs; with room for a busy machine.
    private const double MostFailover = 15;
    private const double MostHandOver = 5;
    private const double MostRestart = 5;

    // Nobody who writes is to notice; with room for a busy machine.
    private const double MostReplica = 1;

    // min-replicas-max-lag, and the second between two counts of the replicas.
    private const double MostAlone = 7;

    public string Name => "drills";

    public string Summary => "failures of the production set: how long nothing is written, and what is lost";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        var rows = new List<Row>();
        await using (var set = await StartAsync(run, []))
        {
            await FailoversAsync(run, set, rows);
            await HandOversAsync(run, set, rows);
            await PartitionsAsync(run, set, rows);
            await RestAsync(run, set, rows);
        }

        // Last, since the control leaves nothing behind.
        await DisksAsync(run, rows);
        Explain(run);
        return rows;
    }

    private static async Task<ReplicatedSet> StartAsync(BenchRun run, IReadOnlyList<string> beforeFirst)
    {
        var settings = new SetSettings
        {
            DownAfterMs = run.Quick ? 1500 : null,
            IsHurried = run.Quick,
            WritesFirst = TimeSpan.FromSeconds(run.Quick ? 0.5 : 3),
            BeforeFirst = beforeFirst,
        };
        var set = await ReplicatedSet.StartAsync(settings);
        run.Redis = set.Version;
        return set;
    }

    private static async Task FailoversAsync(BenchRun run, ReplicatedSet set, List<Row> rows)
    {
        foreach (
            var (name, drill) in ((string, Func<ReplicatedSet, WriteMode, Task<DrillOutcome>>)[])
                [("kill", Drills.KillAsync), ("hang", Drills.HangAsync)]
        )
        {
            if (await DrillAsync(run, name, () => drill(set, WriteMode.Plain)) is { } plain)
            {
                rows.Add(Row.AtMost($"{name}.rto", "s", plain.Outage.TotalSeconds, MostFailover));
                rows.Add(Lost($"{name}.lost", plain));
            }

            if (await DrillAsync(run, $"{name}.wait", () => drill(set, WriteMode.Wait)) is { } waited)
            {
                rows.Add(Row.AtMost($"{name}.wait.rto", "s", waited.Outage.TotalSeconds, MostFailover));
                rows.Add(NoneLost($"{name}.wait.lost", waited));
            }
        }

        if (await DrillAsync(run, "restart", () => Drills.RestartAsync(set)) is { } restart)
        {
            rows.Add(Row.AtMost("restart.rto", "s", restart.Outage.TotalSeconds, MostRestart));
            rows.Add(NoneLost("restart.lost", restart));
        }
    }

    private static async Task HandOversAsync(BenchRun run, ReplicatedSet set, List<Row> rows)
    {
        var control = await DrillAsync(run, "handover.control", () => Drills.HandOverAsync(set, isNaive: true));
        if (await DrillAsync(run, "handover", () => Drills.HandOverAsync(set)) is not { } careful)
            return;
        rows.Add(
            new Row(
                "handover.rto",
                "s",
                careful.Outage.TotalSeconds,
                "SENTINEL FAILOVER alone",
                control?.Outage.TotalSeconds,
                $"≤ {MostHandOver}",
                careful.Outage.TotalSeconds <= MostHandOver
            )
        );
        rows.Add(NoneLost("handover.lost", careful, "SENTINEL FAILOVER alone", control));
    }

    private static async Task PartitionsAsync(BenchRun run, ReplicatedSet set, List<Row> rows)
    {
        var control = await DrillAsync(run, "cutoff.control", () => Drills.CutOffAsync(set, isNaive: true));
        if (await DrillAsync(run, "cutoff", () => Drills.CutOffAsync(set)) is { } cut)
        {
            rows.Add(
                new Row(
                    "cutoff.confirms",
                    "s",
                    cut.LostOver.TotalSeconds,
                    "min-replicas-to-write 0",
                    control?.LostOver.TotalSeconds,
                    $"≤ {MostAlone}",
                    cut.LostOver.TotalSeconds <= MostAlone
                )
            );
            rows.Add(Lost("cutoff.lost", cut, "min-replicas-to-write 0", control));
        }

        if (await DrillAsync(run, "replica", () => Drills.CutReplicaOffAsync(set)) is { } replica)
        {
            rows.Add(Row.AtMost("replica.rto", "s", replica.Outage.TotalSeconds, MostReplica));
            rows.Add(NoneLost("replica.lost", replica));
        }

        if (await DrillAsync(run, "alone", () => Drills.LoneAsync(set)) is { } lone)
        {
            rows.Add(new Row("alone.refused", "writes", lone.Refused.GetValueOrDefault("NOREPLICAS")));
            rows.Add(NoneLost("alone.lost", lone));
        }
    }

    private static async Task RestAsync(BenchRun run, ReplicatedSet set, List<Row> rows)
    {
        if (await DrillAsync(run, "certificate", () => Drills.ExpireAsync(set)) is not { } expired)
            return;
        rows.Add(new Row("certificate.rto", "s", expired.Outage.TotalSeconds));
        rows.Add(NoneLost("certificate.lost", expired));
    }

    private static async Task DisksAsync(BenchRun run, List<Row> rows)
    {
        var isMounted = await SmallDisk.IsPossibleAsync();
        if (run.Wants("disk.full"))
        {
            await using var set = await StartAsync(run, isMounted ? SmallDisk.Before : []);
            // The small disk is the first server's, which is the primary of a new set.
            var (full, _) = await Drills.FillDiskAsync(set, isMounted ? new SmallDisk() : new LimitedFiles());
            BenchRun.Say($"disk.full          {full}");
            rows.Add(new Row("disk.full.rto", "s", full.Outage.TotalSeconds));
            rows.Add(new Row("disk.full.refused", "writes", full.Refused.GetValueOrDefault("MISCONF")));
            rows.Add(NoneLost("disk.full.lost", full));
            run.Notes.Add(
                isMounted
                    ? "`disk.full`: a file system of 48 MiB for the primary, filled up, then emptied."
                    : "`disk.full`: this machine lets us mount nothing, so the primary's files may not grow beyond a limit, which is then taken away."
            );
        }

        if (!run.Wants("disk.lost"))
            return;
        await using var last = await StartAsync(run, []);
        var (_, starts) = await Drills.FillDiskAsync(last, new LimitedFiles());
        var (_, startsNaively) = await Drills.FillDiskAsync(last, new LimitedFiles(), isNaive: true);
        rows.Add(new Row("disk.full.starts", "times of one", starts ? 1 : 0, "without BGREWRITEAOF", startsNaively ? 1 : 0, "= 1", starts));
        run.Notes.Add(
            "`disk.full.starts`: the primary's files may not grow beyond a limit for a while; when it writes again it is killed and started: does it start from its file, after BGREWRITEAOF and without?"
        );
        var careful = await DrillAsync(run, "disk.lost", () => Drills.LoseDiskAsync(last));
        var naive = await DrillAsync(run, "disk.lost.control", () => Drills.LoseDiskAsync(last, isNaive: true));
        if (careful is null)
            return;
        rows.Add(
            new Row(
                "disk.lost.rto",
                "s",
                careful.Outage.TotalSeconds,
                "started as the primary it was",
                naive?.Outage.TotalSeconds,
                $"≤ {MostFailover}",
                careful.Outage.TotalSeconds <= MostFailover
            )
        );
        rows.Add(Lost("disk.lost.lost", careful, "started as the primary it was", naive));
    }

    private static async Task<DrillOutcome?> DrillAsync(BenchRun run, string name, Func<Task<DrillOutcome>> drill)
    {
        run.Stop.ThrowIfCancellationRequested();
        if (!run.Wants(name))
            return null;
        var outcome = await drill();
        BenchRun.Say($"{name, -18} {outcome}");
        return outcome;
    }

    private static Row Lost(string name, DrillOutcome ours, string? baseline = null, DrillOutcome? control = null) =>
        new(name, Unit(ours), ours.Lost, control is null ? null : baseline, control?.Lost);

    private static Row NoneLost(string name, DrillOutcome ours, string? baseline = null, DrillOutcome? control = null) =>
        Lost(name, ours, baseline, control) with
        {
            Goal = "= 0",
            Pass = ours.Lost == 0,
        };

    private static string Unit(DrillOutcome outcome) =>
        string.Create(CultureInfo.InvariantCulture, $"of {outcome.Acknowledged:#,0} writes");

    private static void Explain(BenchRun run)
    {
        run.Notes.Add(
            "Three Redis servers and three Sentinels on loopback, started by the entry scripts of the production overlay with its redis.conf, sentinel.conf, users and TLS. Eight writers of one service write keys of their own through Onggi's client, which knows the Sentinels; what was acknowledged is looked for at the primary when the set is whole again."
        );
        run.Notes.Add(
            run.Quick
                ? "With --quick Sentinels miss a primary after 1.5 s, not after 5 s as sentinel.conf says."
                : "A Sentinel misses a primary after 5 s (`down-after-milliseconds`): most of `kill.rto` and `hang.rto` is that."
        );
        run.Notes.Add(
            "`rto`: the longest time without an acknowledged write from the fault on. `lost`: acknowledged writes that are not there in the end."
        );
        run.Notes.Add("`wait`: each SET is followed by WAIT 1 on the same connection, and counts as acknowledged when a replica has it.");
        run.Notes.Add(
            "`kill`: kill -9; the server comes back when another is the primary. `hang`: SIGSTOP, and SIGCONT when another is the primary. `restart`: kill -9, and started again at once with its disk."
        );
        run.Notes.Add(
            "`handover`: pre-stop.sh, SIGTERM, and started again. `disk.lost`: kill -9, the disk emptied, started again at once."
        );
        run.Notes.Add(
            "`cutoff`: nothing passes between the primary and the others, in silence; the writers are on its side and know no Sentinel. `confirms`: from the first to the last of the writes that it confirmed and that are lost."
        );
        run.Notes.Add(
            "`replica`: nothing passes between one replica and the others, in silence, until the primary counts only the other one, and a second longer; then it comes back and catches up."
        );
        run.Notes.Add(
            "`alone`: both replicas hang. `certificate`: the servers' certificate has ended, and the service's connections are cut, so that nobody comes in; `rto` from the moment in which a new one is there, which reload-tls.sh gives to each server. `disk.full.rto`: from the moment in which there is room again."
        );
    }
}
