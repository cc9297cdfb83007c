namespace Onggi.Keys.Catalog;

/// <summary>The fields that each object of the catalog may have. The JSON Schema holds the same names; a test compares the two.</summary>
internal static class CatalogFields
{
    public static readonly string[] Catalog =
    [
        "$schema",
        "description",
        "system",
        "environment",
        "prefix",
        "personalIdentifiers",
        "defaults",
        "memory",
        "services",
        "events",
        "families",
        "environments",
    ];

    public static readonly string[] Defaults = ["ttl", "grace", "negativeTtl", "jitter", "eventTtl"];

    public static readonly string[] Memory = ["limit"];

    public static readonly string[] Service = ["description", "ttl", "grace", "negativeTtl", "jitter"];

    public static readonly string[] Event = ["description", "payload", "delivery", "channel", "ttl", "publishers", "keys"];

    public static readonly string[] Family =
    [
        "description",
        "key",
        "kind",
        "value",
        "owner",
        "readers",
        "writers",
        "data",
        "personal",
        "ttl",
        "idle",
        "absolute",
        "limit",
        "policy",
        "grace",
        "negativeTtl",
        "jitter",
        "share",
        "invalidatedBy",
    ];

    public static readonly string[] Environment =
    [
        "description",
        "prefix",
        "personalIdentifiers",
        "defaults",
        "memory",
        "services",
        "families",
    ];

    /// <summary>What an environment may change of a family: never what code is compiled against.</summary>
    public static readonly string[] FamilyOverride =
    [
        "description",
        "readers",
        "writers",
        "ttl",
        "idle",
        "absolute",
        "limit",
        "policy",
        "grace",
        "negativeTtl",
        "jitter",
        "share",
    ];
}
