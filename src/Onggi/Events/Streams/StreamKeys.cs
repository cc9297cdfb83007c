using Onggi.Keys;

namespace Onggi.Events.Streams;

/// <summary>The names of what stands beside one stream, all in its slot.</summary>
internal sealed class StreamKeys
{
    private const int LongestName = 64;
    private const int LongestId = 128;

    public StreamKeys(string prefix, string type)
    {
        Type = type;
        Stream = NameOf(prefix, type);
        Head = AuxiliaryName.Of(Stream, "head");
        Pace = AuxiliaryName.Of(Stream, "trim");
    }

    /// <summary>The name of a type's stream.</summary>
    public static string NameOf(string prefix, string type) => $"{prefix}events:stream:{type}";

    /// <summary>The event's name in the catalog.</summary>
    public string Type { get; }

    public string Stream { get; }

    /// <summary>The count of its events.</summary>
    public string Head { get; }

    /// <summary>Stands while nobody else needs to trim.</summary>
    public string Pace { get; }

    /// <summary>Whether a text can name a group or a consumer.</summary>
    public static bool IsName(string text) =>
        text.Length is > 0 and <= LongestName && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    public StreamGroupKeys Of(string group) => new(Stream, group);

    /// <summary>What names the event in its mark: its own id, so that a double of a publisher is known too, or the entry's where it has none that is fit for a name.</summary>
    public static string MarkIdOf(string eventId, string entryId) =>
        eventId.Length is > 0 and <= LongestId ? IdentifierEncoding.Escape(eventId) : entryId;
}

/// <summary>The names of what one group has beside its stream.</summary>
internal sealed class StreamGroupKeys(string stream, string group)
{
    private readonly string _done = AuxiliaryName.Of(stream, $"done:{group}:");

    public string Group { get; } = group;

    /// <summary>When what is tried again: ZSET id → ms.</summary>
    public string Delay { get; } = AuxiliaryName.Of(stream, $"delay:{group}");

    /// <summary>What could not be handled, as a stream.</summary>
    public string Quarantine { get; } = AuxiliaryName.Of(stream, $"dlq:{group}");

    /// <summary>When the group was last told to begin again.</summary>
    public string Replay { get; } = AuxiliaryName.Of(stream, $"replay:{group}");

    /// <summary>Stands when the event is done.</summary>
    public string Mark(string id) => _done + id;
}
