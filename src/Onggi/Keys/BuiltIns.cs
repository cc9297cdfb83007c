using Onggi.Keys.Catalog;

namespace Onggi.Keys;

/// <summary>What every keyspace has without saying so.</summary>
internal static class BuiltIns
{
    public static IReadOnlyList<string> Events => BuiltInNames.Events;

    /// <summary>Onggi's own keys: the epoch and its like, and the heads of event channels. They have no time to live of a family's.</summary>
    public static FamilySettings SystemFamily(string prefix) =>
        new()
        {
            Family = new KeyFamily(BuiltInNames.SystemFamily, "name"),
            Kind = "system",
            Readers = ["*"],
            Ttl = TimeSpan.MaxValue,
            MaxTtl = TimeSpan.MaxValue,
            Pattern = prefix + "onggi:{name}",
            Description = "Onggi's own keys, the heads of event channels, and the streams of events.",
            ScanPatterns =
            [
                .. from pattern in (string[])["onggi:*", "events:head:*", "events:stream:*"]
                from aux in (string[])["", "{"]
                select aux + prefix + pattern,
            ],
        };

    /// <summary>Whether the parts of a name, cut at the colons, are those of an event's stream.</summary>
    public static bool IsStream(string[] parts) => parts is ["events", "stream", _];

    /// <summary>Whether the parts of a name, cut at the colons, are a system key's.</summary>
    public static bool IsSystemKey(string[] parts) => parts is [BuiltInNames.SystemFamily, _, ..] || parts is ["events", "head", _, ..];
}
