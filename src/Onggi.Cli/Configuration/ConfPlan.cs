using System.Globalization;
using System.Text;
using Onggi.Keys;

namespace Onggi.Cli.Configuration;

/// <summary>What a Redis holds, which decides what it does when it is full and after a restart.</summary>
internal enum ConfTier
{
    /// <summary>Everything.</summary>
    All,

    /// <summary>What can be loaded again.</summary>
    Cache,

    /// <summary>Sessions, tokens, locks, limits, streams: what nobody can load again.</summary>
    State,
}

/// <summary>What the file is made for.</summary>
/// <param name="IsProduction">Whether it must survive a restart.</param>
/// <param name="Tier">What it holds.</param>
/// <param name="MaxMemory">Bytes.</param>
/// <param name="Instances">How many processes of services connect.</param>
/// <param name="Directory">Where Redis writes.</param>
/// <param name="AclFile">The users; <c>null</c> for one in the directory.</param>
/// <param name="Port">TCP port; the TLS one where there is TLS.</param>
/// <param name="Bind">Addresses to listen on.</param>
/// <param name="TlsDirectory">Where ca.crt, tls.crt and tls.key lie; <c>null</c> for no TLS.</param>
/// <param name="IsReplicated">Whether there are replicas.</param>
internal sealed record ConfTerms(
    bool IsProduction,
    ConfTier Tier,
    long MaxMemory,
    int Instances,
    string Directory,
    string? AclFile,
    int Port,
    string Bind,
    string? TlsDirectory,
    bool IsReplicated
);

/// <summary>redis.conf from the catalog: every line with its reason.</summary>
internal static class ConfPlan
{
    // A service's sockets: commands, tracked reads, subscriptions, and some leases for those who block.
    private const int SocketsPerInstance = 8;
    private const int SocketsOfOthers = 64;
    private const int LeastClients = 1000;

    /// <summary>One line and its reason.</summary>
    internal sealed record Setting(string Name, string Value, string Reason);

    /// <summary>The most connections: twice what the services open, since during an update the old and the new ones stand side by side.</summary>
    public static int MaxClients(int instances) => Math.Max(LeastClients, (instances * SocketsPerInstance * 2) + SocketsOfOthers);

    /// <summary>Whether there is anything in the catalog that nobody can load again.</summary>
    public static bool HasState(Keyspace keyspace) => keyspace.Families.Any(family => family.Kind != "cache");

