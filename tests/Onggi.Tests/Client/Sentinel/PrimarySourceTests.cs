using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;
using Onggi.Client.Routing.Sentinel;
using Onggi.Testing;

namespace Onggi.Tests.Client.Sentinel;

public sealed class PrimarySourceTests
{
    [Fact]
    public async Task Who_asks_while_another_begins_finds_those_who_can_be_asked()
    {
        using var stop = new CancellationTokenSource();
        await using var source = new Beginning(stop.Token);

        source.Start();
        await source.Other!.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.False(source.WasAskedTooEarly);
    }

    // Another link asks where the primary is, while the first one's question makes the connections.
    private sealed class Beginning(CancellationToken stop)
        : PrimarySource(NullLogger.Instance, new ManualTimeProvider(), TimeSpan.FromSeconds(10))
    {
        private volatile bool _hasBegun;

        public Task? Other { get; private set; }

        public bool WasAskedTooEarly { get; private set; }

        protected override IReadOnlyList<Peer> Peers
        {
            get
            {
                WasAskedTooEarly |= !_hasBegun;
                return [];
            }
        }

        protected override void Begin()
        {
            // It has to wait for us: only who does not, ends within the moment that it is given.
            Other = Task.Factory.StartNew(
                () => _ = FindAsync(stop).AsTask(),
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default
            );
            Other.Wait(TimeSpan.FromMilliseconds(300), CancellationToken.None);
            _hasBegun = true;
        }

        protected override Task<Answer> AskAsync(Peer peer) => throw new NotSupportedException();

        protected override bool IsGood(Answer answer) => true;

        protected override void OnTick() { }

        protected override RedisConnectionException NobodyKnows(IReadOnlyList<Answer> answers) => throw new NotSupportedException();

        public override string ToString() => "the primary";
    }
}
