using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Onggi.Sessions;

/// <summary>What becomes of a login when its user has as many sessions as there may be.</summary>
public enum SessionLimitPolicy
{
    /// <summary>It is refused.</summary>
    Reject,

    /// <summary>The session that began first ends.</summary>
    Oldest,

    /// <summary>The session that was not used for the longest time ends.</summary>
    LeastRecent,
}

/// <summary>How many sessions a user may have at a time, and what happens to one more.</summary>
/// <param name="Most">The most; 0 for no limit.</param>
/// <param name="Policy">What happens to one more.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct SessionLimit(int Most, SessionLimitPolicy Policy = SessionLimitPolicy.LeastRecent);

/// <summary>What a session begins with.</summary>
public sealed class SessionDetails
{
    /// <summary>What the user may do, as your own words.</summary>
    /// <value>Default none.</value>
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Where it was begun, in words that the user knows again in a list: "Firefox on Linux". At most 256 characters.</summary>
    /// <value>Default empty.</value>
    public string Device { get; init; } = "";

    /// <summary>Whatever else belongs to it, for example JSON. At most <see cref="SessionOptions.MaxDataBytes"/>.</summary>
    /// <value>Default empty.</value>
    public ReadOnlyMemory<byte> Data { get; init; }

    /// <summary>Makes the data from the handle, in the place of <see cref="Data"/>: what is sealed for this session and no other.</summary>
    internal Func<string, ReadOnlyMemory<byte>>? DataFor { get; init; }

    /// <summary>How many sessions the user may have.</summary>
    /// <value>Default <c>null</c>: as the options or the catalog say.</value>
    public SessionLimit? Limit { get; init; }
}

/// <summary>A live session, as it was when Redis was asked.</summary>
public sealed class Session
{
    internal Session() { }

    /// <summary>Names the session in lists, events and logs. It opens nothing, and changes when the id is replaced.</summary>
    public required string Handle { get; init; }

    /// <summary>Whose it is, as it was given to <c>CreateAsync</c>.</summary>
    public required string User { get; init; }

    /// <summary>What the user may do; empty where data was not asked for.</summary>
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Where it was begun.</summary>
    public required string Device { get; init; }

    /// <summary>What belongs to it; empty where it was not asked for.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }

    /// <summary>Counts the changes of data and roles, from 1. Hand it to <c>SaveAsync</c>.</summary>
    public required long Version { get; init; }

    /// <summary>When it began, by Redis's clock.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its life was lengthened last, by Redis's clock: not more than <see cref="SessionOptions.TouchEvery"/> before it was last used.</summary>
    public required DateTimeOffset LastSeenAt { get; init; }

    /// <summary>When it ends if nobody uses it, by Redis's clock.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>Whether it was opened by an id that another has replaced. It can be read, not saved; data is that of the moment of the replacement.</summary>
    public bool IsSuperseded { get; init; }

    /// <summary>The data as your type; the type's default where there is none.</summary>
    /// <exception cref="JsonException">The data is not its JSON.</exception>
    public T? ReadData<T>(JsonTypeInfo<T> json) => Data.IsEmpty ? default : JsonSerializer.Deserialize(Data.Span, json);

    /// <summary>The handle: users are personal.</summary>
    public override string ToString() => $"session {Handle}";
}

/// <summary>A session in a list of a user's.</summary>
/// <param name="Handle">Names it; hand it to <c>RevokeAsync</c> to end it.</param>
/// <param name="Device">Where it was begun.</param>
/// <param name="CreatedAt">When it began.</param>
/// <param name="LastSeenAt">When its life was lengthened last.</param>
/// <param name="ExpiresAt">When it ends if nobody uses it.</param>
public sealed record SessionSummary(
    string Handle,
    string Device,
    DateTimeOffset CreatedAt,
    DateTimeOffset LastSeenAt,
    DateTimeOffset ExpiresAt
);

/// <summary>What became of a login.</summary>
public sealed class SessionCreation
{
    internal SessionCreation() { }

    /// <summary>Whether there is a session now; <c>false</c> when the user has as many as there may be, and the policy is to reject.</summary>
    public bool IsCreated => !Id.IsEmpty;

    /// <summary>The secret for the cookie; empty when there is no session.</summary>
    public SessionId Id { get; init; }

    /// <summary>Names the session in lists, events and logs; empty when there is none.</summary>
    public string Handle { get; init; } = "";

    /// <summary>When it ends if nobody uses it, by Redis's clock.</summary>
    public DateTimeOffset ExpiresAt { get; init; }

    /// <summary>How many live sessions the user has now.</summary>
    public int Live { get; init; }

    /// <summary>The handles of those that ended to make room.</summary>
    public IReadOnlyList<string> Evicted { get; init; } = [];

    /// <summary>How many replicas have it; <c>null</c> where <see cref="SessionOptions.Replicas"/> asks for none.</summary>
    public int? Replicas { get; init; }
}

/// <summary>How a save ended.</summary>
public enum SessionSaveOutcome
{
    /// <summary>There is no such session: it has ended, and stays so.</summary>
    Gone = 0,

    /// <summary>It is saved.</summary>
    Saved = 1,

    /// <summary>Another id has replaced this one; save under that.</summary>
    Superseded = 2,

    /// <summary>Somebody else has saved since it was read: read again, and decide.</summary>
    Conflict = 3,
}

/// <summary>What became of a save.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Version">The version that stands now; 0 when there is no session.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct SessionSave(SessionSaveOutcome Outcome, long Version)
{
    /// <summary>Whether it is saved.</summary>
    public bool IsSaved => Outcome == SessionSaveOutcome.Saved;
}

/// <summary>What became of giving a session another id.</summary>
public sealed class SessionRotation
{
    internal SessionRotation() { }

    /// <summary>Whether there is a new id. If not, the session has ended, or another id has replaced this one already (<see cref="IsSuperseded"/>).</summary>
    public bool IsRotated => !Id.IsEmpty;

    /// <summary>Another id has replaced this one already, which for a moment still opens the session: whoever shows it keeps it until then.</summary>
    public bool IsSuperseded { get; init; }

    /// <summary>The new secret for the cookie; empty when there is none.</summary>
    public SessionId Id { get; init; }

    /// <summary>The new handle; empty when there is none.</summary>
    public string Handle { get; init; } = "";

    /// <summary>When the session ends if nobody uses it.</summary>
    public DateTimeOffset ExpiresAt { get; init; }

    /// <summary>How many replicas have it; <c>null</c> where <see cref="SessionOptions.Replicas"/> asks for none.</summary>
    public int? Replicas { get; init; }
}

/// <summary>Which sessions were ended.</summary>
public sealed class SessionRevocation
{
    internal SessionRevocation() { }

    /// <summary>Their handles.</summary>
    public required IReadOnlyList<string> Handles { get; init; }

    /// <summary>How many there were.</summary>
    public int Count => Handles.Count;

    /// <summary>How many replicas know; <c>null</c> where <see cref="SessionOptions.Replicas"/> asks for none.</summary>
    public int? Replicas { get; init; }
}
