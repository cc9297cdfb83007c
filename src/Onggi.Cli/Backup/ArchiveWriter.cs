using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace Onggi.Cli.Backup;

/// <summary>Writes an archive key by key, into a file that has its name only when it is whole.</summary>
internal sealed class ArchiveWriter : IDisposable
{
    private const int BlockBytes = 1 << 20;

    private readonly FileStream _file;
    private readonly MemoryStream _block = new();
    private readonly BinaryWriter _words;
    private byte[] _sum = new byte[ArchiveFormat.SumLength];

    /// <summary>Begins the file and writes the header.</summary>
    /// <param name="path">Where to; what stands there is replaced.</param>
    /// <param name="header">What the keys are of.</param>
    /// <param name="version">The format's version; another one only to see it refused.</param>
    public ArchiveWriter(string path, ArchiveHeader header, int version = ArchiveFormat.Version)
    {
        File.Delete(path);
        _file = new FileStream(path, ArchiveFormat.Private(FileMode.CreateNew));
        _words = new BinaryWriter(_block, Encoding.UTF8);
        _file.Write(Encoding.ASCII.GetBytes($"{ArchiveFormat.Magic}{version}\n"));
        Frame(ArchiveFormat.Header, JsonSerializer.SerializeToUtf8Bytes(header, BackupJson.Default.ArchiveHeader));
        Tally = new ArchiveTally(header.CreatedAt);
    }

    public ArchiveTally Tally { get; }

    /// <summary>Stands for the whole file, once it is finished.</summary>
    public string Sum => Convert.ToHexStringLower(_sum);

    /// <summary>Adds a key.</summary>
    public void Add(in KeyRecord record)
    {
        Tally.Add(record);
        _words.Write7BitEncodedInt(record.Family);
        _words.Write((byte)record.Kind);
        _words.Write(record.EndsAt);
        _words.Write7BitEncodedInt(record.Key.Length);
        _words.Write(record.Key);
        _words.Write7BitEncodedInt(record.Dump.Length);
        _words.Write(record.Dump.Span);
        _words.Write((byte)record.Digest.Length);
        _words.Write(record.Digest.Span);
        if (_block.Length >= BlockBytes)
            Flush();
    }

    /// <summary>Writes the footer, and everything down to the disk.</summary>
    public ArchiveFooter Finish(IReadOnlyList<(string Name, string Kind)> families, long endedAt, long gone)
    {
        Flush();
        var footer = new ArchiveFooter
        {
            Keys = Tally.Keys,
            Bytes = Tally.Bytes,
            EndedAt = endedAt,
            RdbVersion = Tally.RdbVersion,
            Gone = gone,
            WithoutDigest = Tally.WithoutDigest,
            Families = Tally.Families(families),
            Ends = [.. Tally.Ends],
        };
        var at = _file.Position;
        Frame(ArchiveFormat.Footer, JsonSerializer.SerializeToUtf8Bytes(footer, BackupJson.Default.ArchiveFooter));
        Span<byte> place = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(place, at);
        _file.Write(place);
        _file.Flush(flushToDisk: true);
        return footer;
    }

    public void Dispose()
    {
        _words.Dispose();
        _file.Dispose();
    }

    private void Flush()
    {
        if (_block.Length == 0)
            return;
        Frame(ArchiveFormat.Keys, _block.GetBuffer().AsSpan(0, (int)_block.Length));
        _block.SetLength(0);
    }

    private void Frame(byte kind, ReadOnlySpan<byte> payload)
    {
        Span<byte> head = stackalloc byte[ArchiveFormat.HeadLength];
        ArchiveFormat.WriteHead(head, kind, payload.Length);
        _sum = ArchiveFormat.SumOf(_sum, head, payload);
        _file.Write(head);
        _file.Write(payload);
        _file.Write(_sum);
    }
}
