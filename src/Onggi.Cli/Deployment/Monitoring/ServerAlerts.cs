using Onggi.Cli.Configuration;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>What is wrong with a Redis, by the figures of its exporter.</summary>
/// <remarks>A label <c>tier</c> of the target says what a Redis holds: <c>cache</c> (what can be loaded again), <c>state</c> (what cannot), or nothing for both.</remarks>
internal static class ServerAlerts
{
    private const string Redis = $"job=\"{MonitoringTerms.RedisJob}\"";
    private const string Exporter = $"job=\"{MonitoringTerms.ExporterJob}\"";
    private const string Where = "{{ $labels.instance }}";
    private const string Share = "{{ $value | humanizePercentage }}";

    public static IEnumerable<AlertRule> All(MonitoringTerms terms) =>
        [.. Presence(terms), .. Memory(terms), .. Traffic(terms), .. Copies(terms), .. terms.IsProduction ? Production(terms) : []];

    private static IEnumerable<AlertRule> Presence(MonitoringTerms terms)
    {
        yield return new("RedisDown", Severity.Critical, "1m", $"redis_up{{{Redis}}} == 0")
        {
            Summary = $"Redis {Where} does not answer",
            Description =
                $"redis_up of {Where} is {{{{ $value }}}}: the exporter cannot reach it, its password is refused, or no connection is left. Services load from their sources; nobody can sign in.",
            Action = "Look whether the process runs and answers PING, then at its log.",
        };
        yield return new("RedisExporterDown", Severity.Critical, "2m", $"up{{{Exporter}}} == 0 or absent(up{{{Exporter}}})")
        {
            Summary = "Nobody watches Redis: its exporter is gone",
            Description =
                "The exporter cannot be scraped, or Prometheus knows none. Every other alert about Redis is silent now, whatever happens.",
            Action = "Start the exporter, or mend the job redis-exporter in Prometheus.",
        };
        yield return new("RedisUnwatched", Severity.Warning, "2m", $"up{{{Redis}}} == 0 or absent(up{{{Redis}}})")
        {
            Summary = "A Redis is not watched",
            Description =
                "Prometheus gets no figures of {{ with $labels.instance }}{{ . }}{{ else }}any Redis{{ end }}: the exporter does not answer for it in time, or there is no target. Alerts about it are silent.",
            Action = "Ask the exporter by hand: curl 'http://EXPORTER:9121/scrape?target=REDIS'.",
        };
        yield return new("RedisRestarted", Severity.Warning, "0s", $"resets(redis_uptime_in_seconds{{{Redis}}}[{terms.Over("10m")}]) > 0")
        {
            Summary = $"Redis {Where} was restarted",
            Description = terms.IsProduction
                ? $"{Where} began anew lately ({{{{ $value }}}} times). What it had not written to disk is lost: at most a second."
                : $"{Where} began anew lately ({{{{ $value }}}} times). It keeps nothing over a restart: everybody signs in again, caches are empty.",
            Action = "Look why in its log; see that the warm-ups ran: onggi warm.",
        };
    }

