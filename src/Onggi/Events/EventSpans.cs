using System.Diagnostics;

namespace Onggi.Events;

/// <summary>Carries the trace of who publishes to who handles. The activity source is <c>Onggi.Events</c>.</summary>
/// <remarks>https://www.w3.org/TR/trace-context/#traceparent-header</remarks>
internal static class EventSpans
{
    private static readonly ActivitySource Source = new(EventsMetrics.MeterName);

    /// <summary>What goes with an event that is published now; <c>null</c> outside of any trace.</summary>
    public static string? TraceParent => Activity.Current is { IdFormat: ActivityIdFormat.W3C, Id: { } id } ? id : null;

    /// <summary>Begins the handling of an event under its publisher's trace. Where nobody listens the trace goes on all the same: into logs, and into what the handler calls and publishes.</summary>
    /// <param name="type">The type.</param>
    /// <param name="envelope">The event.</param>
    /// <param name="group">The group that it was handed to; <c>null</c> where there is none.</param>
    /// <returns>To be disposed; <c>null</c> when there is no trace and nobody listens.</returns>
    public static Activity? Begin(string type, EventEnvelope envelope, string? group = null)
    {
        // What is no trace is none: anybody may publish.
        var hasParent = ActivityContext.TryParse(envelope.TraceParent, null, isRemote: true, out var parent);
        if (!hasParent && !Source.HasListeners())
            return null;
        var name = "process " + type;
        var span = Source.StartActivity(name, ActivityKind.Consumer, hasParent ? parent : default);
        if (span is null)
            return hasParent ? new Activity(name).SetParentId(parent.TraceId, parent.SpanId, parent.TraceFlags).Start() : null;
        span.SetTag("messaging.system", "redis");
        span.SetTag("messaging.operation.name", "process");
        span.SetTag("messaging.operation.type", "process");
        span.SetTag("messaging.destination.name", type);
        span.SetTag("messaging.message.id", envelope.Id);
        if (group is not null)
            span.SetTag("messaging.consumer.group.name", group);
        return span;
    }

    /// <summary>Says that the handler has failed.</summary>
    public static void Failed(this Activity? span, Exception failure)
    {
        span?.SetStatus(ActivityStatusCode.Error);
        span?.SetTag("error.type", failure.GetType().FullName);
    }
}
