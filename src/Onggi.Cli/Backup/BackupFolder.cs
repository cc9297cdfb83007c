using System.Globalization;
using System.Text;

namespace Onggi.Cli.Backup;

/// <summary>A backup as it lies in a folder.</summary>
/// <param name="Path">Where.</param>
/// <param name="Source">Whose.</param>
/// <param name="CreatedAt">When it was begun: milliseconds since 1970.</param>
/// <param name="Bytes">The file's size.</param>
/// <param name="Keys">How many keys; -1 where nobody has counted.</param>
/// <param name="VerifiedAt">When it was last proven; 0 for never.</param>
/// <param name="IsRdb">Whether it is an RDB.</param>
/// <param name="Problem">Why it is worth nothing; <c>null</c> where nothing is known against it.</param>
internal sealed record BackupFile(
    string Path,
    BackupSource Source,
    long CreatedAt,
    long Bytes,
    long Keys,
    long VerifiedAt,
    bool IsRdb,
    string? Problem
)
{
    public bool IsVerified => VerifiedAt > 0 && Problem is null;
}

/// <summary>The backups of a folder: which there are, which go, and what metrics say of them.</summary>
internal static class BackupFolder
{
    /// <summary>What archives' names end with.</summary>
    public const string ArchiveEnding = ".onggi";

    public const string RdbEnding = ".rdb";

    private static readonly BackupSource Unknown = new("", "", "", -1);

    /// <summary>The backups, the newest first. Only their ends are read: whether what is in them is whole, verify says.</summary>
    /// <exception cref="ToolException">There is no such folder.</exception>
    public static IReadOnlyList<BackupFile> List(string folder)
    {
        if (!Directory.Exists(folder))
            throw new ToolException($"there is no folder {folder}.");
        return
        [
            .. Directory
                .EnumerateFiles(folder)
                .Where(file => file.EndsWith(ArchiveEnding, StringComparison.Ordinal) || file.EndsWith(RdbEnding, StringComparison.Ordinal))
                .Select(Look)
                .OrderByDescending(file => file.CreatedAt)
                .ThenByDescending(file => file.Path, StringComparer.Ordinal),
        ];
    }

    /// <summary>A name for a backup that is made now.</summary>
    public static string NameFor(string folder, BackupSource source, DateTimeOffset now, bool rdb)
    {
        var words = new[] { source.System, source.Environment }.Where(word => word.Length > 0).DefaultIfEmpty("redis");
        var moment = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        return Path.Combine(folder, $"{string.Join('-', words)}-{moment}{(rdb ? RdbEnding : ArchiveEnding)}");
    }

    /// <summary>Which backups of the same source are to go. Those that are proven count; the newest proven one stays whatever the numbers say.</summary>
    /// <param name="files">From <see cref="List"/>.</param>
    /// <param name="source">Whose.</param>
    /// <param name="rdb">Of which kind.</param>
    /// <param name="keep">How many proven ones stay; <c>null</c> for all.</param>
    /// <param name="keepFor">How long they stay; <c>null</c> for ever.</param>
    /// <param name="now">The time.</param>
    public static IReadOnlyList<BackupFile> Surplus(
        IReadOnlyList<BackupFile> files,
        BackupSource source,
        bool rdb,
        int? keep,
        TimeSpan? keepFor,
        DateTimeOffset now
    )
    {
        var (surplus, proven) = (new List<BackupFile>(), 0);
        foreach (var file in files.Where(file => file.Source == source && file.IsRdb == rdb && file.Problem is null))
        {
            var tooMany = keep is { } most && proven >= most;
            var tooOld = keepFor is { } bound && now - DateTimeOffset.FromUnixTimeMilliseconds(file.CreatedAt) > bound;
            proven += file.IsVerified ? 1 : 0;
            if ((tooMany || tooOld) && (proven > 1 || (proven == 1 && !file.IsVerified)))
                surplus.Add(file);
        }

        return surplus;
    }

    /// <summary>Removes a backup and what stands beside it.</summary>
    public static void Remove(BackupFile file)
    {
        File.Delete(file.Path + BackupProof.Ending);
        File.Delete(file.Path);
    }

    /// <summary>Prometheus text: for each source its newest backup and its newest proven one; 0 where there is none, so that an alert on the age needs no second rule.</summary>
    public static string Metrics(IReadOnlyList<BackupFile> files)
    {
        var text = new StringBuilder();
        var sources = files.Where(file => file.Problem is null).GroupBy(file => file.Source).ToList();
        var broken = files.Count(file => file.Problem is not null);
        Gauge(
            "onggi_backup_last_verified_timestamp_seconds",
            "When the newest backup that was restored and compared was begun; 0 for none.",
            Verified,
            0
        );
        Gauge(
            "onggi_backup_last_timestamp_seconds",
            "When the newest backup was begun; 0 for none.",
            file => Seconds(file[0].CreatedAt),
            0
        );
        Gauge("onggi_backup_size_bytes", "The newest backup's size.", file => file[0].Bytes, null);
        Gauge("onggi_backup_keys", "How many keys the newest backup holds.", file => file[0].Keys, null);
        Gauge("onggi_backup_files", "How many backups there are.", file => file.Count, 0);
        text.Append("# HELP onggi_backup_broken_files Files that are no whole backups.\n# TYPE onggi_backup_broken_files gauge\n");
        return text.Append(CultureInfo.InvariantCulture, $"onggi_backup_broken_files {broken}\n").ToString();

        void Gauge(string name, string help, Func<IReadOnlyList<BackupFile>, double> value, double? none)
        {
            if (sources.Count == 0 && none is null)
                return;
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} gauge\n");
            foreach (var source in sources)
                text.Append(CultureInfo.InvariantCulture, $"{name}{Labels(source.Key)} {value([.. source])}\n");
            if (sources.Count == 0)
                text.Append(CultureInfo.InvariantCulture, $"{name} {none}\n");
        }

        static double Verified(IReadOnlyList<BackupFile> files) =>
            files.FirstOrDefault(file => file.IsVerified) is { } newest ? Seconds(newest.CreatedAt) : 0;

        static double Seconds(long milliseconds) => milliseconds / 1000.0;
    }

    private static string Labels(BackupSource source) =>
        $"{{system=\"{Escape(source.System)}\",environment=\"{Escape(source.Environment)}\",prefix=\"{Escape(source.Prefix)}\",database=\"{(source.Database < 0 ? "all" : source.Database)}\"}}";

    private static string Escape(string value) =>
        value
            .Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);

    private static BackupFile Look(string path)
    {
        var (file, proof) = (new FileInfo(path), BackupProof.Load(path));
        var written = new DateTimeOffset(file.LastWriteTimeUtc).ToUnixTimeMilliseconds();
        if (path.EndsWith(RdbEnding, StringComparison.Ordinal))
            return proof is { IsRdb: true } && proof.Sum == RdbFile.SumOf(path)
                ? new BackupFile(path, proof.Source, proof.CreatedAt, file.Length, proof.Keys, proof.VerifiedAt, true, null)
                : new BackupFile(path, Unknown, written, file.Length, -1, 0, true, null);
        try
        {
            using var archive = ArchiveReader.Open(path);
            var verified = proof is { IsRdb: false } && proof.Sum == archive.Sum ? proof.VerifiedAt : 0;
            var source = ArchiveProof.Source(archive.Header);
            return new BackupFile(path, source, archive.Header.CreatedAt, file.Length, archive.Footer.Keys, verified, false, null);
        }
        catch (BrokenBackupException problem)
        {
            return new BackupFile(path, Unknown, written, file.Length, -1, 0, false, problem.Message);
        }
    }
}
