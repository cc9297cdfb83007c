using Microsoft.Extensions.Options;
using Onggi.Events.Streams;

namespace Onggi.Events;

/// <summary>How events are published and handed to handlers.</summary>
public sealed class EventOptions
{
    /// <summary>What stands as <c>source</c> in published events.</summary>
    /// <value>Default <c>null</c>: the name of the service.</value>
    public string? Source { get; set; }

    /// <summary>How many events may wait for one subscription's handler. When it is full the oldest is dropped, counted and logged; other subscriptions do not notice.</summary>
    /// <value>Default 1024.</value>
    public int QueueLength { get; set; } = 1024;

    /// <summary>The most bytes of JSON that an event may have when it is published.</summary>
    /// <value>Default 1 MiB.</value>
    public int MaxBytes { get; set; } = 1024 * 1024;

    /// <summary>How long the end of a subscription waits for the events that already arrived to be handled, and then again for a cancelled handler to return.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How many of the last events of each type Redis keeps at most for subscribers that were cut off or too slow; 0 for none. How long it keeps them is the <c>ttl</c> of the event in the catalog.</summary>
    /// <value>Default 10,000.</value>
    public int RingLength { get; set; } = 10_000;

    /// <summary>How many bytes of JSON of each type Redis keeps at most for that; the last event is kept however large it is.</summary>
    /// <value>Default 4 MiB.</value>
    public int RingBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>How long events that arrive wait when those before them are missing and Redis cannot be asked for these. After that the subscriber is told of a gap, and goes on.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan ReplayTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How often to look, for types that are handled and silent, whether Redis counts further than what was heard. One round trip for each; <see cref="TimeSpan.Zero"/> for never.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan CheckEvery { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether events are published on channels that belong to slots: on a cluster, the servers of one slot then have the work, not all. Whoever publishes and whoever listens must agree.</summary>
    /// <value>Default <c>null</c>: on a cluster yes, elsewhere no.</value>
    public bool? Sharded { get; set; }

    /// <summary>How events that the catalog delivers at least once are handled, kept and tried again.</summary>
    public StreamOptions Streams { get; set; } = new();
}

/// <summary>Finds the mistakes in <see cref="EventOptions"/>.</summary>
internal static class EventOptionsValidator
{
    private const int MinBytes = 1024;
    private const int MaxQueueLength = 1_000_000;
    private const int MaxRingLength = 1_000_000;
    private static readonly TimeSpan LongestDrain = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestReplay = TimeSpan.FromMinutes(5);

    public static void Validate(EventOptions options, string path, ValidateOptionsResultBuilder result)
    {
        if (options.Source is { } source && string.IsNullOrWhiteSpace(source))
            result.AddError(
                "is empty, so nobody could tell where an event is from. Leave it out to use the name of the service.",
                $"{path}:{nameof(EventOptions.Source)}"
            );
        if (options.QueueLength is < 1 or > MaxQueueLength)
            result.AddError(
                $"is {options.QueueLength}, but every handler needs room for at least one event, and more than {MaxQueueLength} would hide that it cannot keep up. Write a number from 1 to {MaxQueueLength}, for example 1024.",
                $"{path}:{nameof(EventOptions.QueueLength)}"
            );
        if (options.MaxBytes < MinBytes)
            result.AddError(
                $"is {options.MaxBytes}, but id, type, source and time alone need some hundred bytes. Write at least {MinBytes}, for example 1048576.",
                $"{path}:{nameof(EventOptions.MaxBytes)}"
            );
        if (options.DrainTimeout < TimeSpan.Zero || options.DrainTimeout > LongestDrain)
            result.AddError(
                $"is {options.DrainTimeout}, but the end of the process waits for it. Write a time from 00:00:00 (cancel handlers at once) to {LongestDrain}, for example 00:00:05.",
                $"{path}:{nameof(EventOptions.DrainTimeout)}"
            );
        if (options.RingLength is < 0 or > MaxRingLength)
            result.AddError(
                $"is {options.RingLength}, but the ring is a short memory for those who were cut off, and Redis pays for it with its own. Write a number from 0 (none) to {MaxRingLength}, for example 10000.",
                $"{path}:{nameof(EventOptions.RingLength)}"
            );
        if (options.RingLength > 0 && options.RingBytes < options.MaxBytes)
            result.AddError(
                $"is {options.RingBytes}, less than one event may have (MaxBytes: {options.MaxBytes}), so that one event could push out all others. Write at least MaxBytes, for example 4194304.",
                $"{path}:{nameof(EventOptions.RingBytes)}"
            );
        if (options.ReplayTimeout < TimeSpan.Zero || options.ReplayTimeout > LongestReplay)
            result.AddError(
                $"is {options.ReplayTimeout}, but events that arrive wait for it, and after minutes the ring has nothing left of what was missed. Write a time from 00:00:00 (do not wait) to {LongestReplay}, for example 00:00:10.",
                $"{path}:{nameof(EventOptions.ReplayTimeout)}"
            );
        if (options.CheckEvery < TimeSpan.Zero)
            result.AddError(
                $"is {options.CheckEvery}, but nobody looks before the last look. Write 00:00:00 for never, or a time, for example 00:00:05.",
                $"{path}:{nameof(EventOptions.CheckEvery)}"
            );

        StreamOptionsValidator.Validate(options.Streams, $"{path}:{nameof(EventOptions.Streams)}", result);
    }
}
