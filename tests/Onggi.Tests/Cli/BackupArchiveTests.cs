using System.Text;
using Onggi.Cli.Backup;
using Onggi.Cli.Server;

namespace Onggi.Tests.Cli;

/// <summary>Archives as files, and folders of them, without a server.</summary>
public sealed class BackupArchiveTests : IDisposable
{
    private const long Began = 1_800_000_000_000;
    private const long Day = 86_400_000;

    private static readonly (string, string)[] Families = [("customer", "cache"), ("session", "session")];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-archive-tests");

    private string Archive => Path.Combine(_folder.FullName, "a.onggi");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void What_was_written_is_read()
    {
        var written = Write(Archive, 2000);

        using var archive = ArchiveReader.Open(Archive);
        var read = archive.Blocks().SelectMany(block => block).ToList();

        Assert.Equal(2000, read.Count);
        Assert.Equal(written.Footer.Families, archive.Footer.Families);
        Assert.Equal(written.Sum, archive.Sum);
        Assert.Equal(Began, archive.Header.CreatedAt);
        foreach (var (expected, actual) in Records(2000).Zip(read))
        {
            Assert.Equal(
                (expected.Family, expected.Kind, expected.EndsAt, Encoding.UTF8.GetString(expected.Key)),
                (actual.Family, actual.Kind, actual.EndsAt, Encoding.UTF8.GetString(actual.Key))
            );
            Assert.Equal(expected.Dump.ToArray(), actual.Dump.ToArray());
            Assert.Equal(expected.Digest.ToArray(), actual.Digest.ToArray());
        }
    }

