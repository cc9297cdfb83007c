using System.Diagnostics;

namespace Onggi.Benchmarks.Coherence;

/// <summary>What happens to a fleet while it reads and writes.</summary>
/// <param name="Name">The beginning of its rows.</param>
/// <param name="Faults">What is done to it; <c>null</c> for nothing.</param>
internal sealed record Scenario(string Name, Func<Fleet, FaultClock, Task>? Faults = null)
{
    /// <summary>What runs in it.</summary>
    public Subject Subject { get; init; }

    /// <summary>Whether some loads take longer than values live.</summary>
    public bool IsSlow { get; init; }

    /// <summary>Who else writes.</summary>
    public Strangers Strangers { get; init; }

    /// <summary>Whether its nodes need processes of their own, because whole processes are stopped.</summary>
    public bool IsAlone { get; init; }

    /// <summary>Whether it shows what a cache without the protocol does, or what no cache can do, or that the checker is right: it says nothing of the cache.</summary>
    public bool IsControl => Name.StartsWith("control.", StringComparison.Ordinal);

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Scenario> All { get; } =
    [
        new("plain"),
        new("cut", CutAsync),
        new("half-open", HalfOpenAsync),
        new("restart", RestartAsync),
        new("stopped", StopAsync) { IsAlone = true },
        new("slow-loader") { IsSlow = true },
        new("flushall", FlushAsync),
        new("foreign") { Strangers = Strangers.SetAndUnlink },
        new("control.naive") { Subject = Subject.Naive },
        new("control.naive-cut", CutAsync) { Subject = Subject.Naive },
        new("control.lease", StopAsync)
        {
            Subject = Subject.Lease,
            IsAlone = true,
            Strangers = Strangers.SetAndUnlink,
        },
        new("control.foreign-del") { Strangers = Strangers.BareDelete },
    ];

    // Nobody tells the node of changes for four seconds, while its commands still arrive.
    private static Task CutAsync(Fleet fleet, FaultClock clock) =>
        clock.RepeatAsync(
            TimeSpan.FromSeconds(4),
            TimeSpan.FromSeconds(4),
            async (turn, over) =>
            {
                var proxy = fleet.Proxies[turn % fleet.Nodes];
                proxy.CutHearing();
                await over;
                proxy.Mend();
            }
        );

    // Each of the four kinds in turn: only what hears, or all; both ways, or only the replies. Nothing tells the node; it must find out.
    private static Task HalfOpenAsync(Fleet fleet, FaultClock clock) =>
        clock.RepeatAsync(
            TimeSpan.FromSeconds(1),
            TimeSpan.FromSeconds(3.5),
            (turn, over) =>
            {
                fleet.Proxies[turn % fleet.Nodes].Silence(all: turn % 4 >= 2, replies: turn % 2 == 1);
                return over;
            }
        );

    private static Task RestartAsync(Fleet fleet, FaultClock clock) =>
        clock.RepeatAsync(
            TimeSpan.FromSeconds(1),
            TimeSpan.FromSeconds(5),
            async (_, over) =>
            {
                await fleet.Server.KillAsync();
                await over;
                await fleet.Server.RestartAsync(cancellationToken: clock.Stop);
            }
        );

    // For three seconds, or for a little more than the bound.
    private static Task StopAsync(Fleet fleet, FaultClock clock) =>
        clock.RepeatAsync(
            TimeSpan.FromSeconds(3),
            TimeSpan.FromSeconds(2),
            async (turn, over) =>
            {
                await using var pause = fleet.Workers[turn % fleet.Nodes].Pause();
                await (turn % 2 == 0 ? over : Task.Delay(OnggiSubject.MaxStaleness * 1.5, clock.Stop));
            }
        );

    private static Task FlushAsync(Fleet fleet, FaultClock clock) =>
        clock.RepeatAsync(TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(600), (_, _) => fleet.Server.CommandAsync("FLUSHALL"));
}

/// <summary>When faults happen: again and again, and the last time across the last write, so that what is lost then is not mended by later writes.</summary>
internal sealed class FaultClock(TimeSpan writes, CancellationToken stop)
{
    /// <summary>The most that the last fault outlasts the writes.</summary>
    public static readonly TimeSpan Overhang = TimeSpan.FromSeconds(2);

    public CancellationToken Stop => stop;

    /// <summary>Runs a fault with pauses. It is given its turn, and a task that ends when its time is over.</summary>
    public async Task RepeatAsync(TimeSpan lasts, TimeSpan pause, Func<int, Task, Task> fault)
    {
        // In a short run the faults are short, too.
        lasts = lasts < writes * 0.6 ? lasts : writes * 0.6;
        var period = lasts + pause;
        var last = writes - (lasts / 2);
        var began = Stopwatch.GetTimestamp();
        // Counted back from the last one.
        var turns = (int)((last - (lasts / 2)) / period);
        for (var turn = 0; turn <= turns; turn++)
        {
            var due = last - ((turns - turn) * period) - Stopwatch.GetElapsedTime(began);
            if (due > TimeSpan.Zero)
                await Task.Delay(due, stop);
            await fault(turn, Task.Delay(lasts, stop));
        }
    }
}
