using Microsoft.Extensions.Options;

namespace Onggi.Sessions;

/// <summary>How this process handles sessions. How long they live, and how many a user may have, the catalog says.</summary>
public sealed class SessionOptions
{
    private static readonly TimeSpan LeastDefault = TimeSpan.FromSeconds(5);

    /// <summary>The catalog's family of sessions to use.</summary>
    /// <value>Default <c>null</c>: the one that this service owns, or else the only one.</value>
    public string? Family { get; set; }

    /// <summary>How many sessions a user may have at a time; 0 for no limit.</summary>
    /// <value>Default <c>null</c>: as the catalog says.</value>
    public int? Limit { get; set; }

    /// <summary>What happens to one more.</summary>
    /// <value>Default <c>null</c>: as the catalog says.</value>
    public SessionLimitPolicy? Policy { get; set; }

    /// <summary>How often a session that is in use has its life lengthened: what comes in between only reads. A session may end earlier by as much.</summary>
    /// <value>Default 1 min.</value>
    public TimeSpan TouchEvery { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long an id that was replaced still opens the session, so that requests under way do not fail.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan RotationOverlap { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The most bytes of data that a session may have.</summary>
    /// <value>Default 64 KiB.</value>
    public int MaxDataBytes { get; set; } = 64 * 1024;

    /// <summary>Whether <c>auth.session_created</c>, <c>auth.session_expired</c> and <c>auth.session_revoked</c> are published. All processes should agree.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool Events { get; set; } = true;

    /// <summary>Whether this process looks for sessions past their deadline, where its service owns them. One process that does is enough.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool Sweep { get; set; } = true;

    /// <summary>After how long another process publishes an event that ours has not confirmed. Longer than the command time-out, which a publish that succeeds can take.</summary>
    /// <value>Default <c>null</c>: twice the command time-out, at least 5 s.</value>
    public TimeSpan? RepublishAfter { get; set; }

    /// <summary>How many replicas must have a session, its new id or its end, and of a sign-in with tokens these too, before the call returns (WAIT); 0 does not ask.</summary>
    /// <value>Default 0.</value>
    public int Replicas { get; set; }

    /// <summary>How long they are waited for. Then the call returns all the same, and its result says how many there are.</summary>
    /// <value>Default 1 s.</value>
    public TimeSpan ReplicaTimeout { get; set; } = TimeSpan.FromSeconds(1);

    // Times that no catalog allows, for tests that wait for their end.
    internal TimeSpan? IdleForTests;
    internal TimeSpan? AbsoluteForTests;

    // One that no validator allows where commands may take long.
    internal TimeSpan? RepublishForTests;

    internal TimeSpan RepublishAfterOr(TimeSpan commandTimeout) =>
        RepublishForTests ?? RepublishAfter ?? (commandTimeout * 2 is var twice && twice > LeastDefault ? twice : LeastDefault);
}

/// <summary>Finds the mistakes in <see cref="SessionOptions"/>.</summary>
internal static class SessionOptionsValidator
{
    private const int MostReplicas = 16;
    private const int MostData = 8 * 1024 * 1024;
    private static readonly TimeSpan LongestTouch = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LongestOverlap = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LeastRepublish = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRepublish = TimeSpan.FromMinutes(5);

    // WAIT counts milliseconds, and takes 0 for without end.
    private static readonly TimeSpan LeastReplicaTimeout = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestReplicaTimeout = TimeSpan.FromMinutes(1);

    public static void Validate(SessionOptions options, TimeSpan commandTimeout, string path, ValidateOptionsResultBuilder result)
    {
        void Error(string what, string option) => result.AddError(what, $"{path}:{option}");

        if (options.Limit is < 0)
            Error(
                $"is {options.Limit}, but nobody can have fewer than no sessions. Write 0 for no limit, or for example 5.",
                nameof(SessionOptions.Limit)
            );
        if (options.Policy is { } policy && !Enum.IsDefined(policy))
            Error("is no policy. Write Reject, Oldest or LeastRecent.", nameof(SessionOptions.Policy));
        if (options.TouchEvery < TimeSpan.Zero || options.TouchEvery > LongestTouch)
            Error(
                $"is {options.TouchEvery}, and a session may end earlier by as much. Write a time from 00:00:00 (every use is a write) to {LongestTouch}, for example 00:01:00.",
                nameof(SessionOptions.TouchEvery)
            );
        if (options.RotationOverlap < TimeSpan.Zero || options.RotationOverlap > LongestOverlap)
            Error(
                $"is {options.RotationOverlap}, but so long a stolen id still works after it was replaced. Write a time from 00:00:00 to {LongestOverlap}, for example 00:00:10.",
                nameof(SessionOptions.RotationOverlap)
            );
        if (options.MaxDataBytes is < 0 or > MostData)
            Error(
                $"is {options.MaxDataBytes}, but data is read at every request. Write a number from 0 to {MostData}, for example 65536.",
                nameof(SessionOptions.MaxDataBytes)
            );
        if (options.RepublishAfter is { } after && (after < LeastRepublish || after <= commandTimeout || after > LongestRepublish))
            Error(
                $"is {after}, and a publish can take CommandTimeout ({commandTimeout}): while Redis is slow every event would come twice. Write a time above that, from {LeastRepublish} to {LongestRepublish}, or nothing for twice CommandTimeout.",
                nameof(SessionOptions.RepublishAfter)
            );
        if (options.Replicas is < 0 or > MostReplicas)
            Error(
                $"is {options.Replicas}. Write 0 to ask no replica, or how many of them must know, for example 1.",
                nameof(SessionOptions.Replicas)
            );
        if (options.ReplicaTimeout < LeastReplicaTimeout || options.ReplicaTimeout > LongestReplicaTimeout)
            Error(
                $"is {options.ReplicaTimeout}, but a login waits for it. Write a time from {LeastReplicaTimeout} to {LongestReplicaTimeout}, for example 00:00:01.",
                nameof(SessionOptions.ReplicaTimeout)
            );
    }
}
