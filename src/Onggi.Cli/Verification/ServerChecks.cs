using System.Globalization;
using System.Text;
using Onggi.Cli.Checks;
using Onggi.Cli.Configuration;
using Onggi.Keys;

namespace Onggi.Cli.Verification;

/// <summary>The settings of a running Redis, its memory, and what survives a restart.</summary>
internal static class ServerChecks
{
    private const string Memory = "memory";
    private const double FullAt = 0.8;
    private const double ShareWithSnapshots = 0.45;

    // What only a file can have wrong; and users, which a running server has whether a file names them or not.
    private static readonly string[] OfFiles = ["ONG030", "ONG031", "ONG032", "ONG033", "ONG034", "ONG036", "ONG043"];

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG035–ONG051",
                "settings",
                "Its settings do no harm",
                "what onggi conf show writes for this catalog",
                "",
                CheckSource.Server,
                LintAsync
            )
            {
                Needs = "ONG001",
                Item = "4 the limit of memory",
            },
            new(
                "ONG012",
                Memory,
                "There is room",
                $"less than {FullAt:P0} of maxmemory used",
                "When it is full writes are refused, or what is still needed goes.",
                CheckSource.Server,
                HasRoomAsync
            )
            {
                Needs = "ONG001",
                Item = "4 the limit of memory",
            },
            new(
                "ONG013",
                Memory,
                "Nothing was evicted that nobody can load again",
                "evicted_keys 0 where sessions, locks or limits lie beside caches",
                "An evicted session signs somebody out, an evicted lock has two owners.",
                CheckSource.Server,
                EvictsNothingAsync
            )
            {
                Needs = "ONG001",
                Item = "4 the limit of memory",
            },
            new(
                "ONG014",
                Memory,
                "The container is large enough",
                "maxmemory at most 45 % of it where snapshots are written, 80 % otherwise",
                "While a snapshot is written every page that changes is there twice, and the system kills the largest.",
                CheckSource.Server,
                HasHeadroomAsync
            )
            {
                Needs = "ONG001",
                Item = "4 the limit of memory",
            },
            new(
                "ONG015",
                "persistence",
                "What was to be written to disk was written",
                "the last snapshot and the append-only file without an error",
                "After the next restart it is as it was at the last good save.",
                CheckSource.Server,
                WritesToDiskAsync
            )
            {
                Needs = "ONG001",
                Item = "10 recovery",
            },
            new(
                "ONG065",
                "persistence",
                "Another Redis can take over",
                "in production, a replica that follows",
                "When the machine goes, everything waits for it to come back.",
                CheckSource.Server,
                HasReplicaAsync
            )
            {
                Needs = "ONG001",
                Item = "10 recovery",
            },
            new(
                "ONG020",
                "settings",
                "Nobody was turned away",
                "rejected_connections 0",
                "At maxclients services, probes and the exporter are refused alike: Redis seems down.",
                CheckSource.Server,
                RejectsNobodyAsync
            )
            {
                Needs = "ONG001",
            },
        ];

    private static async Task<CheckOutcome> LintAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var config = await target.ConfigAsync(cancellationToken).ConfigureAwait(false);
        var text = new StringBuilder();
        foreach (var (name, value) in config.Where(pair => ConfDirectives.All.Contains(pair.Key) && pair.Value.Length > 0))
            // Said or not, a running server has a value for everything; this one's means that nobody has chosen.
            if (name is not "maxmemory-clients" || value != "0")
                text.Append(CultureInfo.InvariantCulture, $"{name} {(value.AsSpan().ContainsAny('"', '\'') ? "x" : value)}\n");
        var lint = new ConfLint(target.Keyspace, target.Settings.IsProduction, target.Settings.Instances);
        var findings = lint.Check(ConfFile.Parse(target.Client.Options.ToString(), text.ToString()))
            .Where(finding => !OfFiles.Contains(finding.Code))
            .Select(finding => new Problem(
                finding.What,
                Live(finding),
                finding.IsWarning,
                target.Client.Options.ToString(),
                finding.Code,
                finding.Why
            ))
            .ToList();
        return CheckOutcome.Of($"{config.Count} settings read", findings);
    }

    private static string Live(Finding finding) =>
        finding.Code is "ONG042" or "ONG048"
            ? $"{finding.Fix.TrimEnd('.')}. It takes a restart."
            : $"{finding.Fix.TrimEnd('.')}. At once, until the next restart: CONFIG SET.";

    private static async Task<CheckOutcome> HasRoomAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        if (info.Count("maxmemory") is not > 0 || info.Count("used_memory") is not { } used)
            return CheckOutcome.Skip("there is no maxmemory: ONG040");
        var most = info.Count("maxmemory")!.Value;
        var part = (double)used / most;
        var observed = $"{Words.Size(used)} of {Words.Size(most)} ({part:P0})";
        return part < FullAt
            ? CheckOutcome.Ok(observed)
            : CheckOutcome.Of(
                observed,
                new Problem(
                    $"{observed} are used.",
                    "See whose it is: onggi audit; then shorten times to live, or give it more memory (memory.limit in the catalog)."
                )
            );
    }

    private static async Task<CheckOutcome> EvictsNothingAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        var evicted = info.Count("evicted_keys") ?? 0;
        var observed = $"{evicted} keys since it started";
        if (evicted == 0 || !ConfPlan.HasState(target.Keyspace))
            return CheckOutcome.Ok(observed);
        var lost = string.Join(", ", target.Keyspace.Families.Where(family => family.Kind != "cache").Select(family => family.Family.Name));
        return CheckOutcome.Of(
            observed,
            new Problem(
                $"{evicted} keys were evicted, and {lost} can have been among them (maxmemory-policy {info["maxmemory_policy"]}).",
                "Write: maxmemory-policy noeviction, or give caches a Redis of their own (onggi conf show --tier cache), or more memory."
            )
        );
    }

    private static async Task<CheckOutcome> HasHeadroomAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        var config = await target.ConfigAsync(cancellationToken).ConfigureAwait(false);
        var most = info.Count("maxmemory") ?? 0;
        var container = target.Settings.Container ?? info.Count("total_system_memory") ?? 0;
        if (most == 0 || container == 0)
            return CheckOutcome.Skip("maxmemory or the memory of the machine is not known");
        var snapshots = config.GetValueOrDefault("appendonly") == "yes" || config.GetValueOrDefault("save", "").Length > 0;
        var share = snapshots ? ShareWithSnapshots : FullAt;
        var observed =
            $"maxmemory {Words.Size(most)} of {Words.Size(container)}, {(snapshots ? "with" : "without")} snapshots{(target.Settings.Container is null ? "; the machine's memory, --container names the container's" : "")}";
        return most <= container * share
            ? CheckOutcome.Ok(observed)
            : CheckOutcome.Of(
                observed,
                new Problem(
                    $"maxmemory is {Words.Size(most)}, and there are {Words.Size(container)} for all.",
                    $"Give the container {Words.Size((long)(most / share))}, or write: maxmemory {(long)(container * share)}"
                )
            );
    }

    private static async Task<CheckOutcome> WritesToDiskAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        (string Field, string What)[] fields =
        [
            ("rdb_last_bgsave_status", "the last snapshot failed"),
            ("aof_last_bgrewrite_status", "the last rewriting of the append-only file failed"),
            ("aof_last_write_status", "the last write to the append-only file failed"),
        ];
        return CheckOutcome.Of(
            $"snapshot {info["rdb_last_bgsave_status"]}, append-only file {(info["aof_enabled"] == "1" ? info["aof_last_write_status"] : "off")}",
            [
                .. fields
                    .Where(field => info[field.Field] is { } status && status != "ok")
                    .Select(field => new Problem(
                        $"{field.What}.",
                        "See Redis's log: the disk is full, or its folder may not be written; then BGSAVE."
                    )),
            ]
        );
    }

    private static async Task<CheckOutcome> HasReplicaAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (!target.Settings.IsProduction)
            return CheckOutcome.Skip("only with --production");
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        var replicas = info.Count("connected_slaves") ?? 0;
        return replicas > 0
            ? CheckOutcome.Ok(Words.Count((int)replicas, "replica", "replicas"))
            : CheckOutcome.Of(
                "no replica",
                new Problem(
                    "no replica follows.",
                    "Add replicas and Sentinels: onggi conf show --production --replicated.",
                    IsWarning: true
                )
            );
    }

    private static async Task<CheckOutcome> RejectsNobodyAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        var rejected = info.Count("rejected_connections") ?? 0;
        return rejected == 0
            ? CheckOutcome.Ok("nobody since it started")
            : CheckOutcome.Of(
                $"{rejected} since it started",
                new Problem(
                    $"{rejected} connections were refused because there were {info["maxclients"] ?? "maxclients"} already.",
                    $"Write: maxclients {ConfPlan.MaxClients(target.Settings.Instances)}; and see who opens so many: CLIENT LIST."
                )
            );
    }
}
