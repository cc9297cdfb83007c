using System.Diagnostics;
using Onggi.Client;

namespace Onggi.DeployTests.Production;

/// <summary>The failures that are rehearsed. Each begins with a whole set and leaves one.</summary>
internal static class Drills
{
    /// <summary>The primary's machine dies: kill -9, and it comes back only later. Its entry script makes it a replica.</summary>
    public static async Task<DrillOutcome> KillAsync(ReplicatedSet set, WriteMode mode = WriteMode.Plain)
    {
        await using var drill = await Drill.BeginAsync(set, mode);
        var old = await set.PrimaryAsync();
        drill.Fault();
        await old.Process.KillAsync();
        await drill.GoesOnElsewhereAsync(old);
        await old.Process.StartAsync();
        await set.WholeAsync();
        await drill.GoesOnAsync();
        return await drill.EndAsync();
    }

    /// <summary>The primary's process dies and is started again at once, where its disk is: it goes on as the primary, with all that it had confirmed.</summary>
    public static async Task<DrillOutcome> RestartAsync(ReplicatedSet set)
    {
        await using var drill = await Drill.BeginAsync(set);
        var old = await set.PrimaryAsync();
        drill.Fault();
        await old.Process.KillAsync();
        await old.Process.StartAsync();
        await drill.GoesOnAsync();
        await set.WholeAsync();
        await drill.GoesOnAsync();
        return await drill.EndAsync();
    }

    /// <summary>The primary dies with its disk, and is started again at once with an empty one.</summary>
    /// <param name="set">The servers.</param>
    /// <param name="isNaive">The control: started as the primary that it was, as without an entry script.</param>
    public static async Task<DrillOutcome> LoseDiskAsync(ReplicatedSet set, bool isNaive = false)
    {
        await using var drill = await Drill.BeginAsync(set);
        var old = await set.PrimaryAsync();
        drill.Fault();
        await old.Process.KillAsync();
        Directory.Delete(old.Data, recursive: true);
        Directory.CreateDirectory(old.Data);
        await (isNaive ? old.Process.StartAsync(("ONGGI_START_EMPTY", "yes")) : old.Process.StartAsync());
        if (isNaive)
            await drill.GoesOnAsync();
        else
            await drill.GoesOnElsewhereAsync(old);
        await set.WholeAsync();
        await drill.GoesOnAsync();
        return await drill.EndAsync();
    }

    /// <summary>The primary hangs: it takes connections and bytes, and answers nothing. Later it goes on as if nothing had been.</summary>
    public static async Task<DrillOutcome> HangAsync(ReplicatedSet set, WriteMode mode = WriteMode.Plain)
    {
        await using var drill = await Drill.BeginAsync(set, mode);
        var old = await set.PrimaryAsync();
        drill.Fault();
        old.Process.Pause();
        await drill.GoesOnElsewhereAsync(old);
        old.Process.Resume();
        await set.WholeAsync();
        await drill.GoesOnAsync();
        return await drill.EndAsync();
    }

    /// <summary>The primary is to be stopped: pre-stop.sh, then SIGTERM, then it is started again, as in a rolling update.</summary>
    /// <param name="set">The servers.</param>
    /// <param name="mode">How writers write.</param>
    /// <param name="isNaive">The control: SENTINEL FAILOVER alone, nothing pauses the writers.</param>
    public static async Task<DrillOutcome> HandOverAsync(ReplicatedSet set, WriteMode mode = WriteMode.Plain, bool isNaive = false)
    {
        await using var drill = await Drill.BeginAsync(set, mode);
        var old = await set.PrimaryAsync();
        drill.Fault();
        if (isNaive)
            await set.FailOverAsync();
        else if (await set.ScriptAsync("pre-stop.sh", old) is not (0, _, _) and var failed)
            throw new InvalidOperationException($"pre-stop.sh ended with {failed.Code}: {failed.Error}");
        await drill.GoesOnElsewhereAsync(old);
        await WaitFor.TrueAsync(async () => await set.RoleAsync(old) == "slave", "the old primary is a replica");
        await old.Process.StopAsync();
        await old.Process.StartAsync();
        await set.WholeAsync();
        await drill.GoesOnAsync();
        return await drill.EndAsync();
    }

    /// <summary>The network cuts the primary off from replicas and Sentinels, but not from some callers. These are the writers here: they know nothing of the Sentinels.</summary>
    /// <param name="set">The servers.</param>
    /// <param name="isNaive">The control: min-replicas-to-write 0.</param>
    public static async Task<DrillOutcome> CutOffAsync(ReplicatedSet set, bool isNaive = false)
    {
        var old = await set.PrimaryAsync();
        if (isNaive)
            await set.AskAsync(old.Port, "certificates", "CONFIG", "SET", "min-replicas-to-write", "0");
        await using var drill = await Drill.BeginAsync(set, past: old);
        drill.Fault();
        await old.Proxy.RefuseAsync();
        old.Proxy.BlackHoleAll();
        if (!isNaive)
            await drill.RefusedAsync("NOREPLICAS");
        await WaitFor.TrueAsync(async () => await set.PrimaryAsync() != old, "the Sentinels name another primary");
        // As long as the other side would need to see that something is wrong.
        await Drill.WriteForAsync(TimeSpan.FromSeconds(isNaive ? 3 : 1));
        old.Proxy.Accept();
        old.Proxy.CutAll();
        await set.WholeAsync();
        var outcome = await drill.EndAsync();
        if (isNaive)
            await set.AskAsync(old.Port, "certificates", "CONFIG", "SET", "min-replicas-to-write", "1");
        return outcome;
    }

