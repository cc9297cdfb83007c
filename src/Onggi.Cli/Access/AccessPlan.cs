using Onggi.Events;
using Onggi.Events.Streams;
using Onggi.Keys;

namespace Onggi.Cli.Access;

/// <summary>The users of a team's Redis with the least rights that each needs, made from the catalog.</summary>
/// <remarks>
/// <para>A service may use its own families and those that name it as a writer, read those that name it as a reader, and remove keys of those that its events invalidate. Of sessions, a reader writes, too: to
/// validate one is to note that it was used.</para>
/// <para>What ACL cannot keep apart: a channel's right is for publishing and listening alike, so who may listen to the events can also publish to their channels, past their
/// numbering; and CLIENT TRACKING tells names of keys that the user may not read. https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/</para>
/// </remarks>
internal static class AccessPlan
{
    public const string Probe = "probe";
    public const string Exporter = "exporter";
    public const string Operator = "operator";
    public const string Backup = "backup";
    public const string Replica = "replica";
    public const string Sentinel = "sentinel";
    public const string Certificates = "certificates";

    // Everything about one's own keys, then less what reaches beyond them or beyond this connection.
    private static readonly string[] ServiceCommands =
    [
        "-@all",
        "+@read",
        "+@write",
        "+@connection",
        "+@transaction",
        "+@pubsub",
        "+@scripting",
        "-@admin",
        "-@dangerous",
        "-scan",
        "-randomkey",
        "-dbsize",
        "-select",
        "-move",
        "-function",
        "-pubsub",
        "-script",
        "+script|load",
        "+script|exists",
        "+info",
        "+role", // With several servers and no Sentinel the client asks each what it is.
        "+time",
        "+cluster|slots",
        "+cluster|shards",
    ];

    private static readonly string[] OperatorCommands =
    [
        "-@all",
        "+@read",
        "+@write",
        "+@connection",
        "+@transaction",
        "+@pubsub",
        "+@scripting",
        "-@dangerous",
        "-function",
        "-script|flush",
        "+info",
        "+role",
        "+time",
        "+dbsize",
        "+scan",
        "+restore",
        "+slowlog|get",
        "+slowlog|len",
        "+latency",
        "+client|list",
        "+client|info",
        "+client|kill",
        "+client|pause",
        "+client|unpause",
        "+config|get",
        "+acl|list",
        "+acl|getuser",
        "+acl|setuser",
        "+acl|save",
        "+acl|load",
        "+acl|dryrun",
        "+acl|log",
        "+acl|whoami",
        "+acl|users",
        "+memory|usage",
        "+memory|stats",
        "+memory|doctor",
        "+cluster|info",
        "+cluster|slots",
        "+cluster|shards",
        "+cluster|nodes",
        "+bgsave",
        "+bgrewriteaof", // After a full disk: see docs/operations/high-availability.md.
        "+lastsave",
        "+wait",
    ];

    /// <summary>All users: the services of the catalog, and those who look after Redis.</summary>
    /// <param name="keyspace">The catalog, bound to the environment.</param>
    /// <param name="replicated">Whether there are replicas and Sentinels, which need users of their own.</param>
    public static IReadOnlyList<AccessUser> Of(Keyspace keyspace, bool replicated)
    {
        var users = new List<AccessUser> { Nobody() };
        users.AddRange(keyspace.Services.Select(service => ForService(keyspace, service)));
        users.Add(
            new AccessUser(
                Probe,
                "Kubernetes and load balancers: asks whether Redis answers.",
                ["resetkeys", "resetchannels", "-@all", "+ping"]
            )
        );
        users.Add(ForExporter());
        users.Add(new AccessUser(Operator, "The onggi tool, and the people who look after Redis.", ["~*", "&*", .. OperatorCommands]));
        users.Add(ForBackup());
        if (replicated)
            users.AddRange(ForReplication());
        return users;
    }

