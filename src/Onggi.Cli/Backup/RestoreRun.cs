using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Backup;

/// <summary>What a restore would do with a family.</summary>
internal sealed class RestoreCount(string family, string kind)
{
    public string Family { get; } = family;

    public string Kind { get; } = kind;

    /// <summary>How many keys would be restored.</summary>
    public long Keys { get; set; }

    public long Bytes { get; set; }

    /// <summary>How many of them are there already.</summary>
    public long There { get; set; }

    /// <summary>How many have ended since the backup, and are not restored.</summary>
    public long Ended { get; set; }

    /// <summary>How many are left out because the user wants it so.</summary>
    public long LeftOut { get; set; }

    /// <summary>One that would be restored, by its new name.</summary>
    public string? Sample { get; set; }
}

/// <summary>What a restore has done.</summary>
internal sealed class RestoreResult
{
    public long Restored { get; set; }

    /// <summary>Were there when their turn came, and stayed.</summary>
    public long Kept { get; set; }

    public long Ended { get; set; }

    public long Different { get; set; }

    public List<string> Differences { get; } = [];
}

/// <summary>Restores an archive: looks first, then writes, then compares. Until <see cref="WriteAsync"/> nothing is written.</summary>
/// <param name="archive">The archive.</param>
/// <param name="terms">What of it, and under which names.</param>
/// <param name="client">The target.</param>
/// <param name="whenThere">What is done with keys that are there already.</param>
internal sealed class RestoreRun(ArchiveReader archive, RestoreTerms terms, RedisClient client, WhenThere whenThere)
{
    private const int AtOnce = 256;
    private const int Samples = 5;

    // Serialised values are smaller than those in memory; where nobody has measured, this is a usual ratio.
    private const double UsualGrowth = 3;
    private const double HeadRoom = 1.1;

    private readonly RecordSide _side = new(client, terms.NameOf);

    public RestoreResult Result { get; } = new();

    /// <summary>Whether all is as it was asked for. Who wanted none to be there is not told so when some came after the look.</summary>
    public bool IsWell => Result.Different == 0 && (Result.Kept == 0 || whenThere == WhenThere.Keep);

    /// <summary>Reads the whole archive and asks the target about each key.</summary>
    /// <returns>What would be done, by family.</returns>
    /// <exception cref="ToolException">The archive is broken; the target is no primary by itself, or cannot read what is in it.</exception>
    /// <exception cref="RedisException">The target does not answer, or refuses.</exception>
    public async Task<IReadOnlyList<RestoreCount>> LookAsync(ToolProgress progress, CancellationToken cancellationToken)
    {
        progress.Expect(archive.Footer.Keys);
        archive.Check(cancellationToken);
        await CheckServerAsync(cancellationToken).ConfigureAwait(false);
        var counts = archive.Footer.Families.Select(family => new RestoreCount(family.Name, family.Kind)).ToList();
        var probed = new HashSet<(ValueKind, int)>();
        foreach (var block in archive.Blocks())
        foreach (var records in block.Chunk(AtOnce))
        {
            var now = await client.NowAsync(cancellationToken).ConfigureAwait(false);
            var batch = client.CreateBatch();
            var asked = new List<(KeyRecord Record, BatchItem<bool> There)>();
            foreach (var record in records)
            {
                var count = counts[record.Family];
                if (!terms.Wants(record))
                    count.LeftOut++;
                else if (HasEnded(record, now))
                    count.Ended++;
                else
                    asked.Add((record, batch.Add(["EXISTS", terms.NameOf(record.Key)], ReplyParsers.Boolean, CommandOptions.Idempotent)));
            }

            await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            foreach (var (record, there) in asked)
            {
                Count(counts[record.Family], record, there.Value);
                if (probed.Add((record.Kind, record.RdbVersion)))
                    await ProbeAsync(record, cancellationToken).ConfigureAwait(false);
            }

            progress.Add(records.Length);
        }

        return counts;
    }

    /// <summary>About how much memory so many serialised bytes take, by what the proof measured.</summary>
    public static long MemoryFor(long bytes, ArchiveFooter footer, BackupProof? proof)
    {
        var growth = proof is { Memory: > 0 } && footer.Bytes > 0 ? (double)proof.Memory / footer.Bytes : UsualGrowth;
        return (long)(bytes * growth * HeadRoom);
    }

