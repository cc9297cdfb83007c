namespace Onggi.Keys.Catalog;

/// <summary>What one kind of key may and must say, and the bounds of its times.</summary>
internal sealed class KindRules
{
    public const string Cache = "cache";
    public const string Session = "session";
    public const string Token = "token";
    public const string Lock = "lock";
    public const string Limit = "limit";
    public const string Stream = "stream";

    /// <summary>The delivery of events through Pub/Sub.</summary>
    public const string AtMostOnce = "atMostOnce";

    /// <summary>The delivery of events through a stream.</summary>
    public const string AtLeastOnce = "atLeastOnce";

    /// <summary>The most that a limit of sessions may be: each login looks at all of its user's.</summary>
    public const int MostSessions = 1000;

    /// <summary>What a cache family's data is about; it narrows the bounds of its TTL.</summary>
    public const string GeneralData = "general";
    public const string UserData = "user";

    public static readonly string[] Kinds = [Cache, Session, Token, Lock, Limit, Stream];

    public static readonly string[] DataWords = [GeneralData, UserData];

    /// <summary>What happens to a login of a user who has as many sessions as there may be.</summary>
    public static readonly string[] PolicyWords = ["reject", "oldest", "leastRecent"];

    /// <summary>How an event reaches who hears it.</summary>
    public static readonly string[] DeliveryWords = [AtMostOnce, AtLeastOnce];

    public static readonly string[] PersonalWords = ["plain", "hmac"];

    public static readonly TimeSpan DefaultTtl = TimeSpan.FromMinutes(30);
    public static readonly TimeSpan DefaultNegativeTtl = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan EventTtl = TimeSpan.FromMinutes(1);

    public static readonly Bounds CacheTtl = new(
        TimeSpan.FromSeconds(1),
        TimeSpan.FromDays(7),
        "cached data",
        "What is older than a week is no cache but a second database."
    );
    public static readonly Bounds UserCacheTtl = new(
        TimeSpan.FromMinutes(10),
        TimeSpan.FromMinutes(30),
        "cached data of users",
        "Rights and profiles must not outlive a change for long."
    );
    public static readonly Bounds Idle = new(
        TimeSpan.FromMinutes(30),
        TimeSpan.FromMinutes(60),
        "the idle time of sessions",
        "Shorter signs working people out, longer leaves abandoned browsers open."
    );
    public static readonly Bounds Absolute = new(
        TimeSpan.FromMinutes(30),
        TimeSpan.FromHours(24),
        "the whole life of sessions",
        "Everybody signs in again once a day."
    );
    public static readonly Bounds TokenTtl = new(
        TimeSpan.FromMinutes(1),
        TimeSpan.FromDays(90),
        "the longest life of a token",
        "Its key lives until the token's own expiry and not longer; this is the limit for that expiry."
    );
    public static readonly Bounds Lease = new(
        TimeSpan.FromMilliseconds(100),
        TimeSpan.FromMinutes(10),
        "leases",
        "A lease is renewed while the work goes on; after a crash everybody waits for its end."
    );
    public static readonly Bounds Window = new(
        TimeSpan.FromSeconds(1),
        TimeSpan.FromDays(31),
        "the window of limits",
        "The key lives until the budget is full again."
    );
    public static readonly Bounds Retention = new(
        TimeSpan.FromHours(1),
        TimeSpan.FromDays(30),
        "the retention of streams",
        "A stream is trimmed by its slowest group; this is how long one may lag."
    );
    public static readonly Bounds EventData = new(
        TimeSpan.FromMinutes(1),
        TimeSpan.FromMinutes(5),
        "event data",
        "It bridges a short break of the connection; what must not be lost goes through a stream."
    );

    private static readonly string[] CommonFields = ["description", "key", "kind", "owner", "readers", "writers", "personal", "share"];

    private static readonly Dictionary<string, KindRules> ByKind = new(StringComparer.Ordinal)
    {
        [Cache] = new(Cache, CacheTtl, ["value", "data", "ttl", "grace", "negativeTtl", "jitter", "invalidatedBy"], required: []),
        [Session] = new(Session, null, ["value", "idle", "absolute", "limit", "policy"], required: ["owner", "idle", "absolute"]),
        [Token] = new(Token, TokenTtl, ["ttl"], required: ["owner", "ttl"]),
        [Lock] = new(Lock, Lease, ["ttl"], required: ["ttl"]),
        [Limit] = new(Limit, Window, ["ttl"], required: ["ttl"]),
        [Stream] = new(Stream, Retention, ["value", "ttl"], required: ["ttl"]),
    };

    private readonly HashSet<string> _fields;

    private KindRules(string kind, Bounds? ttl, string[] fields, string[] required)
    {
        Kind = kind;
        Ttl = ttl;
        Required = required;
        _fields = new HashSet<string>(fields.Concat(CommonFields), StringComparer.Ordinal);
    }

    public string Kind { get; }

    /// <summary>The bounds of the field <c>ttl</c>; <c>null</c> when the kind has none.</summary>
    public Bounds? Ttl { get; }

    public IReadOnlyList<string> Required { get; }

    public static KindRules Of(string kind) => ByKind[kind];

    public bool Allows(string field) => _fields.Contains(field);

    /// <summary>The kinds that have the field.</summary>
    public static IReadOnlyList<string> KindsWith(string field) => [.. Kinds.Where(kind => ByKind[kind].Allows(field))];

    /// <summary>Whether the family holds data of users: it says so, or stands in the namespace that the guide keeps for them.</summary>
    public static bool HoldsUserData(FamilyModel family) =>
        family.KindWord == Cache
        && (
            family.Data?.Value == UserData
            || (
                family.Data is null
                && family.Key?.Value.Segments is [{ IsIdentifier: false, Text: "cache" }, { IsIdentifier: false, Text: "user" }, ..]
            )
        );

    public static Bounds? TtlBounds(FamilyModel family) => HoldsUserData(family) ? UserCacheTtl : Of(family.KindWord).Ttl;
}

/// <summary>The shortest and the longest time that a rule allows, for what, and why.</summary>
internal sealed class Bounds(TimeSpan least, TimeSpan most, string subject, string why)
{
    public TimeSpan Least { get; } = least;

    public TimeSpan Most { get; } = most;

    public string Subject { get; } = subject;

    public string Why { get; } = why;

    public bool Hold(TimeSpan value) => value >= Least && value <= Most;

    /// <summary>The nearest time that the rule allows, in the catalog's spelling.</summary>
    public string Nearest(TimeSpan value) => CatalogWords.Spell(value < Least ? Least : Most);

    public override string ToString() => $"{CatalogWords.Spell(Least)} to {CatalogWords.Spell(Most)}";
}
