using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.AspNetCore;
using Onggi.AspNetCore.WarmUp;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Web;

public sealed class WarmUpRoundsTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ManualTimeProvider _time = new();
    private readonly FakeMarks _marks;
    private readonly List<Replica> _replicas = [];

    public WarmUpRoundsTests() => _marks = new FakeMarks(_time);

    public async ValueTask DisposeAsync()
    {
        foreach (var replica in _replicas)
            await replica.DisposeAsync();
    }

    [Fact]
    public async Task Of_two_replicas_one_warms_an_empty_Redis()
    {
        var (one, other) = (Start(), Start());

        await MarkedAsync();
        await LookedAsync(_marks.Looks + 2);

        Assert.Equal(1, one.Runs + other.Runs);
        Assert.Equal(1, _marks.Claims);
    }

    [Fact]
    public async Task What_was_warmed_before_the_start_is_left_alone()
    {
        await Start().StopAsync(MarkedAsync);
        var later = Start();

        await LookedAsync(3);

        Assert.Equal(0, later.Runs);
    }

    [Fact]
    public async Task Redis_that_came_back_empty_is_warmed_as_soon_as_word_comes()
    {
        var (one, other) = (Start(), Start());
        await MarkedAsync();

        _marks.Empty();
        one.Rounds.Wake();
        other.Rounds.Wake();

        // The clock stands still: nothing but the word can have done it.
        await UntilAsync(() => _marks.Mark("products") is not null);
        Assert.Equal(2, one.Runs + other.Runs);
    }

    [Fact]
    public async Task Redis_that_came_back_with_its_data_is_left_alone()
    {
        var one = Start();
        await MarkedAsync();

        var looks = _marks.Looks;
        one.Rounds.Wake();
        await UntilAsync(() => _marks.Looks > looks);

        Assert.Equal(1, one.Runs);
    }

    [Fact]
    public async Task Redis_emptied_in_the_middle_of_a_run_is_warmed_again_from_the_beginning()
    {
        var one = Start(held: true);
        await UntilAsync(() => one.Runs == 1);

        _marks.Empty();
        one.Rounds.Wake();
        one.Release();

        await MarkedAsync(advance: true);
        Assert.Equal(2, one.Runs);
    }

    [Fact]
    public async Task Word_that_comes_while_it_is_looking_is_not_lost()
    {
        var one = Start(held: true);
        await UntilAsync(() => one.Runs == 1);
        one.Rounds.Wake();
        var looks = _marks.Looks;

        one.Release();

        // The clock stands still: nothing but the word can make it look once more.
        await MarkedAsync();
        await UntilAsync(() => _marks.Looks > looks);
        Assert.Equal(1, one.Runs);
    }

    [Fact]
    public async Task Lost_word_is_made_up_for_within_a_minute()
    {
        var one = Start();
        await MarkedAsync();
        await SettledAsync();

        _marks.Empty();
        var began = _time.GetUtcNow();
        // In steps: the wait for the next look may not have begun yet, and a single leap would fall before it.
        await MarkedAsync(advance: true);

        Assert.True(one.Runs >= 2);
        Assert.True(_time.GetUtcNow() - began <= 60 * WarmUpRounds.LookAgain, $"{_time.GetUtcNow() - began}");
    }

    [Fact]
    public async Task A_long_run_keeps_its_claim()
    {
        var one = Start(held: true);
        await UntilAsync(() => one.Runs == 1);
        var other = Start();
        await LookedAsync(2);

        await AdvanceAsync(5 * WarmUpRounds.Claim);

        Assert.NotNull(_marks.Holder("products"));
        Assert.Equal(0, other.Runs);
        one.Release();
        await MarkedAsync();
    }

    [Fact]
    public async Task When_the_one_who_runs_dies_another_takes_over_when_the_claim_has_ended()
    {
        // Whoever has this claim does not lengthen it.
        await _marks.ClaimAsync("products", "dead", WarmUpRounds.Claim, 0, CancellationToken.None);
        var other = Start();
        await LookedAsync(2);
        Assert.Equal(0, other.Runs);

        await AdvanceAsync(WarmUpRounds.Claim + Second);

        await MarkedAsync();
        Assert.Equal(1, other.Runs);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_run_that_fails_leaves_no_mark_and_is_tried_again_later(bool throws)
    {
        var one = Start(run: run =>
            run > 1 ? Replica.Done
            : throws ? throw new InvalidOperationException("The database is away.")
            : Replica.Done with { Stored = 0, Failed = 3 }
        );
        await UntilAsync(() => one.Runs == 1 && _time.WaitingTimers > 0);
        Assert.Null(_marks.Mark("products"));

        // Nobody hammers a source that is away.
        await AdvanceAsync(WarmUpRounds.Claim - Second);
        Assert.Equal(1, one.Runs);

        await MarkedAsync(advance: true);
        Assert.Equal(2, one.Runs);
    }

    [Fact]
    public async Task A_replica_that_stops_in_the_middle_gives_its_claim_back()
    {
        var one = Start(held: true);
        await UntilAsync(() => one.Runs == 1);

        await one.StopAsync();

        Assert.Null(_marks.Holder("products"));
        Assert.Null(_marks.Mark("products"));
    }

    [Fact]
    public async Task While_Redis_is_away_it_is_asked_again_and_again()
    {
        _marks.Failing = new RedisConnectionException("It is away.", Sent.No);
        var one = Start();
        await LookedAsync(1);
        await UntilAsync(() => _time.WaitingTimers > 0);
        _marks.Failing = null;

        await AdvanceAsync(WarmUpRounds.AskAgain);

        await MarkedAsync();
        Assert.Equal(1, one.Runs);
    }

    [Fact]
    public async Task A_run_that_somebody_asked_for_is_waited_for_and_does_not_count()
    {
        // It may have begun before Redis was emptied: what it stored first is gone.
        var one = Start(held: true, begin: false);
        var (asked, _) = one.WarmUps.Start("products")!.Value;
        one.Begin();
        await UntilAsync(() => _marks.Claims == 1);

        one.Release();

        await asked.Completion;
        await MarkedAsync();
        Assert.Equal(2, one.Runs);
    }

    [Fact]
    public async Task A_daily_round_runs_once_a_day_in_one_replica()
    {
        // It is noon; the round of this morning is made up for, then they come at four.
        var (one, other) = (Start(Daily), Start(Daily));
        await MarkedAsync();
        Assert.Equal(1, one.Runs + other.Runs);

        for (var day = 2; day <= 4; day++)
        {
            await AdvanceAsync(TimeSpan.FromHours(15));
            Assert.Equal(day - 1, one.Runs + other.Runs);
            await AdvanceAsync(TimeSpan.FromHours(9));
            await UntilAsync(() => one.Runs + other.Runs == day);
        }

        Assert.Equal(4, _marks.Claims);
    }

    [Fact]
    public async Task Without_WhenEmpty_it_runs_at_its_time_only()
    {
        var one = Start(
            new OnggiWarmUpOptions
            {
                WhenEmpty = false,
                Every = TimeSpan.FromHours(1),
                Spread = TimeSpan.Zero,
            }
        );
        await UntilAsync(() => _time.WaitingTimers > 0);
        await AdvanceAsync(TimeSpan.FromMinutes(59));
        Assert.Equal(0, one.Runs);

        await AdvanceAsync(TimeSpan.FromMinutes(1));
        await MarkedAsync();
        _marks.Empty();
        one.Rounds.Wake();
        await AdvanceAsync(TimeSpan.FromMinutes(59));
        Assert.Equal(1, one.Runs);

        await AdvanceAsync(TimeSpan.FromMinutes(1));
        await UntilAsync(() => one.Runs == 2);
    }

    [Theory]
    [InlineData(60.0, 4, 0, "both")]
    [InlineData(0.5, null, 0, "Every")]
    [InlineData(3600.0, null, 1801, "Spread")]
    [InlineData(null, 4, -1, "Spread")]
    public void Options_that_mean_nothing_are_refused_in_words(double? every, int? at, double spread, string word)
    {
        var mistake = Assert.Throws<ArgumentException>(() =>
            new ServiceCollection().AddOnggiWarmUp(
                "products",
                (_, _, _) => new(Replica.Done),
                options =>
                {
                    options.Every = every is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
                    options.DailyAt = at is { } hour ? new TimeOnly(hour, 0) : null;
                    options.Spread = TimeSpan.FromSeconds(spread);
                }
            )
        );

        Assert.Contains(word, mistake.Message, StringComparison.Ordinal);
        Assert.Contains("'products'", mistake.Message, StringComparison.Ordinal);
    }

    private static OnggiWarmUpOptions Daily => new() { DailyAt = new TimeOnly(4, 0), Spread = TimeSpan.Zero };

    private Replica Start(OnggiWarmUpOptions? options = null, bool held = false, bool begin = true, Func<int, WarmReport>? run = null)
    {
        var replica = new Replica(options ?? new OnggiWarmUpOptions(), _marks, _time, held, run ?? (static _ => Replica.Done));
        _replicas.Add(replica);
        if (begin)
            replica.Begin();
        return replica;
    }

    private async Task MarkedAsync() => await MarkedAsync(advance: false);

    private Task MarkedAsync(bool advance) =>
        UntilAsync(() =>
        {
            if (advance)
                _time.Advance(Second);
            return _marks.Mark("products") is not null;
        });

    private Task LookedAsync(int looks) =>
        UntilAsync(() =>
        {
            if (_marks.Looks < looks && _replicas.Count > 0)
            {
                foreach (var replica in _replicas)
                    replica.Rounds.Wake();
            }

            return _marks.Looks >= looks;
        });

    // In small steps, and with room for the loops to arm their next timers in between.
    private async Task AdvanceAsync(TimeSpan by)
    {
        var step = by / 40 > Second ? by / 40 : Second;
        for (var done = TimeSpan.Zero; done < by; done += step)
        {
            await SettledAsync();
            // A step that is longer than a renewal must not fall into the middle of a run: its claim would end.
            if (step >= WarmUpRounds.Claim / 3)
                await UntilAsync(() => _marks.Holder("products") is null);
            _time.Advance(by - done < step ? by - done : step);
        }

        await SettledAsync();
    }

    // Each loop waits by one timer, and each held run has one more that keeps its claim.
    private Task SettledAsync() => UntilAsync(() => _time.WaitingTimers >= _replicas.Count(static one => one.IsRunning));

    private static async Task UntilAsync(Func<bool> isSo)
    {
        var clock = TimeProvider.System;
        var began = clock.GetTimestamp();
        while (!isSo())
        {
            Assert.True(clock.GetElapsedTime(began) < Patience, "it does not happen");
            await Task.Delay(1);
        }
    }

    /// <summary>One process of the service.</summary>
    private sealed class Replica : IHostApplicationLifetime, IAsyncDisposable
    {
        public static readonly WarmReport Done = new("products", 3, 0, TimeSpan.FromSeconds(1));

        private readonly CancellationTokenSource _stop = new();
        private readonly TaskCompletionSource _held = new();
        private readonly ServiceProvider _services = new ServiceCollection().BuildServiceProvider();
        private Task _running = Task.CompletedTask;
        private int _runs;

        public Replica(OnggiWarmUpOptions options, IWarmMarks marks, TimeProvider time, bool held, Func<int, WarmReport> run)
        {
            if (!held)
                _held.SetResult();
            var registration = new WarmUpRegistration(
                "products",
                async (_, _, cancellation) =>
                {
                    var number = Interlocked.Increment(ref _runs);
                    await _held.Task.WaitAsync(cancellation);
                    return run(number);
                },
                options
            );
            WarmUps = new WarmUps(
                [registration],
                _services.GetRequiredService<IServiceScopeFactory>(),
                this,
                time,
                NullLogger<WarmUps>.Instance
            );
            Rounds = new WarmUpRounds(registration, "shop", WarmUps, marks, time, NullLogger.Instance);
        }

        public WarmUps WarmUps { get; }

        public WarmUpRounds Rounds { get; }

        public int Runs => Volatile.Read(ref _runs);

        public bool IsRunning => !_running.IsCompleted;

        public CancellationToken ApplicationStarted => CancellationToken.None;

        public CancellationToken ApplicationStopping => _stop.Token;

        public CancellationToken ApplicationStopped => CancellationToken.None;

        public void Begin() => _running = Rounds.RunAsync(_stop.Token);

        public void Release() => _held.TrySetResult();

        public async Task StopAsync(Func<Task>? after = null)
        {
            if (after is not null)
                await after();
            await _stop.CancelAsync();
            await _running.WaitAsync(Patience);
        }

        public void StopApplication() => _stop.Cancel();

        public async ValueTask DisposeAsync()
        {
            Release();
            await StopAsync();
            await _services.DisposeAsync();
            _stop.Dispose();
        }
    }
}
