using Onggi.Cli.Configuration;
using Onggi.Keys;

namespace Onggi.Cli.Deployment.Files;

/// <summary>A file as it is mounted into a pod.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Text">What it holds; never anything secret.</param>
internal sealed record DeployFile(string Name, string Text);

/// <summary>What Redis and the Sentinels of an environment are started with, from the catalog.</summary>
internal static class DeployFiles
{
    public const string MadeBy = "onggi deploy files";

    private const int RedisPort = 6379;
    private const int SentinelPort = 26379;
    private const long DefaultMemory = 512L << 20;
    private const string Data = "/data";
    private const string Everywhere = "* -::*";

    // Where the pods have their Secrets: /run/secrets/ and the Secret's name.
    private const string Acl = "/run/secrets/redis-acl";
    private const string Tls = "/run/secrets/redis-tls";

    private static readonly string[] Scripts = ["common.sh", "redis-entry.sh", "sentinel-entry.sh", "pre-stop.sh", "reload-tls.sh"];

    /// <summary>The files: redis.conf alone for one Redis; for a replicated set sentinel.conf and the scripts that start and stop them, too.</summary>
    /// <param name="keyspace">The catalog, bound to the environment.</param>
    /// <param name="isReplicated">Whether there are replicas and Sentinels, TLS, and data that survive a restart.</param>
    /// <param name="instances">How many processes of services connect.</param>
    public static IReadOnlyList<DeployFile> Of(Keyspace keyspace, bool isReplicated, int instances)
    {
        var redis = new ConfTerms(
            isReplicated,
            ConfTier.All,
            keyspace.MemoryLimit ?? DefaultMemory,
            instances,
            Data,
            $"{Acl}/users.acl",
            RedisPort,
            Everywhere,
            isReplicated ? Tls : null,
            isReplicated
        );
        var conf = new DeployFile("redis.conf", ConfPlan.Text(keyspace, redis, MadeBy));
        if (!isReplicated)
            return [conf];
        var sentinel = redis with { AclFile = $"{Acl}/sentinel.acl", Port = SentinelPort };
        return
        [
            conf,
            new DeployFile("sentinel.conf", SentinelPlan.Text(keyspace, sentinel)),
            .. Scripts.Select(name => new DeployFile(name, Script(name))),
        ];
    }

    private static string Script(string name)
    {
        using var stream =
            typeof(DeployFiles).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name} is not in the tool.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
