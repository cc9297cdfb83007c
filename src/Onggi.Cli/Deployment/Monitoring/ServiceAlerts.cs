namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>What is wrong as the services see it, by the library's own figures.</summary>
internal static class ServiceAlerts
{
    // They wait because they are told to: their time says nothing of Redis.
    private const string Blocking = "db_operation_name!~\"B[LRZ].*|XREAD.*|WAIT.*\"";

    // Callers that gave up, and answers that are part of the protocol, are no failures.
    private const string Failed = "error_type!~\"|.*Cancel.*|NOSCRIPT|MOVED|ASK|BUSYGROUP\"";
    private const int SecondsPerDay = 86_400;
    private const string Share = "{{ $value | humanizePercentage }}";
    private const string Count = "{{ $value | humanize }}";
    private const string Family = "{{ $labels.onggi_family }}";
    private const string Type = "{{ $labels.onggi_event_type }}";

    public static IEnumerable<AlertRule> All(MonitoringTerms terms) =>
        [
            .. Links(terms),
            .. Certificates(terms),
            .. Caches(terms),
            .. Events(terms),
            .. Streams(terms),
            .. Blocks(terms),
            .. People(terms),
        ];

    private static string Job(MonitoringTerms terms) => $"job=\"{terms.ServicesJob}\"";

    private static IEnumerable<AlertRule> Links(MonitoringTerms terms)
    {
        var job = Job(terms);
        var (slow, some) = (terms.Over("5m"), terms.Over("5m"));
        // In a cluster a service without a pod has no target that could be down: then it is missed, by the name of its Service.
        var gone = $"group by (service) (up{{{job},service!=\"\"}} offset {terms.Over("1h")}) unless on (service) up{{{job}}}";
        yield return new("OnggiServiceDown", Severity.Warning, "2m", $"up{{{job}}} == 0 or absent(up{{{job}}}) or ({gone})")
        {
            Summary = "A service is gone",
            Description =
                "There are no metrics of {{ with $labels.instance }}{{ . }}{{ else }}{{ with $labels.service }}{{ . }}{{ else }}any service{{ end }}{{ end }}: it is down, or Prometheus has no way to it.",
            Action = "Look whether it runs; then curl its /metrics.",
        };
        yield return new("OnggiLinkDown", Severity.Critical, "1m", $"onggi_client_connected{{{job}}} == 0")
        {
            Summary = "{{ $labels.instance }} has no connection to Redis",
            Description =
                "{{ $labels.instance }} sends nothing to Redis {{ $labels.server_address }}:{{ $labels.server_port }} (connected {{ $value }}): calls fail at once, caches load from their sources.",
            Action = "If Redis is up for others: the network policy, the service's password, its log.",
            FollowsRedis = true,
        };
        var quantile =
            $"histogram_quantile(0.99, {Promql.Rate($"db_client_operation_duration_seconds_bucket{{{job},{Blocking}}}", slow, "instance", "le")})";
        yield return new(
            "OnggiLatencyHigh",
            Severity.Warning,
            "10m",
            $"{quantile} > 0.01 and {Promql.Rate($"db_client_operation_duration_seconds_count{{{job},{Blocking}}}", slow, "instance")} > 1"
        )
        {
            Summary = "Redis answers {{ $labels.instance }} slowly",
            Description =
                "One command of a hundred takes {{ $labels.instance }} longer than {{ $value | humanizeDuration }}, more than 10 ms.",
            Action = "Slow for all: onggi slowlog, the node's CPU. For one: its thread pool (onggi_client_take_overs_total), its network.",
            FollowsRedis = true,
        };
        var all = $"db_client_operation_duration_seconds_count{{{job}}}";
        yield return new(
            "OnggiCommandsFailing",
            Severity.Warning,
            "5m",
            $"{Promql.Rate($"db_client_operation_duration_seconds_count{{{job},{Failed}}}", some, "instance")} / {Promql.Rate(all, some, "instance")} > 0.01"
        )
        {
            Summary = "Commands of {{ $labels.instance }} fail",
            Description = $"{Share} of the commands of {{{{ $labels.instance }}}} end with an error or without an answer.",
            Action = "See which error: the dashboard of the client, by error_type.",
            FollowsRedis = true,
        };
    }

