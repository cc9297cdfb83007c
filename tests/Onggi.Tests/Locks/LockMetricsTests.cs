using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Onggi.Batches;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Locks;

namespace Onggi.Tests.Locks;

public sealed class LockMetricsTests
{
    [Fact]
    public void The_meter_of_locks_has_the_documented_names_and_tags() =>
        Assert.Equal(
            [
                "onggi.lock.acquire.duration 0.25 s onggi.family=run onggi.outcome=acquired",
                "onggi.lock.leases 1 {lease} onggi.family=run",
                "onggi.lock.renewals 1 {renewal} onggi.family=run onggi.outcome=renewed",
                "onggi.lock.losses 1 {lease} onggi.family=run onggi.reason=expired",
                "onggi.lock.leases -1 {lease} onggi.family=run",
                "onggi.lock.held.duration 2 s onggi.family=run",
                "onggi.lock.waiting 1 {caller} onggi.family=run",
            ],
            Seen(
                LockMetrics.MeterName,
                meters =>
                {
                    var metrics = new LockMetrics(meters);
                    return () =>
                    {
                        metrics.Asked("run", LockMetrics.Outcomes.Acquired, TimeSpan.FromMilliseconds(250));
                        metrics.Began("run");
                        metrics.Renewed("run", LockMetrics.Outcomes.Renewed);
                        metrics.Lost("run", LockMetrics.Reasons.Expired);
                        metrics.Ended("run", TimeSpan.FromSeconds(2));
                        metrics.Waiting("run", 1);
                    };
                }
            )
        );

    [Fact]
    public void The_meter_of_limits_has_the_documented_names_and_tags() =>
        Assert.Equal(
            [
                "onggi.limit.decisions 1 {decision} onggi.family=login onggi.outcome=allowed onggi.source=redis",
                "onggi.limit.decisions 1 {decision} onggi.family=login onggi.outcome=denied onggi.source=remembered",
                "onggi.limit.decisions 1 {decision} onggi.family=login onggi.outcome=denied onggi.source=fail_mode",
                "onggi.limit.duration 0.25 s onggi.family=login",
                "onggi.limit.failures 1 {failure} onggi.family=login",
                "onggi.limit.places 1 {place} onggi.family=login",
            ],
            Seen(
                LimitMetrics.MeterName,
                meters =>
                {
                    var metrics = new LimitMetrics(meters);
                    return () =>
                    {
                        metrics.Decided("login", new Decision { Allowed = true, Source = DecisionSource.Redis });
                        metrics.Decided("login", new Decision { Source = DecisionSource.Remembered });
                        metrics.Decided("login", new Decision { Source = DecisionSource.FailMode });
                        metrics.Asked("login", TimeSpan.FromMilliseconds(250));
                        metrics.Failed("login");
                        metrics.Places("login", 1);
                    };
                }
            )
        );

    [Fact]
    public void The_meter_of_batches_has_the_documented_names_and_tags()
    {
        var keyspace = Keyspace.Load(
            """{ "system": "s", "environment": "dev", "families": { "text": { "key": "text:{id}", "kind": "cache", "value": "string" } } }"""
        );
        var options = new CacheOptions();
        var family = new CacheFamilies(keyspace, options, TimeProvider.System).Of("text");
        BatchEntry[] entries =
        [
            new DeleteEntry(family, "a"),
            new DeleteEntry(family, "b"),
            new SetEntry(family, new FilledEntry("c", default, 1)),
        ];
        entries[2].Fail(new RedisBusyException("full"));

        Assert.Equal(
            [
                "onggi.batch.duration 0.25 s onggi.kind=atomic",
                "onggi.batch.entries 2 {entry} onggi.operation=delete onggi.outcome=not_sent",
                "onggi.batch.entries 1 {entry} onggi.operation=set onggi.outcome=failed",
            ],
            Seen(
                BatchMetrics.MeterName,
                meters =>
                {
                    var metrics = new BatchMetrics(meters);
                    return () => metrics.Ended(entries, atomic: true, TimeSpan.FromMilliseconds(250));
                }
            )
        );
    }

    [Fact]
    public void Options_that_cannot_hold_are_named_with_what_to_write()
    {
        var result = new ValidateOptionsResultBuilder();
        var limits = new LimitOptions { LocalSubjects = 0 };
        limits.ForFamily(
            "calls",
            policy =>
            {
                (policy.Timeout, policy.Nodes, policy.DenyCache) = (TimeSpan.Zero, 0, TimeSpan.FromHours(1));
                policy.With(LimitRule.Even(1, TimeSpan.FromSeconds(1))).With(LimitRule.Even(2, TimeSpan.FromSeconds(1)));
            }
        );
        LockOptionsValidator.Validate(
            new LockOptions
            {
                RenewalsPerLease = 1,
                LostMargin = double.NaN,
                MaxHold = TimeSpan.Zero,
                PollEvery = TimeSpan.Zero,
            },
            "Locks",
            result
        );
        LimitOptionsValidator.Validate(limits, "Limits", result);
        BatchOptionsValidator.Validate(
            new BatchOptions
            {
                MaxEntries = 0,
                MaxBytes = long.MaxValue,
                MaxAtomicEntries = 100_000,
                MaxAtomicBytes = -1,
            },
            "Batches",
            result
        );
        limits.ForFamily("empty", static _ => { });
        LimitOptionsValidator.Validate(limits, "Limits", result);

        var failures = result.Build().Failures!.Distinct().ToList();
        Assert.Equal(14, failures.Count);
        Assert.All(failures, failure => Assert.Matches("Write |Leave ", failure));
        var fine = new ValidateOptionsResultBuilder();
        LockOptionsValidator.Validate(new LockOptions(), "Locks", fine);
        LimitOptionsValidator.Validate(new LimitOptions(), "Limits", fine);
        BatchOptionsValidator.Validate(new BatchOptions(), "Batches", fine);
        Assert.True(fine.Build().Succeeded);
    }

    [Fact]
    public void Rules_that_mean_nothing_are_refused()
    {
        var second = TimeSpan.FromSeconds(1);

        Assert.Throws<ArgumentOutOfRangeException>(() => LimitRule.Even(0, second));
        Assert.Throws<ArgumentOutOfRangeException>(() => LimitRule.Even(1, second, burst: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => LimitRule.Even(1, TimeSpan.Zero));
        Assert.Throws<ArgumentOutOfRangeException>(() => LimitRule.Fixed(1, TimeSpan.FromDays(32)));
        Assert.Throws<ArgumentOutOfRangeException>(() => LimitRule.Sliding(1_000_001, second));
        Assert.Throws<ArgumentOutOfRangeException>(() => LimitRule.Concurrent(0));
        Assert.Equal(LimitRule.Even(10, second), LimitRule.Even(10, second, burst: 10));
    }

    private static List<string> Seen(string meter, Func<IMeterFactory, Action> make)
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var factory = services.GetRequiredService<IMeterFactory>();
        List<string> seen = [];
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == meter && instrument.Meter.Scope == factory)
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => seen.Add(Line(instrument, value, tags)));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => seen.Add(Line(instrument, value, tags)));
        var measure = make(factory);
        listener.Start();
        measure();
        return seen;
    }

    private static string Line<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        List<string> parts = [instrument.Name, $"{value}", instrument.Unit ?? ""];
        foreach (var tag in tags)
            parts.Add($"{tag.Key}={tag.Value}");
        return string.Join(' ', parts);
    }
}
