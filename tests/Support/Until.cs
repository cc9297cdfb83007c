using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Onggi.Testing;

/// <summary>Waits for what nobody tells of: looks again and again, and not for ever.</summary>
public static class Until
{
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(5);

    /// <summary>Returns when it is so.</summary>
    /// <exception cref="Xunit.Sdk.TrueException">It was not so within the bound; the message says what. A failure of the test, as a mutant's test expects it.</exception>
    public static Task TrueAsync(
        Func<bool> condition,
        [CallerArgumentExpression(nameof(condition))] string what = "",
        TimeSpan? bound = null
    ) => TrueAsync(() => Task.FromResult(condition()), what, bound);

    /// <inheritdoc cref="TrueAsync(Func{bool}, string, TimeSpan?)"/>
    public static async Task TrueAsync(
        Func<Task<bool>> condition,
        [CallerArgumentExpression(nameof(condition))] string what = "",
        TimeSpan? bound = null
    )
    {
        var most = bound ?? Usual;
        for (var watch = Stopwatch.StartNew(); !await condition(); await Task.Delay(Between))
            Assert.True(watch.Elapsed < most, $"For {most.TotalSeconds} s it was not so that {what}.");
    }
}