    // The exporter knows nothing of certificates; what connects to Redis is shown them. Where a new one was put up, whoever connected last has seen it: hence the latest end.
    private static IEnumerable<AlertRule> Certificates(MonitoringTerms terms)
    {
        var left = $"max by (server_address, server_port) (onggi_client_certificate_expires_in_seconds{{{Job(terms)}}})";
        const string Server = "{{ $labels.server_address }}:{{ $labels.server_port }}";
        const string Left = "{{ $value | humanizeDuration }}";
        // It is renewed 60 days before its end by what runs once a month: with less than 30 left it was not.
        yield return new("OnggiCertificateEnds", Severity.Warning, "15m", $"{left} < {21 * SecondsPerDay}")
        {
            Summary = $"The certificate of {Server} ends soon",
            Description =
                $"The certificate that {Server} shows, or one that it rests on, ends in {Left}. From then on nobody can connect to it anew.",
            Action = "Renew it: onggi deploy secrets; then reload-tls.sh in each Redis pod, and the Sentinels anew, one after the other.",
        };
        yield return new("OnggiCertificateAlmostOver", Severity.Critical, "5m", $"{left} < {3 * SecondsPerDay}")
        {
            Summary = $"The certificate of {Server} is almost over",
            Description =
                $"The certificate that {Server} shows, or one that it rests on, ends in {Left}. From then on every restart, of it or of a service, is an outage.",
            Action =
                "Renew it now: onggi deploy secrets; then reload-tls.sh in each Redis pod, and the Sentinels anew, one after the other.",
        };
    }

    private static IEnumerable<AlertRule> Caches(MonitoringTerms terms)
    {
        var (job, over) = (Job(terms), terms.Over("10m"));
        var reads = Promql.Rate($"onggi_cache_requests_total{{{job},onggi_outcome=~\"memory|redis|miss\"}}", over, "onggi_family");
        var misses = Promql.Rate($"onggi_cache_requests_total{{{job},onggi_outcome=\"miss\"}}", over, "onggi_family");
        yield return new(
            "OnggiCacheHitRateLow",
            Severity.Warning,
            "15m",
            $"{misses} / {reads} * on (onggi_family) group_left (owner) {FamilyRules.Info}{{{terms.Own}}} > 0.2 and on (onggi_family) {reads} > 1"
        )
        {
            Summary = $"The cache often has not {Family}",
            Description =
                $"{Share} of the reads of {Family} (owner: {{{{ $labels.owner }}}}) found nothing, more than 20 %: the source does the cache's work.",
            Action = "Look at what invalidates it (onggi catalog show), its time to live, and whether it was warmed.",
            FollowsRedis = true,
        };
        var failures = Promql.Rate($"onggi_cache_load_failures_total{{{job}}}", terms.Over("5m"), "onggi_family");
        var loads = Promql.Rate($"onggi_cache_loads_total{{{job}}}", terms.Over("5m"), "onggi_family");
        yield return new("OnggiLoadsFailing", Severity.Warning, "5m", $"{failures} / ({failures} + {loads}) > 0.1")
        {
            Summary = $"The source of {Family} fails",
            Description = $"{Share} of the loads of {Family} ended with an error. What is cached is served while it lives; all else fails.",
            Action = "Look at the source behind it: the database, or the legacy system.",
        };
        yield return new("OnggiCacheUnproven", Severity.Warning, "2m", $"onggi_cache_proven{{{job}}} == 0")
        {
            Summary = "The memory of {{ $labels.instance }} may not answer",
            Description =
                "{{ $labels.instance }} has no proof that its memory is up to date (proven {{ $value }}), so each read goes to Redis: right, but slower.",
            Action = "Its connection for tracked reads does not stand or is not answered: look at its log and at Redis's latency.",
            FollowsRedis = true,
        };
        yield return new(
            "OnggiStalenessBoundBroken",
            Severity.Critical,
            "0s",
            $"{Promql.Grew($"onggi_cache_stale_beyond_bound_total{{{job}}}", terms.Over("15m"), "instance")} > 0"
        )
        {
            Summary = "{{ $labels.instance }} served values that were too old",
            Description =
                $"{{{{ $labels.instance }}}} served from memory what Redis no longer had, for longer than MaxStaleness ({Count} times): the promise of the cache was broken.",
            Action = "Keep its log and metrics for a report of the error; restart it; until it is understood, turn its memory off.",
        };
    }

