using Onggi.Caching;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

public sealed class SharedEndTests
{
    private readonly SharedEnd<int> _end = new();
    private readonly ManualTimeProvider _time = new();

    [Fact]
    public async Task Who_gives_up_leaves_nothing_behind_and_disturbs_nobody()
    {
        using var cancelled = new CancellationTokenSource();
        var stays = _end.WaitAsync(CancellationToken.None).AsTask();
        var leaves = _end.WaitAsync(cancelled.Token).AsTask();
        var late = _end.WaitAtMostAsync(TimeSpan.FromMilliseconds(200), _time, CancellationToken.None).AsTask();
        var withdrawn = _end.WaitAtMostAsync(TimeSpan.FromMinutes(1), _time, cancelled.Token).AsTask();
        Assert.Equal(4, _end.Waiting);

        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaves);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => withdrawn);
        _time.Advance(TimeSpan.FromMilliseconds(200));
        await late;

        Assert.Equal((1, false), (_end.Waiting, _end.HasCome));
        _end.Complete(7);
        Assert.Equal(7, await stays);
        Assert.Equal(0, _end.Waiting);
    }

    [Fact]
    public async Task All_are_let_go_by_the_first_end_and_who_comes_later_at_once()
    {
        var waiting = Enumerable.Range(0, 50).Select(_ => _end.WaitAsync(CancellationToken.None).AsTask()).ToArray();

        _end.Complete(7);
        _end.Complete(8);
        _end.Fail(new InvalidOperationException("It has ended."));

        Assert.All(await Task.WhenAll(waiting), static result => Assert.Equal(7, result));
        Assert.Equal(7, await _end.WaitAsync(CancellationToken.None));
        await _end.WaitAtMostAsync(TimeSpan.Zero, _time, CancellationToken.None);
    }

    [Fact]
    public void They_are_let_go_in_the_order_in_which_they_came() =>
        // There nothing passes through the thread pool, which knows no order.
        CacheWorld.Run(_ =>
        {
            var order = new List<int>();
            var waiting = Enumerable.Range(0, 50).Select(WaitAsync).ToArray();

            _end.Complete(7);

            Assert.All(waiting, static one => Assert.True(one.IsCompletedSuccessfully));
            Assert.Equal(Enumerable.Range(0, 50), order);

            async Task WaitAsync(int number)
            {
                await _end.WaitAsync(CancellationToken.None);
                order.Add(number);
            }
        });

    [Fact]
    public async Task A_failure_goes_to_all_and_to_nobody_who_only_waits_for_the_end()
    {
        var first = _end.WaitAsync(CancellationToken.None).AsTask();
        var only = _end.WaitAtMostAsync(TimeSpan.FromMinutes(1), _time, CancellationToken.None).AsTask();

        _end.Fail(new InvalidOperationException("The loader's."));

        await only;
        foreach (var one in (Task[])[first, _end.WaitAsync(CancellationToken.None).AsTask()])
            Assert.Equal("The loader's.", (await Assert.ThrowsAsync<InvalidOperationException>(() => one)).Message);
    }
}