    [Fact]
    public void Only_its_owner_reads_it()
    {
        if (OperatingSystem.IsWindows())
            return;
        Write(Archive, 1);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Archive));
    }

    [Fact]
    public void Any_flipped_bit_is_found()
    {
        Write(Archive, 20);
        var good = File.ReadAllBytes(Archive);

        for (var i = 0; i < good.Length; i++)
        {
            var bad = (byte[])good.Clone();
            bad[i] ^= (byte)(1 << (i % 8));
            File.WriteAllBytes(Archive, bad);
            Assert.True(IsRefused(), $"A bit of byte {i} was flipped, and nobody noticed.");
        }

        File.WriteAllBytes(Archive, good);
        Assert.False(IsRefused());
    }

    [Fact]
    public void One_that_ends_early_anywhere_is_found_when_it_is_opened()
    {
        Write(Archive, 20);
        var good = File.ReadAllBytes(Archive);

        for (var i = 0; i < good.Length; i++)
        {
            File.WriteAllBytes(Archive, good[..i]);
            Assert.Throws<BrokenBackupException>(() => ArchiveReader.Open(Archive));
        }

        File.WriteAllBytes(Archive, [.. good, 0]);
        Assert.Throws<BrokenBackupException>(() => ArchiveReader.Open(Archive));
    }

    [Fact]
    public void A_block_of_another_archive_is_found()
    {
        Write(Archive, 20);
        var (one, other) = (File.ReadAllBytes(Archive), Path.Combine(_folder.FullName, "b.onggi"));
        Write(other, 20, value: "other");
        var foreign = File.ReadAllBytes(other);
        Assert.Equal(one.Length, foreign.Length);

        // All of the keys' frame with its sum, which is right for what stands before it: the headers are the same.
        var begin = EndOfFrame(one, "onggi backup 1\n".Length);
        var end = EndOfFrame(one, begin);
        foreign.AsSpan(begin, end - begin).CopyTo(one.AsSpan(begin));
        File.WriteAllBytes(Archive, one);

        Assert.True(IsRefused());
    }

    [Fact]
    public void Another_version_is_refused_in_words()
    {
        using (var writer = new ArchiveWriter(Archive, new ArchiveHeader { CreatedAt = Began }, version: 2))
            writer.Finish(Families, Began, 0);

        var refused = Assert.Throws<BrokenBackupException>(() => ArchiveReader.Open(Archive));
        Assert.Contains("is an archive of version 2; this onggi reads version 1", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("REDIS0010")]
    [InlineData("onggi backup ")]
    [InlineData("onggi backup 1\nH")]
    public void What_is_no_archive_is_refused(string text)
    {
        File.WriteAllText(Archive, text);

        Assert.Throws<BrokenBackupException>(() => ArchiveReader.Open(Archive));
    }

    [Fact]
    public void Digests_of_families_do_not_depend_on_the_order_and_do_on_everything_else()
    {
        var records = Records(100).ToList();
        var one = DigestsOf(records);

        Assert.Equal(one, DigestsOf(records.AsEnumerable().Reverse()));
        Assert.NotEqual(one, DigestsOf(records.Skip(2)));
        Assert.NotEqual(one, DigestsOf(records.Select((record, i) => i == 7 ? record with { EndsAt = record.EndsAt + 1 } : record)));
        Assert.NotEqual(one, DigestsOf(records.Select((record, i) => i == 7 ? record with { Kind = ValueKind.List } : record)));
        Assert.NotEqual(one, DigestsOf(records.Select((record, i) => i == 7 ? record with { Digest = new byte[16] } : record)));
        Assert.NotEqual(one, DigestsOf(records.Select((record, i) => i == 7 ? record with { Key = [.. record.Key, 0] } : record)));
    }

    [Fact]
    public void A_proof_is_of_one_file_only()
    {
        var sum = Write(Archive, 5).Sum;
        ProofOf(sum, Began).Save(Archive);
        Assert.True(Assert.Single(BackupFolder.List(_folder.FullName)).IsVerified);

        Write(Archive, 6);

        Assert.False(Assert.Single(BackupFolder.List(_folder.FullName)).IsVerified);
    }

    [Fact]
    public void A_broken_one_is_listed_as_such_and_counts_for_nothing()
    {
        Write(Archive, 5);
        File.WriteAllBytes(Path.Combine(_folder.FullName, "half.onggi"), File.ReadAllBytes(Archive)[..100]);

        var files = BackupFolder.List(_folder.FullName);

        Assert.Contains(
            "ends too early",
            Assert.Single(files, file => file.Path.EndsWith("half.onggi", StringComparison.Ordinal)).Problem!,
            StringComparison.Ordinal
        );
        Assert.Contains("onggi_backup_broken_files 1\n", BackupFolder.Metrics(files), StringComparison.Ordinal);
    }

    [Fact]
    public void Metrics_say_0_where_nothing_is_proven_so_that_an_alert_on_the_age_fires()
    {
        Assert.Contains("\nonggi_backup_last_verified_timestamp_seconds 0\n", BackupFolder.Metrics([]), StringComparison.Ordinal);
        Write(Archive, 5);

        var text = BackupFolder.Metrics(BackupFolder.List(_folder.FullName));

        const string Labels = "{system=\"shop\",environment=\"dev\",prefix=\"dev:\",database=\"0\"}";
        Assert.Contains($"\nonggi_backup_last_verified_timestamp_seconds{Labels} 0\n", text, StringComparison.Ordinal);
        Assert.Contains($"\nonggi_backup_last_timestamp_seconds{Labels} 1800000000\n", text, StringComparison.Ordinal);
        Assert.Contains($"\nonggi_backup_keys{Labels} 5\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_newest_proven_ones_stay_and_one_that_is_not_proven_pushes_nothing_out()
    {
        var source = new BackupSource("shop", "dev", "dev:", 0);
        // The newest first: a day between them; the first is not proven.
        var files = Enumerable.Range(0, 6).Select(i => FileOf($"{i}", source, Began - (i * Day), i > 0)).ToList();
        files.Add(FileOf("stranger", source with { Environment = "production" }, Began - (100 * Day), true));
        var now = DateTimeOffset.FromUnixTimeMilliseconds(Began);

        Assert.Equal(["3", "4", "5"], Gone(2, null));
        Assert.Equal(["5"], Gone(null, TimeSpan.FromDays(4.5)));
        Assert.Equal(["2", "3", "4", "5"], Gone(null, TimeSpan.FromMinutes(1)));
        Assert.Equal([], Gone(9, null));

        IEnumerable<string> Gone(int? keep, TimeSpan? keepFor) =>
            BackupFolder.Surplus(files, source, rdb: false, keep, keepFor, now).Select(file => file.Path);
    }

    [Theory]
    [InlineData("dev:", "dev:a", "st:", "st:a")]
    [InlineData("dev:", "{dev:a}:l", "st:", "{st:a}:l")]
    [InlineData("dev:", "dev:", "", "")]
    public void A_prefix_is_replaced_also_behind_the_brace(string from, string key, string to, string expected)
    {
        var (bytes, prefix) = (Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(from));

        Assert.True(KeyPrefix.Begins(bytes, prefix));
        Assert.Equal(expected, Encoding.UTF8.GetString(KeyPrefix.Replace(bytes, prefix, Encoding.UTF8.GetBytes(to))));
    }

    [Theory]
    [InlineData(-1, 0)]
    [InlineData(Began, 1)]
    [InlineData(Began + 60_000, 1)]
    [InlineData(Began + 60_001, 2)]
    [InlineData(Began + Day, 3)]
    [InlineData(Began + (8 * Day), 5)]
    public void Ends_have_a_place_in_the_histogram(long endsAt, int place) => Assert.Equal(place, TtlHistogram.PlaceOf(endsAt, Began));

    // Kind, length, payload, sum.
    private static int EndOfFrame(byte[] file, int begin) =>
        begin + ArchiveFormat.HeadLength + BitConverter.ToInt32(file, begin + 1) + ArchiveFormat.SumLength;

    private static BackupFile FileOf(string name, BackupSource source, long at, bool verified) =>
        new(name, source, at, 1, 1, verified ? at : 0, IsRdb: false, Problem: null);

    private static BackupProof ProofOf(string sum, long at) =>
        new()
        {
            Sum = sum,
            IsRdb = false,
            CreatedAt = at,
            VerifiedAt = at,
            Source = new BackupSource("shop", "dev", "dev:", 0),
        };

    private static IReadOnlyList<string> DigestsOf(IEnumerable<KeyRecord> records)
    {
        var tally = new ArchiveTally(Began);
        foreach (var record in records)
            tally.Add(record);
        return [.. tally.Families(Families).Select(family => family.Digest)];
    }

    private static IEnumerable<KeyRecord> Records(int count, string value = "value") =>
        Enumerable
            .Range(0, count)
            .Select(i => new KeyRecord(
                i % 2,
                (ValueKind)(i % 6),
                Encoding.UTF8.GetBytes($"dev:{i}"),
                i % 3 == 0 ? -1 : Began + i,
                Encoding.UTF8.GetBytes(new string('x', i % 900) + value + "0123456789"),
                i % 5 == 0 ? default(ReadOnlyMemory<byte>) : Enumerable.Repeat((byte)i, 16).ToArray()
            ));

    private static (ArchiveFooter Footer, string Sum) Write(string path, int keys, string value = "value")
    {
        var header = new ArchiveHeader
        {
            CreatedAt = Began,
            System = "shop",
            Environment = "dev",
            Prefix = "dev:",
        };
        using var writer = new ArchiveWriter(path, header);
        foreach (var record in Records(keys, value))
            writer.Add(record);
        return (writer.Finish(Families, Began + 5, 0), writer.Sum);
    }

    private bool IsRefused()
    {
        try
        {
            using var archive = ArchiveReader.Open(Archive);
            archive.Check(CancellationToken.None);
            return false;
        }
        catch (BrokenBackupException)
        {
            return true;
        }
    }
}
