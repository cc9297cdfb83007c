using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Onggi.Events;
using Onggi.Events.Streams;
using Onggi.Keys;

namespace Onggi.Tests.Events.Streams;

/// <summary>What streams compute without a server: names, delays, ids, options, counts.</summary>
public sealed class StreamRulesTests
{
    private const string Catalog = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "events": {
            "order.placed": { "payload": "Order", "delivery": "atLeastOnce" },
            "order.seen": { "payload": "Order", "delivery": "atMostOnce" },
            "order.lost": { "payload": "Order" }
          },
          "families": {
            "audit": { "key": "events:stream:audit:{id}", "kind": "stream", "ttl": "7d" },
            "topics": { "key": "events:stream:{topic}", "kind": "stream", "ttl": "7d" }
          }
        }
        """;

    [Fact]
    public void The_catalog_says_how_an_event_is_delivered()
    {
        var keyspace = Keyspace.Load(Catalog);

        Assert.Equal(EventDelivery.AtLeastOnce, keyspace.DeliveryOf("order.placed"));
        Assert.Equal(EventDelivery.AtMostOnce, keyspace.DeliveryOf("order.seen"));
        Assert.Equal(EventDelivery.AtMostOnce, keyspace.DeliveryOf("order.lost"));
        Assert.Equal(EventDelivery.AtMostOnce, keyspace.DeliveryOf("nobody.knows"));
        Assert.Equal(
            [EventDelivery.AtLeastOnce, EventDelivery.AtMostOnce, EventDelivery.AtMostOnce],
            keyspace.Events.Select(settings => settings.Delivery)
        );
    }

    [Fact]
    public void A_misspelt_delivery_is_a_mistake_with_a_suggestion()
    {
        var mistake = Assert.Throws<CatalogException>(() =>
            Keyspace.Load(Catalog.Replace("atLeastOnce", "atLeastOnc", StringComparison.Ordinal))
        );

        Assert.Contains(
            "event \"order.placed\": \"delivery\": \"atLeastOnc\" is not one of its words.",
            mistake.Message,
            StringComparison.Ordinal
        );
        Assert.Contains("Did you mean \"atLeastOnce\"?", mistake.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stream_belongs_to_the_family_that_names_it_and_else_to_Onggi()
    {
        var named = Keyspace.Load(Catalog);
        var unnamed = Keyspace.Load(Catalog.Replace("events:stream:{topic}", "events:stream:other:{topic}", StringComparison.Ordinal));
        var keys = new StreamKeys("test:", "order.placed");
        var group = keys.Of("billing");

        foreach (var key in (string[])[keys.Stream, keys.Head, keys.Pace, group.Delay, group.Quarantine, group.Replay, group.Mark("1")])
        {
            Assert.Equal("topics", named.FamilyOf(key)?.Family.Name);
            Assert.Equal("onggi", unnamed.FamilyOf(key)?.Family.Name);
        }

        Assert.Null(unnamed.FamilyOf("test:events:stream:order.seen"));
    }

    [Fact]
    public void The_keys_are_those_of_the_page_and_all_in_one_slot()
    {
        var keys = new StreamKeys("dev:", "order.placed");
        var group = keys.Of("billing.audit");

        Assert.Equal("dev:events:stream:order.placed", keys.Stream);
        Assert.Equal("{dev:events:stream:order.placed}:head", keys.Head);
        Assert.Equal("{dev:events:stream:order.placed}:delay:billing.audit", group.Delay);
        Assert.Equal("{dev:events:stream:order.placed}:dlq:billing.audit", group.Quarantine);
        Assert.Equal("{dev:events:stream:order.placed}:done:billing.audit:7", group.Mark("7"));
        Assert.Equal("a%7Bb%7D", StreamKeys.MarkIdOf("a{b}", "1-1"));
        Assert.Equal("1-1", StreamKeys.MarkIdOf("", "1-1"));
        Assert.Equal("1-1", StreamKeys.MarkIdOf(new string('x', 129), "1-1"));
    }

    [Fact]
    public void Delays_are_doubled_up_to_the_longest()
    {
        var options = new StreamOptions { RetryDelay = TimeSpan.FromSeconds(1), MaxRetryDelay = TimeSpan.FromSeconds(10) };

        Assert.Equal(
            [1, 2, 4, 8, 10, 10],
            ((int[])[1, 2, 3, 4, 5, 1000]).Select(attempt => StreamWork.DelayAfter(attempt, options).TotalSeconds)
        );
    }

    [Theory]
    [InlineData("5-3", "5-2")]
    [InlineData("5-0", "4-18446744073709551615")]
    [InlineData("0-0", "0-0")]
    [InlineData("18446744073709551615-18446744073709551615", "18446744073709551615-18446744073709551614")]
    public void What_stands_behind_the_id_before_one_begins_with_it(string id, string before) => Assert.Equal(before, StreamIds.Before(id));

    [Theory]
    [InlineData("5")]
    [InlineData("5-")]
    [InlineData("-5")]
    [InlineData("a-b")]
    [InlineData("5- 3")]
    public void What_is_no_id_is_refused(string id) => Assert.Throws<FormatException>(() => StreamIds.Before(id));

    [Fact]
    public void Mistakes_in_options_are_named()
    {
        Assert.Empty(Mistakes(new StreamOptions()));
        var mistakes = Mistakes(
            new StreamOptions
            {
                Instance = "a b",
                Concurrency = 0,
                MaxAttempts = 0,
                RetryDelay = TimeSpan.FromMinutes(10),
                HandlerTimeout = TimeSpan.Zero,
                ClaimAfter = TimeSpan.FromMilliseconds(1),
                MarkLife = TimeSpan.Zero,
                SettledMarkLife = TimeSpan.FromSeconds(-1),
                KeepSettled = TimeSpan.FromDays(100),
                KeepUnheard = TimeSpan.FromDays(100),
                TrimEvery = TimeSpan.Zero,
                ReportAfter = TimeSpan.Zero,
            }
        );

        Assert.Equal(
            [
                "Instance",
                "Concurrency",
                "MaxAttempts",
                "MaxRetryDelay",
                "HandlerTimeout",
                "ClaimAfter",
                "MarkLife",
                "SettledMarkLife",
                "KeepSettled",
                "KeepUnheard",
                "TrimEvery",
                "ReportAfter",
            ],
            mistakes.Select(mistake => mistake.Split(':')[2].Trim())
        );
    }

    [Fact]
    public void The_meter_has_the_documented_names_and_tags()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new StreamMetrics(services.GetRequiredService<IMeterFactory>());
        var seen = new List<string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (
                instrument.Meter.Name == StreamMetrics.MeterName
                && ReferenceEquals(instrument.Meter.Scope, services.GetRequiredService<IMeterFactory>())
            )
                listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, $"{value}", tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, $"{value}", tags));
        listener.Start();

        metrics.Delivered("a.b", "g", StreamMetrics.Outcomes.Done);
        metrics.Redelivered("a.b", "g");
        metrics.Claimed("a.b", "g", 2);
        metrics.Gone("a.b", "g", 3);
        metrics.Quarantined("a.b", "g", StreamMetrics.Reasons.Payload);
        metrics.Handled("a.b", "g", TimeSpan.FromSeconds(0.25));
        metrics.Trimmed("a.b", new TrimReply(4, 5, [new StreamGroupStatus("g", 6, 7, TimeSpan.FromSeconds(8), 1)]));
        listener.RecordObservableInstruments();

        Assert.Equal(
            [
                "onggi.streams.deliveries 1 {event} onggi.event.type=a.b onggi.group=g onggi.outcome=done",
                "onggi.streams.redelivered 1 {event} onggi.event.type=a.b onggi.group=g",
                "onggi.streams.claimed 2 {event} onggi.event.type=a.b onggi.group=g",
                "onggi.streams.gone 3 {event} onggi.event.type=a.b onggi.group=g",
                "onggi.streams.quarantined 1 {event} onggi.event.type=a.b onggi.group=g onggi.reason=payload",
                "onggi.streams.handler.duration 0.25 s onggi.event.type=a.b onggi.group=g",
                "onggi.streams.trimmed 4 {event} onggi.event.type=a.b",
                "onggi.streams.length 5 {event} onggi.event.type=a.b",
                "onggi.streams.lag 7 {event} onggi.event.type=a.b onggi.group=g",
                "onggi.streams.pending 6 {event} onggi.event.type=a.b onggi.group=g",
                "onggi.streams.oldest 8 s onggi.event.type=a.b onggi.group=g",
            ],
            seen
        );

        // A group that was dropped is not shown any more.
        seen.Clear();
        metrics.Trimmed("a.b", new TrimReply(0, 5, []));
        listener.RecordObservableInstruments();
        Assert.Equal(["onggi.streams.length 5 {event} onggi.event.type=a.b"], seen);

        void Add(Instrument instrument, string value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            seen.Add(
                $"{instrument.Name} {value} {instrument.Unit} {string.Join(' ', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"))}"
            );
    }

    private static IEnumerable<string> Mistakes(StreamOptions options)
    {
        var result = new ValidateOptionsResultBuilder();
        EventOptionsValidator.Validate(new EventOptions { Streams = options }, "Events", result);
        return result.Build().Failures ?? [];
    }
}