    private static AccessUser Nobody() =>
        new(AccessUser.Default, "Nobody: who does not say who he is may do nothing.", ["resetkeys", "resetchannels", "-@all"]);

    private static AccessUser ForService(Keyspace keyspace, string service)
    {
        var rules = new List<string>();
        rules.AddRange(Keys(keyspace, service).Distinct());
        rules.Add("resetchannels");
        rules.AddRange(Channels(keyspace).Select(channel => "&" + channel).Distinct());
        rules.AddRange(ServiceCommands);
        if (Removal(keyspace, service) is { } selector)
            rules.Add(selector);
        return new AccessUser(service, $"The service {service}.", ["resetkeys", .. rules]);
    }

    // Own families, families to read, Onggi's own keys, and the heads of the events that it publishes.
    private static IEnumerable<string> Keys(Keyspace keyspace, string service)
    {
        foreach (var family in keyspace.Families)
        {
            if (Writes(family, service))
                foreach (var pattern in family.ScanPatterns)
                    yield return "~" + pattern;
            else if (Reads(family, service))
                foreach (var pattern in family.ScanPatterns)
                    yield return "%R~" + pattern;
        }

        foreach (var pattern in BothOf($"{keyspace.Prefix}onggi:*"))
            yield return "~" + pattern;
        foreach (var type in Published(keyspace, service))
        foreach (var pattern in HeadOf(keyspace, type))
            yield return "~" + pattern;
        foreach (var pattern in BothOf($"{keyspace.Prefix}events:head:*"))
            yield return "%R~" + pattern;
        // Who hears an event at least once writes to its stream: what it was handed, and what became of it.
        foreach (var known in keyspace.Events.Where(known => known.Delivery == EventDelivery.AtLeastOnce))
        foreach (var pattern in StreamOf(keyspace, known.Type))
            yield return "~" + pattern;
    }

    /// <summary>Whether the service may write the family's keys.</summary>
    public static bool Writes(FamilySettings family, string service) =>
        family.Owner is null
        || family.Owner == service
        || family.Writers.Contains("*")
        || family.Writers.Contains(service)
        || (family.Kind == "session" && Reads(family, service));

    /// <summary>Whether the catalog names the service as a reader of the family.</summary>
    public static bool Reads(FamilySettings family, string service) => family.Readers.Contains("*") || family.Readers.Contains(service);

    /// <summary>Whether the service may remove the family's keys because an event that it publishes invalidates them.</summary>
    public static bool Removes(Keyspace keyspace, FamilySettings family, string service) =>
        keyspace.Events.Any(known => Publishes(known, service) && known.Families.Contains(family.Family.Name));

    // One command can name keys of several families, and one selector must cover them all: so its own stand there, too.
    private static string? Removal(Keyspace keyspace, string service)
    {
        var families = keyspace.Families.Where(family => Removes(keyspace, family, service)).ToList();
        return families.TrueForAll(family => Writes(family, service))
            ? null
            : $"(+unlink {string.Join(' ', families.SelectMany(family => family.ScanPatterns).Select(pattern => "%W~" + pattern))})";
    }

    private static IEnumerable<string> Published(Keyspace keyspace, string service)
    {
        foreach (var known in keyspace.Events.Where(known => Publishes(known, service)))
            yield return known.Type;
        yield return OnggiEventTypes.CacheInvalidated.Name;
        yield return OnggiEventTypes.CacheWarmed.Name;
        foreach (var kind in keyspace.Families.Where(family => Writes(family, service)).Select(family => family.Kind).Distinct())
        {
            var types = kind switch
            {
                "session" => new[]
                {
                    OnggiEventTypes.AuthSessionCreated.Name,
                    OnggiEventTypes.AuthSessionExpired.Name,
                    OnggiEventTypes.AuthSessionRevoked.Name,
                },
                "token" => [OnggiEventTypes.AuthTokenIssued.Name, OnggiEventTypes.AuthTokenRevoked.Name],
                _ => [],
            };
            foreach (var type in types)
                yield return type;
        }
    }

