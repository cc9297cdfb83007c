using System.Diagnostics;

namespace Onggi.Testing;

/// <summary>
/// What calls allocate once the runtime has compiled them for good. Until then they box what they need not box, and how long that takes depends on the
/// machine and its load; so the calls are made again and again, and one round has to be clean. What a call always allocates is in every round.
/// </summary>
public static class Allocation
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(20);

    /// <summary>Returns when the calls allocated nothing on their thread.</summary>
    /// <exception cref="Xunit.Sdk.TrueException">They always did.</exception>
    public static Task NoneAsync(Action calls) =>
        AtMostAsync(
            0,
            () =>
            {
                var before = GC.GetAllocatedBytesForCurrentThread();
                calls();
                return Task.FromResult<double>(GC.GetAllocatedBytesForCurrentThread() - before);
            }
        );

    /// <summary>Returns when a round of so many calls allocated at most so many bytes per call, on all threads of the process together.</summary>
    /// <exception cref="Xunit.Sdk.TrueException">They always allocated more.</exception>
    public static Task AtMostAsync(double perCall, int calls, Func<int, Task> round) =>
        AtMostAsync(
            perCall,
            async () =>
            {
                var before = GC.GetTotalAllocatedBytes(precise: true);
                await round(calls);
                return (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)calls;
            }
        );

    private static async Task AtMostAsync(double most, Func<Task<double>> round)
    {
        var least = double.MaxValue;
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(Between))
        {
            least = Math.Min(least, await round());
            if (least <= most)
                return;
            Assert.True(
                watch.Elapsed < Bound,
                $"The best of all rounds in {Bound.TotalSeconds} s allocated {least} bytes, not at most {most}."
            );
        }
    }
}