    /// <summary>The network cuts one replica off, in silence and for longer than it counts as one. The other is enough: the primary stays, and goes on.</summary>
    public static async Task<DrillOutcome> CutReplicaOffAsync(ReplicatedSet set)
    {
        await using var drill = await Drill.BeginAsync(set);
        var primary = await set.PrimaryAsync();
        var replica = (await set.ReplicasAsync())[0];
        var link = await set.LinkOfAsync(replica);
        drill.Fault();
        primary.Proxy.BlackHole(link);
        await replica.Proxy.RefuseAsync();
        replica.Proxy.BlackHoleAll();
        await WaitFor.TrueAsync(
            async () => (await set.AskAsync(primary.Port, "operator", "INFO", "replication")).Contains("min_slaves_good_slaves:1"),
            "the primary counts one replica"
        );
        await drill.GoesOnAsync();
        await Drill.WriteForAsync(TimeSpan.FromSeconds(1));
        replica.Proxy.Accept();
        replica.Proxy.CutAll();
        primary.Proxy.Cut(link);
        await set.WholeAsync();
        await drill.GoesOnAsync();
        if (await set.PrimaryAsync() != primary)
            throw new InvalidOperationException("Another has become the primary, although only a replica was cut off.");
        return await drill.EndAsync();
    }

    /// <summary>Both replicas hang: the primary is alone, and from some moment on refuses writes rather than keep them to itself.</summary>
    public static async Task<DrillOutcome> LoneAsync(ReplicatedSet set)
    {
        await using var drill = await Drill.BeginAsync(set);
        var replicas = await set.ReplicasAsync();
        drill.Fault();
        foreach (var replica in replicas)
            replica.Process.Pause();
        await drill.RefusedAsync("NOREPLICAS");
        foreach (var replica in replicas)
            replica.Process.Resume();
        await set.WholeAsync();
        await drill.GoesOnAsync();
        return await drill.EndAsync();
    }

    /// <summary>The disk of the primary is full, and later has room again. Then a new append-only file is made, and the server is killed and reads it.</summary>
    /// <remarks>Redis 7.0 leaves zero bytes in a file that it began at run time when a write to it was cut short; it does not start from such a file.</remarks>
    /// <param name="set">The servers.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="isNaive">The control: no new file is made.</param>
    public static async Task<(DrillOutcome Outcome, bool StartsAgain)> FillDiskAsync(ReplicatedSet set, IDisk disk, bool isNaive = false)
    {
        var primary = await set.PrimaryAsync();
        // As after any rewriting: that is how files are, mostly.
        await set.RewriteAsync(primary);
        await using var drill = await Drill.BeginAsync(set);
        drill.Fault();
        await disk.FillAsync(primary);
        await drill.RefusedAsync("MISCONF");
        await Drill.WriteForAsync(TimeSpan.FromSeconds(1));
        // What people need to make room is theirs; from here on it is ours.
        drill.Fault();
        await disk.EmptyAsync(primary);
        await drill.GoesOnAsync();
        if (!isNaive)
            await set.RewriteAsync(primary);
        var outcome = await drill.EndAsync();
        if (!disk.IsKept)
            return (outcome, true);
        await primary.Process.KillAsync();
        await primary.Process.StartAsync();
        var starts = await set.StartsAsync(primary);
        if (!starts)
        {
            // By hand, as the page says: without its data it copies from another.
            Directory.Delete(primary.Data, recursive: true);
            Directory.CreateDirectory(primary.Data);
            await primary.Process.StartAsync();
        }

        await set.WholeAsync();
        await using var reader = await RedisClient.ConnectAsync(set.Options(Drill.Writer));
        var lost = await WriteLedger.MissingAsync(reader, drill.Ledger.Writes.Where(write => write.Error is null));
        return (outcome with { Lost = lost.Count }, starts);
    }

    /// <summary>All servers' certificates have ended, connections are lost, and nobody comes in again; then there is a new one, and no server is started anew.</summary>
    public static async Task<DrillOutcome> ExpireAsync(ReplicatedSet set)
    {
        var life = TimeSpan.FromSeconds(4);
        await using var drill = await Drill.BeginAsync(set);
        var watch = Stopwatch.StartNew();
        set.Folder.Renew(life);
        await set.ReloadAsync();
        await Drill.WriteForAsync(life + TimeSpan.FromSeconds(1) - watch.Elapsed);
        // Nobody has noticed: connections that stand stay. Only now, when they must be made anew.
        await drill.GoesOnAsync();
        drill.Fault();
        foreach (var server in set.Servers)
            await set.AskAsync(server.Port, "operator", "CLIENT", "KILL", "USER", Drill.Writer);
        var cut = Stopwatch.GetTimestamp();
        await drill.RefusedAsync(nameof(RedisTimeoutException));
        if (drill.Ledger.Writes.Any(write => write.Began > cut && write.Error is null))
            throw new InvalidOperationException("Somebody came in by a certificate that has ended.");
        // What people need until they have a new one is theirs; from here on it is ours.
        drill.Fault();
        set.Folder.Renew(TimeSpan.FromDays(30));
        await set.ReloadAsync();
        await drill.GoesOnAsync();
        return await drill.EndAsync();
    }
}