    private static IEnumerable<AlertRule> Memory(MonitoringTerms terms)
    {
        const string Used = $"redis_memory_used_bytes{{{Redis}}} / (redis_memory_max_bytes{{{Redis}}} > 0)";
        yield return new("RedisMemoryHigh", Severity.Warning, "5m", $"{Used} > 0.8")
        {
            Summary = $"Redis {Where} is nearly full",
            Description =
                $"{Where} uses {Share} of its maxmemory, more than 80 %. When it is full, writes are refused or keys evicted, as its policy says.",
            Action = "See who takes it: onggi audit. Clean up, shorten times to live, or give it more memory.",
        };
        yield return new(
            "RedisMemoryFull",
            Severity.Critical,
            "1m",
            $"{Used} > 0.95 and on (instance) redis_instance_info{{{Redis},maxmemory_policy=\"noeviction\"}}"
        )
        {
            Summary = $"Redis {Where} is about to refuse writes",
            Description =
                $"{Where} uses {Share} of its maxmemory and evicts nothing: at 100 % every write is an error, logins and locks too.",
            Action = "Raise maxmemory now if the machine has room, or delete caches of one family: onggi delete --family.",
        };
        if (terms.Keyspace.MemoryLimit is { } limit)
            yield return new("RedisMemoryLimitWrong", Severity.Warning, "10m", $"redis_memory_max_bytes{{{Redis}}} != {limit}")
            {
                Summary = $"Redis {Where} has another maxmemory than the catalog",
                Description =
                    $"maxmemory of {Where} is {{{{ $value | humanize1024 }}}}B, the catalog says {Words.Size(limit)}: shares of families, and the alert on memory, are reckoned from the wrong figure.",
                Action = "Set maxmemory as onggi conf show says, or change the catalog.",
            };
        yield return new(
            "RedisEvicting",
            Severity.Warning,
            "5m",
            $"60 * rate(redis_evicted_keys_total{{{Redis}}}[{terms.Over("5m")}]) > 1000"
        )
        {
            Summary = $"Redis {Where} evicts more than 1,000 keys a minute",
            Description =
                $"{Where} evicts {{{{ $value | humanize }}}} keys a minute to make room. What is evicted must be loaded again; of sessions and locks nobody can.",
            Action = "See who takes the memory: onggi audit. Shorten times to live of large families, or give it more memory.",
        };
        if (ConfPlan.HasState(terms.Keyspace))
            yield return new(
                "RedisEvictsState",
                terms.IsProduction ? Severity.Critical : Severity.Warning,
                "0s",
                $"increase(redis_evicted_keys_total{{{Redis},tier!=\"cache\"}}[{terms.Over("10m")}]) > 0"
            )
            {
                Summary = $"Redis {Where} evicts keys, and holds what nobody can load again",
                Description =
                    $"{Where} has evicted keys lately ({{{{ $value | humanize }}}} of them). Sessions, tokens, locks and limits lie there: people are signed out, locks have two holders, revoked tokens count again.",
                Action = "Make room at once, and set maxmemory-policy noeviction, or put caches on a Redis of their own.",
            };
        var refused = $"redis_errors_total{{{Redis},err=~\"OOM|MISCONF|NOREPLICAS\"}}";
        yield return new(
            "RedisWritesRefused",
            Severity.Critical,
            "0s",
            $"{Promql.GrewOnServer(refused, terms.Over("5m"), "instance", "err")} > 0"
        )
        {
            Summary = $"Redis {Where} refuses writes: {{{{ $labels.err }}}}",
            Description =
                $"{Where} has refused {{{{ $value | humanize }}}} writes lately with {{{{ $labels.err }}}}: OOM is want of memory, MISCONF of disk, NOREPLICAS of replicas.",
            Action = "OOM: make room. MISCONF: look at the disk. NOREPLICAS: bring the replicas back.",
        };
    }

    private static IEnumerable<AlertRule> Traffic(MonitoringTerms terms)
    {
        yield return new(
            "RedisClientsHigh",
            Severity.Warning,
            "2m",
            $"redis_connected_clients{{{Redis}}} / redis_config_maxclients{{{Redis}}} > 0.8"
        )
        {
            Summary = $"Redis {Where} is nearly out of connections",
            Description =
                $"{Where} has {Share} of the connections that maxclients allows. At 100 % services, probes and the exporter are turned away.",
            Action = "See whose they are: onggi clients. Find who opens one per request, or raise maxclients.",
        };
        yield return new(
            "RedisConnectionsRejected",
            Severity.Critical,
            "0s",
            $"increase(redis_rejected_connections_total{{{Redis}}}[{terms.Over("5m")}]) > 0"
        )
        {
            Summary = $"Redis {Where} turns connections away",
            Description = $"{Where} has turned {{{{ $value | humanize }}}} connections away lately, for maxclients is reached.",
            Action = "See whose they are: onggi clients. Close what leaks: CLIENT KILL; then raise maxclients.",
        };
        const string Caches = $"{Redis},tier!=\"state\"";
        var (hits, misses) = (
            $"rate(redis_keyspace_hits_total{{{Caches}}}[{terms.Over("10m")}])",
            $"rate(redis_keyspace_misses_total{{{Caches}}}[{terms.Over("10m")}])"
        );
        yield return new("RedisHitRateLow", Severity.Warning, "15m", $"{hits} / ({hits} + {misses}) < 0.8 and {hits} + {misses} > 10")
        {
            Summary = $"Redis {Where} often has not what it is asked for",
            Description =
                $"Of {Where}'s lookups {Share} found something, less than 80 %. Looks for locks and limits count, too; OnggiCacheHitRateLow tells which family it is.",
            Action = "Look at the families' hit rates first, then at what invalidates them.",
        };
        var denied = $"redis_errors_total{{{Redis},err=~\"NOPERM|NOAUTH|WRONGPASS\"}}";
        yield return new(
            "RedisAccessRefused",
            Severity.Warning,
            "0s",
            $"{Promql.GrewOnServer(denied, terms.Over("15m"), "instance", "err")} > 0"
        )
        {
            Summary = $"Redis {Where} refuses somebody: {{{{ $labels.err }}}}",
            Description =
                $"{Where} has answered {{{{ $value | humanize }}}} times with {{{{ $labels.err }}}} lately: a right lacks, a password is old, or somebody tries doors.",
            Action = "onggi audit tells who and what (ACL LOG).",
        };
        yield return new(
            "RedisSlowCommands",
            Severity.Warning,
            "0s",
            $"{Promql.GrewOnServer($"redis_slowlog_last_id{{{Redis}}}", terms.Over("10m"), "instance")} > 20"
        )
        {
            Summary = $"Redis {Where} runs slow commands",
            Description =
                $"{{{{ $value | humanize }}}} commands took longer than the slow log's threshold on {Where} lately; while one runs everybody else waits.",
            Action = "onggi slowlog tells which, and of which family.",
        };
    }

