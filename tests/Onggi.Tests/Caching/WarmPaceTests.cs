using Onggi.Caching;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

public sealed class WarmPaceTests
{
    private readonly ManualTimeProvider _time = new();

    [Theory]
    [InlineData(null, 256)]
    [InlineData(1, 1)]
    [InlineData(100, 10)]
    [InlineData(1_000_000, 256)]
    public void A_batch_is_a_tenth_of_a_second_s_worth(int? perSecond, int batch) =>
        Assert.Equal(batch, new WarmPace(perSecond, 256, _time).Batch);

    [Fact]
    public void Without_a_rate_nobody_waits()
    {
        var pace = new WarmPace(null, 256, _time);

        for (var i = 0; i < 1000; i++)
            Assert.True(pace.WaitAsync(256, CancellationToken.None).AsTask().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Each_batch_is_paid_for_before_the_next()
    {
        var pace = new WarmPace(100, 256, _time);
        await pace.WaitAsync(10, CancellationToken.None);

        var second = pace.WaitAsync(10, CancellationToken.None).AsTask();
        _time.Advance(TimeSpan.FromMilliseconds(99));
        Assert.False(second.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        await second.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_slow_source_saves_nothing_up()
    {
        var pace = new WarmPace(100, 256, _time);
        await pace.WaitAsync(10, CancellationToken.None);
        _time.Advance(TimeSpan.FromMinutes(1));
        await pace.WaitAsync(10, CancellationToken.None);

        Assert.False(pace.WaitAsync(10, CancellationToken.None).AsTask().IsCompleted);
    }

    [Fact]
    public async Task Who_is_cancelled_waits_no_longer()
    {
        using var cancel = new CancellationTokenSource();
        var pace = new WarmPace(1, 256, _time);
        await pace.WaitAsync(1, cancel.Token);
        var second = pace.WaitAsync(1, cancel.Token).AsTask();
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void A_rate_below_one_is_refused(int perSecond) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new WarmOptions { EntriesPerSecond = perSecond });
}