    /// <summary>The file's text.</summary>
    /// <param name="keyspace">The catalog, bound to the environment.</param>
    /// <param name="terms">What it is made for.</param>
    /// <param name="madeBy">The command that its first line names.</param>
    public static string Text(Keyspace keyspace, ConfTerms terms, string madeBy = "onggi conf show")
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# redis.conf of {keyspace.System}, {keyspace.Environment}")
            .Append(
                CultureInfo.InvariantCulture,
                $"{(terms.Tier == ConfTier.All ? "" : $", {terms.Tier.ToString().ToLowerInvariant()}")}: made by {madeBy}. Redis 7.0 or later.\n"
            );
        foreach (var (heading, settings) in Sections(keyspace, terms))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n# {heading}\n");
            foreach (var setting in settings)
                text.Append(CultureInfo.InvariantCulture, $"\n# {setting.Reason}\n{setting.Name} {setting.Value}\n");
        }

        return text.ToString();
    }

    /// <summary>The settings under their headings.</summary>
    public static IReadOnlyList<(string Heading, IReadOnlyList<Setting> Settings)> Sections(Keyspace keyspace, ConfTerms terms) =>
        [
            ("Network", [.. Network(terms)]),
            ("Who may do what", [.. Access(terms)]),
            ("Memory", [.. Memory(keyspace, terms)]),
            ("What survives a restart", [.. Persistence(terms)]),
            ("What can be seen", [.. Observation()]),
        ];

    private static IEnumerable<Setting> Network(ConfTerms terms)
    {
        yield return new("bind", terms.Bind, "Where it listens. A minus sign lets it start where there is no such address.");
        if (terms.TlsDirectory is { } tls)
        {
            yield return new("port", "0", "No way in without TLS.");
            yield return new("tls-port", $"{terms.Port}", "The only port.");
            yield return new(
                "tls-cert-file",
                $"{tls}/tls.crt",
                "Can be changed while it runs: CONFIG SET with the same names reads the files anew."
            );
            yield return new("tls-key-file", $"{tls}/tls.key", "As above.");
            yield return new("tls-ca-cert-file", $"{tls}/ca.crt", "Who signs the clients' certificates.");
            yield return new("tls-auth-clients", "optional", "Users log in by password; who has a certificate may show it.");
            yield return new("tls-protocols", "\"TLSv1.2 TLSv1.3\"", "Nothing older.");
            if (terms.IsReplicated)
                yield return new("tls-replication", "yes", "What replicas copy is the same data.");
        }
        else
            yield return new("port", $"{terms.Port}", "The usual one.");

        yield return new(
            "timeout",
            "0",
            "Idle connections are not cut: pools and subscriptions are idle for hours, and a dead peer is found by tcp-keepalive."
        );
        yield return new("tcp-keepalive", "60", "Below the 240 s after which cloud load balancers forget a connection.");
        yield return new("tcp-backlog", "511", "Reconnecting services come all at once. Cannot be changed while it runs.");
        yield return new(
            "maxclients",
            $"{MaxClients(terms.Instances)}",
            $"Twice {SocketsPerInstance} sockets for each of {terms.Instances} processes, and {SocketsOfOthers} for probes, exporter and people. At the limit, probes and exporter are refused, too."
        );
    }

    private static IEnumerable<Setting> Access(ConfTerms terms)
    {
        yield return new(
            "aclfile",
            terms.AclFile ?? $"{terms.Directory}/users.acl",
            "A user per service, made by onggi acl file. The default user is off, so there is no requirepass."
        );
        yield return new(
            "protected-mode",
            "yes",
            "Should the users be lost, nobody gets in from elsewhere. Official images turn it off unless it is said."
        );
        yield return new("acllog-max-len", "512", "Refused accesses: Redis keeps no other log of accesses. onggi audit reads it.");
        yield return new("enable-debug-command", "no", "DEBUG can stop the server.");
        yield return new("enable-module-command", "no", "MODULE LOAD runs foreign code.");
        if (terms.IsReplicated)
            yield return new(
                "masteruser",
                "replica",
                "Replicas log in as the user of that name; masterauth comes from the secret, not from this file."
            );
    }

    private static IEnumerable<Setting> Memory(Keyspace keyspace, ConfTerms terms)
    {
        yield return new(
            "databases",
            "1",
            "One keyspace: a cluster has no other database, rights do not know them. Cannot be changed while it runs."
        );
        yield return new(
            "maxmemory",
            $"{terms.MaxMemory}",
            terms.IsProduction
                ? $"From the catalog. Give the container {MemoryLimit(terms.MaxMemory)} bytes: while a snapshot is written, every page that changes is there twice."
                : "From the catalog. Without snapshots a container of twice that is enough."
        );
        yield return new("maxmemory-policy", Policy(keyspace, terms, out var reason), reason);
        yield return new("maxmemory-samples", "10", "Closer to the true order than 5, for little.");
        yield return new(
            "maxmemory-clients",
            "10%",
            "Slow readers' buffers count, too; beyond this the fattest connection is closed, not data evicted."
        );
        yield return new(
            "client-output-buffer-limit",
            "pubsub 32mb 8mb 60",
            "A subscriber that does not read is cut, and asks for what it missed."
        );
        foreach (var name in (string[])["eviction", "expire", "server-del", "user-del", "user-flush"])
            yield return new($"lazyfree-lazy-{name}", "yes", "Large values are freed beside the commands, not in their way.");
        yield return new(
            "tracking-table-max-keys",
            "1000000",
            "Keys whose readers are remembered. When it is full, readers are told to forget: speed is lost, not truth."
        );
    }

    private static string Policy(Keyspace keyspace, ConfTerms terms, out string reason)
    {
        if (terms.Tier == ConfTier.Cache)
        {
            reason = "Only what can be loaded again lies here; what is used most stays.";
            return "allkeys-lfu";
        }

        if (!terms.IsProduction && terms.Tier == ConfTier.All)
        {
            reason =
                "Development: when it is full, the longest unused goes, whatever it is. With sessions and locks beside caches that can be a session or a lock: production says noeviction.";
            return HasState(keyspace) ? "allkeys-lru" : "allkeys-lfu";
        }

        reason =
            "Sessions, locks and limits must not go when caches fill the memory: writes are refused instead, a cache is then loaded from its source, and the alert on memory says so before.";
        return "noeviction";
    }

    private static IEnumerable<Setting> Persistence(ConfTerms terms)
    {
        yield return new("dir", terms.Directory, "Where it writes.");
        if (!terms.IsProduction || terms.Tier == ConfTier.Cache)
        {
            yield return new("save", "\"\"", "Nothing is kept over a restart: caches are filled again, people sign in again.");
            yield return new("appendonly", "no", "As above.");
            yield break;
        }

        yield return new("save", "3600 1 300 100 60 10000", "Snapshots for backups and for new replicas.");
        yield return new("appendonly", "yes", "Sessions, tokens and fences survive a restart: at most a second is lost.");
        yield return new(
            "appendfsync",
            "everysec",
            "always costs each write a wait for the disk, no leaves it to the system: up to half a minute."
        );
        yield return new("aof-use-rdb-preamble", "yes", "Loads faster.");
        yield return new("stop-writes-on-bgsave-error", "yes", "A full disk is an error to be seen, not a backup that is missing later.");
        if (!terms.IsReplicated)
            yield break;
        yield return new(
            "min-replicas-to-write",
            "1",
            "A primary that is cut off from its replicas stops taking writes that would be lost."
        );
        yield return new(
            "min-replicas-max-lag",
            "5",
            "Seconds without a word from a replica after which it does not count. For so long a primary that is cut off goes on to confirm writes, and these are lost."
        );
        yield return new(
            "repl-diskless-sync-delay",
            "1",
            "Seconds. A second replica that comes within them gets the same copy; longer keeps the first one waiting."
        );
        yield return new("repl-backlog-size", "64mb", "A replica that was away for a moment gets what it missed, not everything.");
    }

    private static IEnumerable<Setting> Observation()
    {
        yield return new("slowlog-log-slower-than", "10000", "Microseconds. What takes 10 ms keeps everybody waiting that long.");
        yield return new("slowlog-max-len", "512", "Enough to look back over a bad hour.");
        yield return new("latency-monitor-threshold", "10", "Milliseconds; 0, the default, watches nothing.");
        yield return new("latency-tracking", "yes", "Percentiles by command, for the exporter.");
        yield return new("loglevel", "notice", "Starts, failovers, saves.");
    }

    /// <summary>What a container needs in which snapshots are written.</summary>
    public static long MemoryLimit(long maxMemory) => (long)Math.Ceiling(maxMemory / 0.45);
}