    private static IEnumerable<AlertRule> Copies(MonitoringTerms terms)
    {
        yield return new("RedisReplicaBroken", Severity.Critical, "1m", $"redis_master_link_up{{{Redis}}} == 0")
        {
            Summary = $"The replica {Where} has lost its primary",
            Description =
                $"{Where} does not copy from {{{{ $labels.master_host }}}}:{{{{ $labels.master_port }}}}; its link is {{{{ $value }}}}. Should the primary die now, what was written since is lost.",
            Action = "Look at its log: the password of the user replica, the network policy, or a primary that is gone.",
        };
        yield return new("RedisReplicaLagging", Severity.Warning, "2m", $"redis_connected_slave_lag_seconds{{{Redis}}} > 10")
        {
            Summary = $"A replica of {Where} falls behind",
            Description =
                $"The replica {{{{ $labels.slave_ip }}}}:{{{{ $labels.slave_port }}}} was last heard {{{{ $value }}}} s ago by {Where}. It does not count for min-replicas-to-write any more.",
            Action = "Look whether the replica hangs, swaps, or copies everything anew.",
        };
        yield return new("RedisSnapshotFailing", Severity.Critical, "1m", $"redis_rdb_last_bgsave_status{{{Redis}}} == 0")
        {
            Summary = $"Redis {Where} cannot write snapshots",
            Description =
                $"The last snapshot of {Where} failed (status {{{{ $value }}}}). With stop-writes-on-bgsave-error it refuses writes until one succeeds.",
            Action = "Look at its log: the disk is full, the folder is gone, or memory for the fork lacks. Then BGSAVE.",
        };
        yield return new(
            "RedisAofFailing",
            Severity.Critical,
            "1m",
            $"redis_aof_last_write_status{{{Redis}}} == 0 or redis_aof_last_bgrewrite_status{{{Redis}}} == 0"
        )
        {
            Summary = $"Redis {Where} cannot write its append-only file",
            Description =
                $"The last write or rewrite of {Where}'s append-only file failed (status {{{{ $value }}}}): a restart would bring back an older state, and writes are refused.",
            Action = "Look at its log and the disk's room. Then BGREWRITEAOF.",
        };
    }

    private static IEnumerable<AlertRule> Production(MonitoringTerms terms)
    {
        const string Primary = $"redis_instance_info{{{Redis},role=\"master\"}}";
        yield return new(
            "RedisReplicasMissing",
            Severity.Warning,
            "2m",
            $"redis_connected_slaves{{{Redis}}} < {terms.Replicas} and on (instance) {Primary}"
        )
        {
            Summary = $"The primary {Where} has too few replicas",
            Description =
                $"{Where} has {{{{ $value }}}} of {terms.Replicas} replicas. Without any, writes are refused (min-replicas-to-write) and nothing can take over.",
            Action = "See which pod is not ready, and why it does not copy.",
        };
        yield return new("RedisTwoPrimaries", Severity.Critical, "1m", $"count by (tier) (count by (tier, instance) ({Primary})) > 1")
        {
            Summary = "There is more than one primary",
            Description =
                "{{ $value }} of the servers say that they are the primary. Those on the wrong side take writes that will be lost, and locks can have two holders.",
            Action = "Ask the Sentinels who it is, and make the others replicas.",
        };
        yield return new("RedisNoPrimary", Severity.Critical, "1m", $"absent({Primary})")
        {
            Summary = "There is no primary",
            Description = "No Redis that answers says it is the primary: nothing can be written. A failover takes seconds, not a minute.",
            Action = "Ask the Sentinels: do they see a quorum, and a replica that may take over?",
        };
        const string Sentinels = $"redis_up{{job=\"{MonitoringTerms.SentinelJob}\"}}";
        if (terms.Replicas > 0)
            yield return new("RedisSentinelDown", Severity.Warning, "2m", $"{Sentinels} == 0 or absent({Sentinels})")
            {
                Summary = "A Sentinel is gone",
                Description =
                    "{{ with $labels.instance }}{{ . }} does not answer{{ else }}No Sentinel is watched{{ end }}. With one of three gone a failover still comes about; with two gone nobody replaces a primary that dies.",
                Action = "Look at its pod and its log, and bring it back before the next one goes.",
            };
        yield return new("RedisPersistenceOff", Severity.Critical, "5m", $"redis_aof_enabled{{{Redis},tier!=\"cache\"}} == 0")
        {
            Summary = $"Redis {Where} keeps nothing over a restart",
            Description = $"{Where} has no append-only file (aof_enabled {{{{ $value }}}}), and holds sessions, tokens and fences.",
            Action = "appendonly yes, as onggi conf show --production says.",
        };
    }
}
