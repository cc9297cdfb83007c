using Onggi.Cli.Output;

namespace Onggi.Cli.Backup;

/// <summary>Proves an archive: restores it into a scratch server and compares every key, the digests of the families, and how soon keys end.</summary>
/// <param name="program">The redis-server to run.</param>
/// <param name="progress">How far it has come.</param>
/// <param name="time">The clock.</param>
internal sealed class ArchiveProof(string program, ToolProgress progress, TimeProvider time)
{
    private const int Samples = 5;
    private const int AtOnce = 512;
    private const long Day = 86_400_000;

    /// <summary>Keys that are not there as they are in the archive, the first few of them.</summary>
    public List<string> Differences { get; } = [];

    public long Different { get; private set; }

    /// <summary>Proves it.</summary>
    /// <returns>What was found; it is proven when <see cref="Different"/> is 0.</returns>
    /// <exception cref="ToolException">The archive is broken, the server does not start, or it cannot read what is in it.</exception>
    public async Task<BackupProof> RunAsync(ArchiveReader archive, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        archive.Check(cancellationToken);
        var scratch = await ScratchServer.StartAsync(program, rdb: null, time, cancellationToken).ConfigureAwait(false);
        await using (scratch.ConfigureAwait(false))
        {
            progress.Expect(archive.Footer.Keys);
            // All keys end later there by the same time, so that what has ended meanwhile is proven as well, and to the millisecond.
            var now = await scratch.Client.NowAsync(cancellationToken).ConfigureAwait(false);
            var side = new RecordSide(scratch.Client, static key => key, Math.Max(0, now - archive.Header.CreatedAt) + Day);
            var found = new ArchiveTally(archive.Header.CreatedAt);
            foreach (var block in archive.Blocks())
            foreach (var records in block.Chunk(AtOnce))
            {
                await RestoreAsync(side, records, archive, scratch, cancellationToken).ConfigureAwait(false);
                foreach (var (difference, record) in await side.CompareAsync(records, cancellationToken).ConfigureAwait(false))
                {
                    if (difference != RecordDifference.Missing)
                        found.Add(record);
                    if (difference != RecordDifference.None)
                        Note(record, difference);
                }

                progress.Add(records.Length);
            }

            Compare(archive.Footer, found);
            return new BackupProof
            {
                Sum = archive.Sum,
                IsRdb = false,
                CreatedAt = archive.Header.CreatedAt,
                VerifiedAt = time.GetUtcNow().ToUnixTimeMilliseconds(),
                VerifiedWith = scratch.Version,
                Seconds = time.GetElapsedTime(began).TotalSeconds,
                Keys = archive.Footer.Keys,
                Memory = await scratch.MemoryAsync(cancellationToken).ConfigureAwait(false),
                Source = Source(archive.Header),
            };
        }
    }

    /// <summary>Whose backup it is, for people and for labels.</summary>
    public static BackupSource Source(ArchiveHeader header) => new(header.System, header.Environment, header.Prefix, header.Database);

    private static async Task RestoreAsync(
        RecordSide side,
        KeyRecord[] records,
        ArchiveReader archive,
        ScratchServer scratch,
        CancellationToken cancellationToken
    )
    {
        try
        {
            await side.RestoreAsync(records, replace: false, cancellationToken).ConfigureAwait(false);
        }
        catch (Onggi.Client.RedisServerException refused)
        {
            throw new ToolException(
                $"Redis {scratch.Version} cannot read what {archive.Header.Product} {archive.Header.Version} serialised (version {archive.Footer.RdbVersion}): {refused.Message}. Verify with a redis-server of the source's version or a newer one (--redis-server)."
            );
        }
    }

    private void Compare(ArchiveFooter footer, ArchiveTally found)
    {
        var families = found.Families([.. footer.Families.Select(family => (family.Name, family.Kind))]);
        foreach (var (expected, actual) in footer.Families.Zip(families))
        {
            if (Different == 0 && (expected.Keys != actual.Keys || expected.Digest != actual.Digest))
                Note($"the digest of the family {expected.Name} is another one");
        }

        if (Different == 0 && !found.Ends.SequenceEqual(footer.Ends))
            Note("keys end at other times");
    }

    private void Note(in KeyRecord record, RecordDifference difference) =>
        Note($"{RecordWords.Key(record.Key)}: {RecordWords.Of(difference)}");

    private void Note(string what)
    {
        Different++;
        if (Differences.Count < Samples)
            Differences.Add(what);
    }
}

/// <summary>Records as people read them.</summary>
internal static class RecordWords
{
    public static string Key(byte[] key) => Words.Key(System.Text.Encoding.UTF8.GetString(key));

    public static string Of(RecordDifference difference) =>
        difference switch
        {
            RecordDifference.Missing => "is not there",
            RecordDifference.Kind => "is of another type",
            RecordDifference.End => "ends at another time",
            RecordDifference.Value => "has another value",
            _ => "is equal",
        };
}
