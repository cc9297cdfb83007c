using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Onggi.Cli.Server;

namespace Onggi.Cli.Backup;

/// <summary>Reads an archive, and believes nothing that its sums do not bear out.</summary>
internal sealed class ArchiveReader : IDisposable
{
    private const int LongestLine = 32;

    private readonly string _path;
    private readonly FileStream _file;
    private readonly long _firstKeys;
    private readonly byte[] _sumBeforeKeys;
    private readonly long _footerAt;

    private ArchiveReader(string path, FileStream file)
    {
        (_path, _file) = (path, file);
        ReadFirstLine();
        var sum = new byte[ArchiveFormat.SumLength];
        var (kind, payload) = ReadFrame(ref sum);
        if (kind != ArchiveFormat.Header)
            throw Broken("it does not begin with its header");
        Header = Json(payload, static bytes => JsonSerializer.Deserialize(bytes, BackupJson.Default.ArchiveHeader));
        (_firstKeys, _sumBeforeKeys) = (_file.Position, sum);
        (Footer, Sum, _footerAt) = ReadFooter();
    }

    public ArchiveHeader Header { get; }

    public ArchiveFooter Footer { get; }

    /// <summary>Stands for the whole file.</summary>
    public string Sum { get; }

    /// <summary>Opens an archive, and reads its header and its footer.</summary>
    /// <exception cref="BrokenBackupException">It is no archive, of another version, or not whole.</exception>
    public static ArchiveReader Open(string path)
    {
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        }
        catch (Exception problem) when (problem is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ToolException($"there is no file {path}.");
        }

        try
        {
            return new ArchiveReader(path, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Whether the file says that it is an archive, of whatever version.</summary>
    public static bool IsArchive(string path)
    {
        using var file = File.OpenRead(path);
        var begin = new byte[ArchiveFormat.Magic.Length];
        return file.ReadAtLeast(begin, begin.Length, throwOnEndOfStream: false) == begin.Length
            && Encoding.ASCII.GetString(begin) == ArchiveFormat.Magic;
    }

    /// <summary>All keys, a block at a time. The last block has been seen only when the enumeration ends without an exception: until then the file may prove broken.</summary>
    /// <exception cref="BrokenBackupException">A sum is wrong, or the keys are not those that the footer counts.</exception>
    public IEnumerable<IReadOnlyList<KeyRecord>> Blocks()
    {
        var tally = new ArchiveTally(Header.CreatedAt);
        var sum = _sumBeforeKeys;
        _file.Position = _firstKeys;
        while (_file.Position < _footerAt)
        {
            var (kind, payload) = ReadFrame(ref sum);
            if (kind != ArchiveFormat.Keys)
                throw Broken("there is something other than keys among its keys");
            var records = Records(payload);
            foreach (var record in records)
                tally.Add(record);
            yield return records;
        }

        var (last, _) = ReadFrame(ref sum);
        if (last != ArchiveFormat.Footer || Convert.ToHexStringLower(sum) != Sum)
            throw Broken("its parts do not belong together");
        var counted = tally.Families([.. Footer.Families.Select(family => (family.Name, family.Kind))]);
        if (tally.Keys != Footer.Keys || !counted.SequenceEqual(Footer.Families))
            throw Broken("it does not hold the keys that its footer counts");
    }

    /// <summary>Reads all of it, so that nothing is begun with a broken one.</summary>
    /// <exception cref="BrokenBackupException">It is broken.</exception>
    public void Check(CancellationToken cancellationToken)
    {
        foreach (var _ in Blocks())
            cancellationToken.ThrowIfCancellationRequested();
    }

    public void Dispose() => _file.Dispose();

    private void ReadFirstLine()
    {
        var line = new StringBuilder();
        for (var read = _file.ReadByte(); read is not (-1 or '\n') && line.Length < LongestLine; read = _file.ReadByte())
            line.Append((char)read);
        var text = line.ToString();
        if (!text.StartsWith(ArchiveFormat.Magic, StringComparison.Ordinal))
            throw new BrokenBackupException($"{_path} is no archive of onggi backup.");
        var version = text[ArchiveFormat.Magic.Length..];
        if (version != ArchiveFormat.Version.ToString(CultureInfo.InvariantCulture))
            throw new BrokenBackupException(
                $"{_path} is an archive of version {Words.Key(version)}; this onggi reads version {ArchiveFormat.Version}. Use the onggi that wrote it, or a newer one."
            );
    }

    private (ArchiveFooter Footer, string Sum, long At) ReadFooter()
    {
        Span<byte> place = stackalloc byte[8];
        if (_file.Length < _file.Position + place.Length)
            throw Truncated();
        _file.Position = _file.Length - place.Length;
        _file.ReadExactly(place);
        var at = BinaryPrimitives.ReadInt64LittleEndian(place);
        if (at < _firstKeys || at > _file.Length - place.Length - ArchiveFormat.HeadLength)
            throw Truncated();
        _file.Position = at - ArchiveFormat.SumLength;
        var sum = new byte[ArchiveFormat.SumLength];
        _file.ReadExactly(sum);
        var (kind, payload) = ReadFrame(ref sum);
        if (kind != ArchiveFormat.Footer || _file.Position != _file.Length - place.Length)
            throw Truncated();
        var footer = Json(payload, static bytes => JsonSerializer.Deserialize(bytes, BackupJson.Default.ArchiveFooter));
        return (footer, Convert.ToHexStringLower(sum), at);
    }

    private (byte Kind, byte[] Payload) ReadFrame(ref byte[] sum)
    {
        Span<byte> head = stackalloc byte[ArchiveFormat.HeadLength];
        if (_file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false) < head.Length)
            throw Truncated();
        var length = BinaryPrimitives.ReadInt32LittleEndian(head[1..]);
        // Before anything is kept for it: a flipped bit here would ask for gigabytes.
        if (length < 0 || length > _file.Length - _file.Position - ArchiveFormat.SumLength)
            throw Truncated();
        var payload = new byte[length];
        _file.ReadExactly(payload);
        var stands = new byte[ArchiveFormat.SumLength];
        _file.ReadExactly(stands);
        sum = ArchiveFormat.SumOf(sum, head, payload);
        if (!sum.AsSpan().SequenceEqual(stands))
            throw Broken(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the sum of the {length} bytes before byte {_file.Position} is wrong: something in it was changed"
                )
            );
        return (head[0], payload);
    }

