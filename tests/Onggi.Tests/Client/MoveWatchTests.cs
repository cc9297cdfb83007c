using Onggi.Client.Routing;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>What ends a link's pause before the next attempt.</summary>
public sealed class MoveWatchTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_pause_ends_when_another_connection_to_the_server_stands()
    {
        var watch = new MoveWatch();
        using var attempt = new CancellationTokenSource();
        watch.Begin(attempt);
        watch.End();
        var pause = watch.PauseAsync(TimeSpan.FromHours(1), new ManualTimeProvider(), CancellationToken.None);
        Assert.False(pause.IsCompleted);

        watch.OnBack();

        Assert.True(await pause.WaitAsync(Bound));
    }

    [Fact]
    public async Task What_is_heard_during_an_attempt_that_fails_spares_the_pause_after_it_and_no_other()
    {
        var watch = new MoveWatch();
        var time = new ManualTimeProvider();
        using var attempt = new CancellationTokenSource();
        watch.Begin(attempt);
        watch.OnBack();
        watch.End();
        Assert.True(await watch.PauseAsync(TimeSpan.FromHours(1), time, CancellationToken.None).WaitAsync(Bound));

        watch.Begin(attempt);
        watch.End();
        var pause = watch.PauseAsync(TimeSpan.FromHours(1), time, CancellationToken.None);
        Assert.False(pause.IsCompleted);

        time.Advance(TimeSpan.FromHours(2));
        Assert.False(await pause.WaitAsync(Bound));
    }
}
