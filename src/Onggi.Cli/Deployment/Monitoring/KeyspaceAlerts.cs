using Onggi.Cli.Auditing;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>What is wrong with the keys and with their backups, by what <c>onggi audit --metrics</c> and <c>onggi backup metrics</c> write.</summary>
internal static class KeyspaceAlerts
{
    private const string Verified = "onggi_backup_last_verified_timestamp_seconds";

    public static IEnumerable<AlertRule> All(MonitoringTerms terms) => [.. Keys(terms), .. Backups(terms)];

    private static IEnumerable<AlertRule> Keys(MonitoringTerms terms)
    {
        var own = terms.Own;
        yield return new(
            "OnggiKeyspaceDrift",
            Severity.Warning,
            "0s",
            $"max by (code) ({AuditMetrics.Findings}{{{own},severity=\"finding\",code!=\"{AuditMetrics.ShareCode}\"}}) > 0"
        )
        {
            Summary = "The keys are not as the catalog says: {{ $labels.code }}",
            Description = "Findings of {{ $labels.code }} in the last audit: {{ $value }}.",
            Action = "onggi audit tells which keys; docs/operations/findings.md what the code means.",
        };
        if (terms.Rest is { } rest)
        {
            var bytes = $"max by (onggi_family) ({AuditMetrics.FamilyBytes}{{{own}}})";
            var shares = $"max by (onggi_family) ({FamilyRules.ShareBytes}{{{own}}})";
            var over = $"{bytes} / on (onggi_family) {shares} > 1";
            if (rest > 0)
                over +=
                    $" or label_replace(sum({bytes} unless on (onggi_family) {shares}) / max({FamilyRules.RestBytes}{{{own}}}) > 1, \"onggi_family\", \"{FamilyRules.Rest}\", \"\", \"\")";
            yield return new("OnggiFamilyOverShare", Severity.Warning, "0s", over)
            {
                Summary = "{{ $labels.onggi_family }} takes more memory than its share",
                Description =
                    "{{ $labels.onggi_family }} takes {{ $value | humanizePercentage }} of what the catalog gives it; what it takes too much the others lack.",
                Action = "onggi audit names its biggest keys: shorten the time to live, store less, or give it a larger share.",
            };
        }

        var age = $"time() - max({AuditMetrics.Timestamp}{{{own}}}) > {terms.AuditHours} * 3600";
        yield return new(
            "OnggiAuditOld",
            Severity.Warning,
            "0s",
            terms.IsProduction ? $"{age} or absent({AuditMetrics.Timestamp}{{{own}}})" : age
        )
        {
            Summary = "Nobody has compared the keys with the catalog lately",
            Description = "The last audit is {{ $value | humanizeDuration }} old (1s: there is none).",
            Action = "See why the job of onggi audit --metrics does not run, or cannot write its file.",
        };
    }

    private static IEnumerable<AlertRule> Backups(MonitoringTerms terms)
    {
        // A folder without any backup has no system either.
        var (system, environment) = (terms.Keyspace.System, terms.Keyspace.Environment);
        var own = $"system=~\"{system}|\",environment=~\"{environment}|\"";
        var age = $"time() - max({Verified}{{{own}}}) > {terms.BackupHours} * 3600";
        yield return new("OnggiBackupOld", Severity.Critical, "0s", terms.IsProduction ? $"{age} or absent({Verified}{{{own}}})" : age)
        {
            Summary = "There is no proven backup of the last hours",
            Description =
                "The newest backup that was restored and compared was begun {{ $value | humanizeDuration }} ago (1s, or decades: there is none). That much would be lost.",
            Action = "onggi backup list; run onggi backup create by hand and read what it says.",
        };
        yield return new("OnggiBackupBroken", Severity.Warning, "0s", "onggi_backup_broken_files > 0")
        {
            Summary = "Backup files are broken",
            Description = "Files in the folder of backups that are no whole backups: {{ $value }}.",
            Action = "onggi backup list names them; look at the disk before you delete them.",
        };
    }
}
