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

    /// <summary>How events that the catalog delivers at least once are handled, kept and tried again.</summary>
    public StreamOptions Streams { get; set; } = new();
}

/// <summary>Finds the mistakes in <see cref="EventOptions"/>.</summary>
internal static class EventOptionsValidator
{
    private const int MinBytes = 1024;
    private const int MaxQueueLength = 1_000_000;
    private static readonly TimeSpan LongestDrain = TimeSpan.FromMinutes(5);

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
        StreamOptionsValidator.Validate(options.Streams, $"{path}:{nameof(EventOptions.Streams)}", result);
    }
}