    private static IEnumerable<AlertRule> Events(MonitoringTerms terms)
    {
        var (job, over) = (Job(terms), terms.Over("15m"));
        yield return new(
            "OnggiEventGaps",
            Severity.Warning,
            "0s",
            $"{Promql.Grew($"onggi_events_gaps_total{{{job}}}", over, "onggi_event_type", "onggi_reason")} > 0"
        )
        {
            Summary = $"Handlers missed events {Type} for good",
            Description =
                $"A handler of {Type} has missed events that nobody has any more ({{{{ $labels.onggi_reason }}}}, {Count} times). Caches forget by themselves; what else listens must look anew.",
            Action = "See that what listens reads its state anew; a longer eventTtl in the catalog keeps events longer.",
        };
        yield return new(
            "OnggiEventsDropped",
            Severity.Warning,
            "0s",
            $"{Promql.Grew($"onggi_events_dropped_total{{{job},onggi_reason!=\"gap\"}}", over, "onggi_event_type", "onggi_reason")} > 0"
        )
        {
            Summary = $"Handlers do not get events {Type}",
            Description = $"{Count} events {Type} came and were not handled ({{{{ $labels.onggi_reason }}}}).",
            Action = "queue_full: the handler is too slow. Otherwise publisher and handler do not agree on the payload.",
        };
    }

    private static IEnumerable<AlertRule> Streams(MonitoringTerms terms)
    {
        var (job, over) = (Job(terms), terms.Over("15m"));
        const string Group = "{{ $labels.onggi_group }}";
        yield return new(
            "OnggiStreamQuarantined",
            Severity.Warning,
            "0s",
            $"{Promql.Grew($"onggi_streams_quarantined_total{{{job}}}", over, "onggi_event_type", "onggi_group", "onggi_reason")} > 0"
        )
        {
            Summary = $"{Group} could not handle events {Type}",
            Description =
                $"Events {Type} of {Group} were put into quarantine ({{{{ $labels.onggi_reason }}}}, {Count} of them): nobody handles them until somebody looks.",
            Action = "Read them, mend the handler, give them back.",
        };
        yield return new(
            "OnggiStreamGone",
            Severity.Critical,
            "0s",
            $"{Promql.Grew($"onggi_streams_gone_total{{{job}}}", over, "onggi_event_type", "onggi_group")} > 0"
        )
        {
            Summary = $"Events {Type} were removed before {Group} had handled them",
            Description =
                $"Events {Type} are gone that {Group} had not settled ({Count}): deleted by hand, evicted, or lost in a failover.",
            Action = "Find out what they were from their publisher, and publish them again.",
        };
        yield return new(
            "OnggiStreamBehind",
            Severity.Warning,
            "5m",
            $"max by (onggi_event_type, onggi_group) (onggi_streams_oldest_seconds{{{job}}}) > 300"
        )
        {
            Summary = $"{Group} is behind with events {Type}",
            Description = $"The oldest event {Type} that {Group} has not settled is {{{{ $value | humanizeDuration }}}} old.",
            Action = "See whether the service runs, and what its handler waits for; more instances share the work.",
        };
    }