    private List<KeyRecord> Records(byte[] payload)
    {
        var records = new List<KeyRecord>();
        using var stream = new MemoryStream(payload, writable: false);
        using var words = new BinaryReader(stream, Encoding.UTF8);
        try
        {
            while (stream.Position < payload.Length)
            {
                var (family, kind, ends) = (words.Read7BitEncodedInt(), (ValueKind)words.ReadByte(), words.ReadInt64());
                var key = Part(words.Read7BitEncodedInt()).ToArray();
                var dump = Part(words.Read7BitEncodedInt());
                var digest = Part(words.ReadByte());
                if (family < 0 || family >= Footer.Families.Count)
                    throw Broken("a key belongs to a family that its footer does not name");
                records.Add(new KeyRecord(family, kind, key, ends, dump, digest));
            }
        }
        catch (Exception problem) when (problem is EndOfStreamException or FormatException or ArgumentOutOfRangeException)
        {
            throw Broken("a key in it cannot be read");
        }

        return records;

        ReadOnlyMemory<byte> Part(int length)
        {
            var part = payload.AsMemory((int)stream.Position, length);
            stream.Position += length;
            return part;
        }
    }

    private T Json<T>(byte[] payload, Func<byte[], T?> read)
        where T : class
    {
        try
        {
            return read(payload) ?? throw Broken("its description is null");
        }
        catch (JsonException problem)
        {
            throw Broken($"its description cannot be read: {problem.Message}");
        }
    }

    private BrokenBackupException Truncated() => Broken("it ends too early, or its end was changed");

    private BrokenBackupException Broken(string why) =>
        new($"the archive {_path} is broken: {why}. Take another one; nothing was done with it.");
}
