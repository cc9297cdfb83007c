using System.Diagnostics;
using Onggi.Scripts;
using Onggi.Testing;

namespace Onggi.Tests.Scripts;

public sealed class RepeatedWorkTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Asked_for_in_the_moment_in_which_it_ends_it_is_done_once_more()
    {
        var (asked, seen) = (0, 0);
        var work = new RepeatedWork(() =>
        {
            Volatile.Write(ref seen, Volatile.Read(ref asked));
            return Task.CompletedTask;
        });

        // Each asking comes a moment after the time before has done its work, each time a little later: one of them in the moment in which it ends.
        // On a thread of its own, which takes none from the work.
        await Task.Factory.StartNew(
            () =>
            {
                for (var i = 1; i <= 20_000; i++)
                {
                    Volatile.Write(ref asked, i);
                    work.Ask();
                    var patience = Stopwatch.StartNew();
                    for (var spins = 0; Volatile.Read(ref seen) < i; spins++)
                    {
                        Assert.True(patience.Elapsed < Bound, $"The asking {i} was lost.");
                        if (spins > 10_000)
                            Thread.Yield();
                    }

                    Thread.SpinWait(i % 64);
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
        await work.EndAsync().WaitAsync(Bound);
    }

    [Fact]
    public async Task What_is_asked_for_meanwhile_is_one_time_and_never_two_at_once()
    {
        var (running, most, times) = (0, 0, 0);
        var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var work = new RepeatedWork(async () =>
        {
            most = Math.Max(most, Interlocked.Increment(ref running));
            times++;
            await hold.Task;
            Interlocked.Decrement(ref running);
            throw new InvalidOperationException("It ends this time only.");
        });

        work.Ask();
        await Until.TrueAsync(() => Volatile.Read(ref running) == 1);
        Parallel.For(0, 100, _ => work.Ask());
        hold.SetResult();
        await work.EndAsync().WaitAsync(Bound);

        Assert.Equal((1, 2), (most, times));
    }
}