    private static IEnumerable<AlertRule> Blocks(MonitoringTerms terms)
    {
        var job = Job(terms);
        yield return new(
            "OnggiLockLost",
            Severity.Critical,
            "0s",
            $"{Promql.Grew($"onggi_lock_losses_total{{{job},onggi_reason!=\"closed\"}}", terms.Over("15m"), "onggi_family", "onggi_reason")} > 0"
        )
        {
            Summary = $"A lock of {Family} was lost in use",
            Description =
                $"Leases of {Family} that were lost while they were in use ({{{{ $labels.onggi_reason }}}}): {Count}. Two may have worked on the same thing, as far as no fence stopped them.",
            Action = "expired: the holder hung, or Redis was away for a lease. taken: Redis lost it. Look whether what it guards is right.",
        };
        yield return new(
            "OnggiLimitsBlind",
            Severity.Warning,
            "0s",
            $"{Promql.Grew($"onggi_limit_decisions_total{{{job},onggi_source=\"fail_mode\"}}", terms.Over("5m"), "onggi_family")} > 0"
        )
        {
            Summary = $"Limits of {Family} are decided without Redis",
            Description =
                $"{Count} decisions of {Family} were made by the rule for a Redis that cannot be asked: all allowed or all denied, as the service says.",
            Action = "Bring Redis back; see what the fail mode lets through meanwhile.",
            FollowsRedis = true,
        };
    }

    private static IEnumerable<AlertRule> People(MonitoringTerms terms)
    {
        var (job, over) = (Job(terms), terms.Over("15m"));
        string Sum(string what) => Promql.Grew($"onggi_sessions_{what}_total{{{job}}}", over);
        string Ended(string what) => $"({Sum(what)} or vector(0))";
        var evicted = Sum("evicted");
        yield return new("OnggiSessionsEvicted", Severity.Warning, "0s", $"{evicted} / {Sum("created")} > 0.1 and {evicted} > 10")
        {
            Summary = "Logins push out sessions of the same users",
            Description =
                $"{Share} of the logins ended another session of their user, for the limit was reached: an account is shared, or a client signs in again and again.",
            Action = "See whose: onggi sessions list USER. A client that logs in for each request is the usual cause.",
        };
        var before = $"max(onggi_sessions_live{{{job}}} offset {over})";
        yield return new(
            "OnggiSessionsVanished",
            Severity.Critical,
            "0s",
            $"{before} - max(onggi_sessions_live{{{job}}}) - {Ended("expired")} - {Ended("revoked")} - {Ended("evicted")} > 10 + 0.2 * {before}"
        )
        {
            Summary = "Sessions are gone that nobody ended",
            Description =
                $"{Count} sessions are gone that neither ended nor were revoked: Redis evicted them, lost them in a restart, or somebody deleted keys.",
            Action = "Look at RedisRestarted and RedisEvictsState; people sign in again.",
            FollowsRedis = true,
        };
        yield return new(
            "OnggiTokensReused",
            Severity.Critical,
            "0s",
            $"{Promql.Grew($"onggi_tokens_refreshes_total{{{job},onggi_outcome=\"reused\"}}", over)} > 0"
        )
        {
            Summary = "A refresh token was used twice",
            Description =
                $"Refresh tokens came again that had been used ({Count} times): somebody keeps copies. The devices concerned were signed out.",
            Action = "Find the user in the log of the service that signs in, and how the token got away.",
        };
        yield return new(
            "OnggiMetricsDropped",
            Severity.Warning,
            "0s",
            $"{Promql.Grew($"onggi_metrics_dropped_measurements_total{{{job}}}", over, "instance")} > 0"
        )
        {
            Summary = "{{ $labels.instance }} drops metrics",
            Description = $"{{{{ $labels.instance }}}} has dropped {Count} measurements: an instrument has more series than MaxSeries.",
            Action = "Find the instrument in its log: a tag has values without end.",
        };
    }
}
