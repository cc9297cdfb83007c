using System.Diagnostics;

namespace Onggi.ServerTests.Client.Sentinel;

/// <summary>Waits for what nobody tells of.</summary>
internal static class Until
{
    public static async Task TrueAsync(Func<Task<bool>> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(watch.Elapsed < Waiting.Bound, $"For {Waiting.Bound.TotalSeconds} s it was not so that {what}.");
            await Task.Delay(20);
        }
    }
}