    private static bool Publishes(EventSettings known, string service) =>
        known.Publishers.Contains("*") || known.Publishers.Contains(service);

    // The head itself, and what lies in its slot: the ring.
    private static IEnumerable<string> HeadOf(Keyspace keyspace, string type)
    {
        yield return $"{keyspace.Prefix}events:head:{type}";
        yield return $"{{{keyspace.Prefix}events:head:{type}}}:*";
    }

    // The stream, and all that lies in its slot.
    private static IEnumerable<string> StreamOf(Keyspace keyspace, string type)
    {
        var stream = StreamKeys.NameOf(keyspace.Prefix, type);
        yield return stream;
        yield return $"{{{stream}}}:*";
    }

    private static IEnumerable<string> Channels(Keyspace keyspace)
    {
        yield return $"{keyspace.Prefix}events:*";
        yield return $"{{{keyspace.Prefix}events:head:*"; // On a cluster channels lie in the slots of their heads.
        foreach (var channel in keyspace.Events.Select(known => known.Channel))
            if (!channel.StartsWith($"{keyspace.Prefix}events:", StringComparison.Ordinal))
                yield return channel;
        if (keyspace.Families.Any(family => family.Kind == "lock"))
            yield return $"{{{keyspace.Prefix}locks:*";
    }

    private static IEnumerable<string> BothOf(string pattern) => [pattern, "{" + pattern];

    // What redis_exporter asks for; with these its log of refusals stays empty.
    private static AccessUser ForExporter() =>
        new(
            Exporter,
            "The exporter of metrics: reads figures, no key and no channel.",
            [
                "resetkeys",
                "resetchannels",
                "-@all",
                "+ping",
                "+info",
                "+config|get",
                "+slowlog|len",
                "+slowlog|get",
                "+latency|latest",
                "+latency|histogram",
                "+client|list",
                "+client|setname",
                "+cluster|info",
                "+select",
            ]
        );

    // Reads keys one by one for an archive, or all of them by the replication stream for an RDB. It writes nothing: a restore is the operator's.
    private static AccessUser ForBackup() =>
        new(
            Backup,
            "onggi backup create: reads all keys, writes none. Whoever has its password can read everything.",
            [
                "resetkeys",
                "%R~*",
                "resetchannels",
                "-@all",
                "+@read",
                "+@connection",
                "-@dangerous",
                "+@transaction",
                "+info",
                "+time",
                "+scan",
                "+memory|usage",
                "+sync",
                "+psync",
                "+replconf",
            ]
        );

    // https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/#acl-rules-for-sentinel-and-replicas
    private static IEnumerable<AccessUser> ForReplication() =>
        [
            new(
                Replica,
                "Replicas, when they copy from the primary; and the scripts that start and stop a server: who is the primary, and nothing is written while it is handed over.",
                [
                    "resetkeys",
                    "resetchannels",
                    "-@all",
                    "+psync",
                    "+replconf",
                    "+ping",
                    "+role",
                    "+replicaof",
                    "+client|pause",
                    "+client|unpause",
                ]
            ),
            new(
                Certificates,
                "The script that gives a running server its renewed certificate. CONFIG SET has no rights of its own for each setting, so this user is for nothing else.",
                ["resetkeys", "resetchannels", "-@all", "+ping", "+config|set"]
            ),
            new(
                Sentinel,
                "Sentinels: watch, and make another the primary.",
                [
                    "resetkeys",
                    "resetchannels",
                    "&__sentinel__:*",
                    "-@all",
                    "+multi",
                    "+slaveof",
                    "+replicaof",
                    "+ping",
                    "+exec",
                    "+subscribe",
                    "+psubscribe",
                    "+publish",
                    "+config|rewrite",
                    "+role",
                    "+info",
                    "+client|setname",
                    "+client|kill",
                    "+script|kill",
                ]
            ),
        ];
}
