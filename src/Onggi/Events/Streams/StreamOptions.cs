using Microsoft.Extensions.Options;

namespace Onggi.Events.Streams;

/// <summary>How events that the catalog delivers at least once are handled, kept and tried again.</summary>
public sealed class StreamOptions
{
    /// <summary>What tells this process from the others of its service; in <c>XINFO CONSUMERS</c> it stands behind the service's name. Processes on one machine need one each.</summary>
    /// <value>Default <c>null</c>: the name of the machine, which is a pod's own in Kubernetes.</value>
    public string? Instance { get; set; }

    /// <summary>How many events of one subscription are handled at the same time in this process. With 1 they are handled in their order, but for those that are tried again.</summary>
    /// <value>Default 1.</value>
    public int Concurrency { get; set; } = 1;

    /// <summary>How often a handler may fail on an event before it is put into quarantine. One that was under way in processes that died is put there after twice as many.</summary>
    /// <value>Default 5.</value>
    public int MaxAttempts { get; set; } = 5;

    /// <summary>How long after a failure an event is tried again; doubled with each further one.</summary>
    /// <value>Default 1 s.</value>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest such time.</summary>
    /// <value>Default 5 min.</value>
    public TimeSpan MaxRetryDelay { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a handler may take. Then its token is cancelled, and the event counts as failed.</summary>
    /// <value>Default 1 min.</value>
    public TimeSpan HandlerTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>After how long a silence the events of a process are taken over by another one of its service. A process gives a sign three times as often while it handles them, however long that takes.</summary>
    /// <value>Default 30 s.</value>
    public TimeSpan ClaimAfter { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a mark that a handler set stands: at least as long as the whole service may be away between the handler's work and the event's settlement.</summary>
    /// <value>Default 24 h.</value>
    public TimeSpan MarkLife { get; set; } = TimeSpan.FromHours(24);

    /// <summary>How long the mark of a settled event stands. It stops a publisher's double, and who was paused and comes back to an event that another has settled. Zero for no mark.</summary>
    /// <value>Default 5 min.</value>
    public TimeSpan SettledMarkLife { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long events stay after every group has settled them, for replays.</summary>
    /// <value>Default 10 min.</value>
    public TimeSpan KeepSettled { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long events stay that no group has ever asked for.</summary>
    /// <value>Default 7 days.</value>
    public TimeSpan KeepUnheard { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How often streams are trimmed, by whichever process comes first.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan TrimEvery { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>From which age on an event that a group has not settled is reported, each hour anew. Nothing is removed: whoever knows that the group is gone for good drops it (<see cref="OnggiStreams.DropGroupAsync"/>).</summary>
    /// <value>Default 1 day.</value>
    public TimeSpan ReportAfter { get; set; } = TimeSpan.FromDays(1);
}

/// <summary>Finds the mistakes in <see cref="StreamOptions"/>.</summary>
internal static class StreamOptionsValidator
{
    private const int MostAtOnce = 1000;
    private const int MostAttempts = 1000;
    private static readonly TimeSpan Longest = TimeSpan.FromDays(31);
    private static readonly TimeSpan ShortestClaim = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);

    public static void Validate(StreamOptions options, string path, ValidateOptionsResultBuilder result)
    {
        if (options.Instance is { } instance && !StreamKeys.IsName(instance))
            result.AddError(
                "has other characters than letters, digits, dots, underscores and hyphens, or more than 64 of them. It stands in Redis for people to read: write for example \"billing-1\".",
                $"{path}:{nameof(StreamOptions.Instance)}"
            );
        if (options.Concurrency is < 1 or > MostAtOnce)
            result.AddError(
                $"is {options.Concurrency}. Write a number from 1 (in order) to {MostAtOnce}.",
                $"{path}:{nameof(StreamOptions.Concurrency)}"
            );
        if (options.MaxAttempts is < 1 or > MostAttempts)
            result.AddError(
                $"is {options.MaxAttempts}, but every event is tried once, and one that never ends in quarantine is never seen by anybody. Write a number from 1 to {MostAttempts}, for example 5.",
                $"{path}:{nameof(StreamOptions.MaxAttempts)}"
            );
        Within(options.RetryDelay, Moment, Longest, nameof(StreamOptions.RetryDelay));
        Within(options.MaxRetryDelay, options.RetryDelay, Longest, nameof(StreamOptions.MaxRetryDelay));
        Within(options.HandlerTimeout, Moment, Longest, nameof(StreamOptions.HandlerTimeout));
        Within(options.ClaimAfter, ShortestClaim, Longest, nameof(StreamOptions.ClaimAfter));
        Within(options.MarkLife, options.ClaimAfter, Longest, nameof(StreamOptions.MarkLife));
        Within(options.SettledMarkLife, TimeSpan.Zero, Longest, nameof(StreamOptions.SettledMarkLife));
        Within(options.KeepSettled, TimeSpan.Zero, Longest, nameof(StreamOptions.KeepSettled));
        Within(options.KeepUnheard, TimeSpan.Zero, Longest, nameof(StreamOptions.KeepUnheard));
        Within(options.TrimEvery, Moment, Longest, nameof(StreamOptions.TrimEvery));
        Within(options.ReportAfter, Moment, Longest, nameof(StreamOptions.ReportAfter));

        void Within(TimeSpan value, TimeSpan least, TimeSpan most, string name)
        {
            if (value < least || value > most)
                result.AddError($"is {value}. Write a time from {least} to {most}.", $"{path}:{name}");
        }
    }
}
