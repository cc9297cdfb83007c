using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;
using Onggi.Client.Routing;
using Onggi.Client.Transport;
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

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 1)]
    public async Task Links_other_than_the_one_for_the_commands_of_all_try_again_when_that_is_back(bool isThatOne, int attempts)
    {
        var network = new Refusing();
        var server = new FixedServer(new RedisAddress("nowhere", 1));
        var hour = TimeSpan.FromHours(1);
        var options = new RedisClientOptions
        {
            Transports = network,
            ReconnectPause = hour,
            MaxReconnectPause = hour,
        };
        var settings = new LinkSettings(server, isThatOne ? LinkPurpose.Commands : LinkPurpose.Bulk) { Counters = new PumpCounters() };
        await using var link = new RedisLink(options, settings, NullLogger.Instance, new ManualTimeProvider());
        link.Start();
        await network.Attempted(1).WaitAsync(Bound);

        server.TellBack();

        await network.Attempted(attempts).WaitAsync(Bound);
        Assert.Equal(attempts, network.Attempts);
    }

    private sealed class Refusing : ITransportFactory
    {
        private readonly TaskCompletionSource[] _attempted = [NewSignal(), NewSignal(), NewSignal()];
        private int _attempts;

        public int Attempts => Volatile.Read(ref _attempts);

        public Task Attempted(int times) => _attempted[times - 1].Task;

        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
        {
            _attempted[Interlocked.Increment(ref _attempts) - 1].TrySetResult();
            return ValueTask.FromException<ITransport>(new IOException("refused"));
        }

        private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
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