    /// <summary>Writes what was looked at, and compares what was written, value by value and to the millisecond. Killed anywhere, it can be done again.</summary>
    /// <exception cref="RedisException">The target does not answer, is full, or refuses; <see cref="Result"/> says how far it came at least.</exception>
    /// <exception cref="ToolException">The connection was lost; likewise.</exception>
    public Task<RestoreResult> WriteAsync(ToolProgress progress, long keys, CancellationToken cancellationToken)
    {
        progress.Expect(keys);
        return BackupServers.WhileConnectedAsync(client, token => WriteAllAsync(progress, token), cancellationToken);
    }

    private async Task<RestoreResult> WriteAllAsync(ToolProgress progress, CancellationToken cancellationToken)
    {
        foreach (var block in archive.Blocks())
        foreach (var records in block.Chunk(AtOnce))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var now = await client.NowAsync(cancellationToken).ConfigureAwait(false);
            var wanted = records.Where(record => terms.Wants(record)).ToList();
            var alive = wanted.FindAll(record => !HasEnded(record, now));
            Result.Ended += wanted.Count - alive.Count;
            var restored = await _side.RestoreAsync(alive, whenThere == WhenThere.Replace, cancellationToken).ConfigureAwait(false);
            var written = alive.Where((_, i) => restored[i]).ToList();
            Result.Restored += written.Count;
            Result.Kept += alive.Count - written.Count;
            await CompareAsync(written, cancellationToken).ConfigureAwait(false);
            progress.Add(alive.Count);
        }

        return Result;
    }

    private async Task CompareAsync(List<KeyRecord> written, CancellationToken cancellationToken)
    {
        foreach (var (difference, record) in await _side.CompareAsync(written, cancellationToken).ConfigureAwait(false))
        {
            if (difference == RecordDifference.None || await EndsNowAsync(difference, record, cancellationToken).ConfigureAwait(false))
                continue;
            Result.Different++;
            if (Result.Differences.Count < Samples)
                Result.Differences.Add($"{RecordWords.Key(terms.NameOf(record.Key))}: {RecordWords.Of(difference)}");
        }
    }

    private async Task<bool> EndsNowAsync(RecordDifference difference, KeyRecord record, CancellationToken cancellationToken) =>
        difference == RecordDifference.Missing && HasEnded(record, await client.NowAsync(cancellationToken).ConfigureAwait(false));

    private static bool HasEnded(in KeyRecord record, long now) => record.EndsAt >= 0 && record.EndsAt <= now;

    private void Count(RestoreCount count, in KeyRecord record, bool there)
    {
        count.Keys++;
        count.Bytes += record.Key.Length + record.Dump.Length;
        count.There += there ? 1 : 0;
        count.Sample ??= RecordWords.Key(terms.NameOf(record.Key));
    }

    private async Task CheckServerAsync(CancellationToken cancellationToken)
    {
        var info = await ServerInfo.ReadAsync(client, cancellationToken).ConfigureAwait(false);
        if (info["cluster_enabled"] == "1")
            throw new ToolException("the target is a node of a cluster: clusters are not supported.");
        if (info["role"] is { } role && role != "master")
            throw new ToolException($"the target is a {role}: name the primary.");
    }

    // Versions differ in what they can read: tried rather than known. With an end that has passed, RESTORE reads all of the value and makes no key.
    // https://redis.io/docs/latest/commands/restore/
    private async Task ProbeAsync(KeyRecord record, CancellationToken cancellationToken)
    {
        byte[] name = [.. terms.NameOf(record.Key), .. ":onggi-restore-probe"u8];
        try
        {
            await client
                .SendAsync(["RESTORE", name, 1, record.Dump, "ABSTTL"], ReplyParsers.Ignore, CommandOptions.Bulk, cancellationToken)
                .ConfigureAwait(false);
        }
        catch (RedisServerException refused) when (refused.Code is not ("NOPERM" or "OOM" or "READONLY"))
        {
            var header = archive.Header;
            throw new ToolException(
                $"the target (Redis {client.Server?.Version}) cannot read what {header.Product} {header.Version} serialised (version {record.RdbVersion}): {refused.Message}. Nothing was written. Restore to the version it is from, or to a newer one."
            );
        }
    }
}
