namespace Onggi.Cli.Access;

/// <summary>The users of the Sentinels, which have a file of users of their own. Who is known by the same name at Redis has the same password here.</summary>
/// <remarks>https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#sentinel-access-control-list-authentication</remarks>
internal static class SentinelAccess
{
    /// <summary>Services, when they ask where the primary is.</summary>
    public const string Client = "sentinel-client";

    // What Onggi's client listens to, and most others.
    private static readonly string[] Channels =
    [
        "&+switch-master",
        "&+slave",
        "&+sdown",
        "&-sdown",
        "&+odown",
        "&-odown",
        "&+slave-reconf-done",
        "&+sentinel",
    ];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<AccessUser> All { get; } =
    [
        new(AccessUser.Default, "Nobody: who does not say who he is may do nothing.", ["resetkeys", "resetchannels", "-@all"]),
        new(
            Client,
            "Services: ask where the primary is, and hear of a failover. They start none.",
            [
                "resetkeys",
                "resetchannels",
                .. Channels,
                "-@all",
                "+ping",
                "+info",
                "+role",
                "+client|setname",
                "+client|id",
                "+subscribe",
                "+psubscribe",
                "+unsubscribe",
                "+punsubscribe",
                "+sentinel|get-master-addr-by-name",
                "+sentinel|master",
                "+sentinel|masters",
                "+sentinel|myid",
                "+sentinel|replicas",
                "+sentinel|slaves",
                "+sentinel|sentinels",
            ]
        ),
        new(
            AccessPlan.Sentinel,
            "The other Sentinels.",
            ["resetkeys", "allchannels", "-@all", "+@connection", "+@pubsub", "+sentinel", "+info", "+role"]
        ),
        new(
            AccessPlan.Replica,
            "The scripts that start and stop a server: who is the primary, and that another is to be it.",
            ["resetkeys", "resetchannels", "-@all", "+ping", "+sentinel|master", "+sentinel|failover"]
        ),
        new(AccessPlan.Probe, "Kubernetes: asks whether the Sentinel answers.", ["resetkeys", "resetchannels", "-@all", "+ping"]),
        new(
            AccessPlan.Exporter,
            "The exporter of metrics.",
            [
                "resetkeys",
                "resetchannels",
                "-@all",
                "+ping",
                "+info",
                "+client|setname",
                "+sentinel|masters",
                "+sentinel|replicas",
                "+sentinel|slaves",
                "+sentinel|sentinels",
                "+sentinel|ckquorum",
            ]
        ),
        new(
            AccessPlan.Operator,
            "The people who look after Redis.",
            ["resetkeys", "allchannels", "-@all", "+@connection", "+@pubsub", "+sentinel", "+info", "+role"]
        ),
    ];
}
