using System.Diagnostics;

namespace Onggi.Benchmarks;

/// <summary>Concurrent callers, each of whom asks one thing after the other until the time is over.</summary>
internal static class CallerLoops
{
    /// <summary>Nanoseconds per operation: the time that passed, divided by how many there were.</summary>
    /// <param name="callers">How many.</param>
    /// <param name="ask">Given the number of the caller and of its turn.</param>
    /// <param name="slice">For how long.</param>
    public static Task<double> TimeAsync<T>(int callers, Func<int, long, ValueTask<T>> ask, TimeSpan slice) =>
        NanosecondsAsync(() => AskAsync(callers, ask, Duel.EndOf(slice)));

    /// <inheritdoc cref="TimeAsync{T}"/>
    public static Task<double> TimeAsync(int callers, Func<int, ValueTask> ask, TimeSpan slice)
    {
        var end = Duel.EndOf(slice);
        return NanosecondsAsync(() =>
            SumAsync(
                callers,
                async caller =>
                {
                    var asked = 0L;
                    for (; Stopwatch.GetTimestamp() < end; asked++)
                        await ask(caller);
                    return asked;
                }
            )
        );
    }

    /// <summary>Operations per second.</summary>
    /// <inheritdoc cref="TimeAsync{T}"/>
    public static async Task<double> RateAsync<T>(int callers, Func<int, long, ValueTask<T>> ask, TimeSpan slice) =>
        1e9 / await TimeAsync(callers, ask, slice);

    /// <summary>Bytes that the process allocated, per operation.</summary>
    /// <inheritdoc cref="TimeAsync{T}"/>
    public static async Task<double> BytesAsync<T>(int callers, Func<int, long, ValueTask<T>> ask, TimeSpan slice)
    {
        var before = GC.GetTotalAllocatedBytes(precise: true);
        var asked = await AskAsync(callers, ask, Duel.EndOf(slice));
        return (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)asked;
    }

    private static Task<long> AskAsync<T>(int callers, Func<int, long, ValueTask<T>> ask, long end) =>
        SumAsync(
            callers,
            async caller =>
            {
                var asked = 0L;
                for (; Stopwatch.GetTimestamp() < end; asked++)
                    await ask(caller, asked);
                return asked;
            }
        );

    private static async Task<double> NanosecondsAsync(Func<Task<long>> asking)
    {
        var began = Stopwatch.GetTimestamp();
        var asked = await asking();
        return Stopwatch.GetElapsedTime(began).TotalNanoseconds / asked;
    }

    private static async Task<long> SumAsync(int callers, Func<int, Task<long>> loop) =>
        (await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(() => loop(caller))))).Sum();
}
