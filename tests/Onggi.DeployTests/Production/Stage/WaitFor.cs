using System.Diagnostics;

namespace Onggi.DeployTests.Production;

/// <summary>Waits for what nobody tells of: looks again and again, and not for ever.</summary>
internal static class WaitFor
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(50);

    /// <exception cref="TimeoutException">It was never so.</exception>
    public static async Task TrueAsync(Func<Task<bool>> condition, string what)
    {
        for (var watch = Stopwatch.StartNew(); !await condition(); await Task.Delay(Between))
            if (watch.Elapsed > Patience)
                throw new TimeoutException($"For {Patience.TotalSeconds} s it was not so that {what}.");
    }
}
