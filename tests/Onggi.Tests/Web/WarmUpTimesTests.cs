using Onggi.AspNetCore;
using Onggi.AspNetCore.WarmUp;

namespace Onggi.Tests.Web;

public class WarmUpTimesTests
{
    private static readonly TimeZoneInfo Seoul = TimeZoneInfo.CreateCustomTimeZone("seoul", TimeSpan.FromHours(9), "Seoul", "Seoul");

    // Clocks go from 2:00 to 3:00 on 29 March and from 3:00 back to 2:00 on 25 October 2026.
    private static readonly TimeZoneInfo Summer = TimeZoneInfo.CreateCustomTimeZone(
        "summer",
        TimeSpan.FromHours(1),
        "Summer",
        "Winter",
        "Summer",
        [
            TimeZoneInfo.AdjustmentRule.CreateAdjustmentRule(
                DateTime.MinValue.Date,
                DateTime.MaxValue.Date,
                TimeSpan.FromHours(1),
                TimeZoneInfo.TransitionTime.CreateFloatingDateRule(new DateTime(1, 1, 1, 2, 0, 0), 3, 5, DayOfWeek.Sunday),
                TimeZoneInfo.TransitionTime.CreateFloatingDateRule(new DateTime(1, 1, 1, 3, 0, 0), 10, 5, DayOfWeek.Sunday)
            ),
        ]
    );

    [Fact]
    public void Without_a_rhythm_there_is_one_round_and_no_next()
    {
        var times = new WarmUpTimes(new OnggiWarmUpOptions(), "a:b");

        Assert.Equal(WarmUpTimes.Once, times.Due(At("2026-01-01T12:00Z")));
        Assert.Null(times.UntilNext(At("2026-01-01T12:00Z")));
    }

    [Theory]
    [InlineData("2026-01-01T18:59:59Z", "2025-12-31T19:00Z", 1)]
    [InlineData("2026-01-01T19:00:00Z", "2026-01-01T19:00Z", 86_400)]
    [InlineData("2026-01-02T18:00:00Z", "2026-01-01T19:00Z", 3_600)]
    public void A_daily_round_comes_at_its_time_in_its_zone(string now, string due, int secondsToNext)
    {
        var times = Daily(4, Seoul);

        Assert.Equal(At(due).ToUnixTimeMilliseconds(), times.Due(At(now)));
        Assert.Equal(TimeSpan.FromSeconds(secondsToNext), times.UntilNext(At(now)));
    }

    [Fact]
    public void A_time_that_the_clock_change_leaves_out_comes_as_much_later()
    {
        var times = Daily(2.5, Summer);

        Assert.Equal(TimeSpan.FromMinutes(30), times.UntilNext(At("2026-03-29T01:00Z")));
    }

    [Fact]
    public void A_time_that_comes_twice_counts_once()
    {
        var times = Daily(2.5, Summer);

        var rounds = Enumerable.Range(0, 48).Select(i => times.Due(At("2026-10-24T23:00Z").AddMinutes(i * 10))).Distinct();

        Assert.Equal([At("2026-10-24T00:30Z"), At("2026-10-25T01:30Z")], rounds.Select(DateTimeOffset.FromUnixTimeMilliseconds));
    }

    [Fact]
    public void Every_day_of_two_years_has_one_round()
    {
        var times = Daily(2.5, Summer);
        var rounds = new HashSet<long>();
        for (var now = At("2026-01-01T12:00Z"); now < At("2028-01-01T12:00Z"); now = now.AddMinutes(30))
        {
            rounds.Add(times.Due(now));
            Assert.InRange(times.UntilNext(now)!.Value, TimeSpan.FromTicks(1), TimeSpan.FromHours(25));
            Assert.True(times.Due(now + times.UntilNext(now)!.Value) > times.Due(now));
        }

        Assert.Equal(731, rounds.Count);
    }

    [Fact]
    public void A_period_is_counted_from_one_moment_by_all()
    {
        var times = new WarmUpTimes(new OnggiWarmUpOptions { Every = TimeSpan.FromHours(6), Spread = TimeSpan.Zero }, "a:b");

        Assert.Equal(At("2026-01-01T06:00Z").ToUnixTimeMilliseconds(), times.Due(At("2026-01-01T11:59Z")));
        Assert.Equal(TimeSpan.FromMinutes(1), times.UntilNext(At("2026-01-01T11:59Z")));
        Assert.Equal(At("2026-01-01T12:00Z").ToUnixTimeMilliseconds(), times.Due(At("2026-01-01T12:00Z")));
    }

    [Fact]
    public void The_delay_is_within_the_spread_and_the_same_for_all_replicas_of_one_service()
    {
        var options = new OnggiWarmUpOptions { DailyAt = new TimeOnly(4, 0), Spread = TimeSpan.FromMinutes(30) };
        var noon = At("2026-01-01T12:00Z");
        var delays = Enumerable
            .Range(0, 50)
            .Select(i => new WarmUpTimes(options, $"service-{i}:products").UntilNext(noon)!.Value - TimeSpan.FromHours(16))
            .ToList();

        Assert.All(delays, delay => Assert.InRange(delay, TimeSpan.Zero, TimeSpan.FromMinutes(30)));
        Assert.True(delays.Max() - delays.Min() > TimeSpan.FromMinutes(15), "they are spread");
        Assert.Equal(
            new WarmUpTimes(options, "service-7:products").UntilNext(noon),
            new WarmUpTimes(options, "service-7:products").UntilNext(noon)
        );
    }

    private static WarmUpTimes Daily(double hour, TimeZoneInfo zone) =>
        new(
            new OnggiWarmUpOptions
            {
                DailyAt = TimeOnly.FromTimeSpan(TimeSpan.FromHours(hour)),
                TimeZone = zone,
                Spread = TimeSpan.Zero,
            },
            "a:b"
        );

    private static DateTimeOffset At(string moment) =>
        DateTimeOffset.Parse(
            moment,
            System.Globalization.CultureInfo.InvariantCulture,
            System.Globalization.DateTimeStyles.AssumeUniversal
        );
}
