using Onggi.Caching;

namespace Onggi.Tests.Caching;

/// <summary>What a loader does with its token is its own matter.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class LoaderTokenTests
{
    [Fact]
    public void A_callback_of_the_loader_that_throws_is_not_told_to_the_caller_who_leaves() =>
        CacheWorld.Run(static world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            using var leave = new CancellationTokenSource();
            var left = node.Load("a", ThrowsWhenCancelledAsync, leave.Token);
            world.Settle();
            var waiting = other.Load("a", static _ => new("next"));
            world.Settle();

            leave.Cancel();
            world.Settle();

            Assert.True(left.IsCanceled);
            Assert.Equal("next", waiting.Result);
        });

    [Fact]
    public void A_callback_of_the_loader_that_throws_does_not_end_the_process_when_its_time_is_over() =>
        CacheWorld.Run(static world =>
        {
            var node = world.AddNode(static options => options.Defaults.LoaderTimeout = TimeSpan.FromSeconds(5));
            var read = node.Load("a", ThrowsWhenCancelledAsync);
            world.Settle();

            // On a timer's thread nobody could catch it.
            world.Pass(5_010);

            Assert.IsType<LoadTimeoutException>(read.Exception!.InnerException);
        });

    private static async ValueTask<string?> ThrowsWhenCancelledAsync(LoadContext context)
    {
        context.CancellationToken.Register(static () => throw new FormatException());
        await new TaskCompletionSource(Rt.Signals).Task;
        return "never";
    }
}
