using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Events;

namespace Onggi.Tests.Events;

public sealed class EventsMetricsTests
{
    [Fact]
    public void The_meter_has_the_documented_names_and_tags()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        List<string> seen = [];
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == "Onggi.Events" && instrument.Meter.Scope == services.GetRequiredService<IMeterFactory>())
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => seen.Add(Line(instrument, value, tags)));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => seen.Add(Line(instrument, value, tags)));
        var metrics = new EventsMetrics(services.GetRequiredService<IMeterFactory>());
        listener.Start();

        metrics.Published("a.b");
        metrics.PublishFailed("a.b");
        metrics.Received("a.b");
        metrics.HandlerFailed("a.b");
        metrics.Dropped("a.b", EventsMetrics.Reasons.QueueFull);
        metrics.Interrupted("a.b");
        metrics.Replayed("a.b");
        metrics.Repeated("a.b");
        metrics.Unkept("a.b");
        metrics.Gap(new EventGap("a.b", "e", 2, 4, EventGapReason.NoLongerKept));
        metrics.Gap(new EventGap("a.b", "e", 2, null, EventGapReason.NewEpoch));
        metrics.Handled("a.b", TimeSpan.FromMilliseconds(250));

        Assert.Equal(
            [
                "onggi.events.published 1 {event} onggi.event.type=a.b",
                "onggi.events.publish.failures 1 {event} onggi.event.type=a.b",
                "onggi.events.received 1 {event} onggi.event.type=a.b",
                "onggi.events.handler.failures 1 {call} onggi.event.type=a.b",
                "onggi.events.dropped 1 {event} onggi.event.type=a.b onggi.reason=queue_full",
                "onggi.events.interruptions 1 {interruption} onggi.event.type=a.b",
                "onggi.events.replayed 1 {event} onggi.event.type=a.b",
                "onggi.events.repeated 1 {event} onggi.event.type=a.b",
                "onggi.events.unkept 1 {event} onggi.event.type=a.b",
                "onggi.events.gaps 1 {gap} onggi.event.type=a.b onggi.reason=no_longer_kept",
                "onggi.events.dropped 3 {event} onggi.event.type=a.b onggi.reason=gap",
                "onggi.events.gaps 1 {gap} onggi.event.type=a.b onggi.reason=new_epoch",
                "onggi.events.handler.duration 0.25 s onggi.event.type=a.b",
            ],
            seen
        );
        Assert.Equal(new EventStatistics(1, 1, 1, 4, 1, 2, 1, 1), metrics.Statistics);
    }

    private static string Line<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        List<string> parts = [instrument.Name, $"{value}", instrument.Unit ?? ""];
        foreach (var tag in tags)
            parts.Add($"{tag.Key}={tag.Value}");
        return string.Join(' ', parts);
    }
}
