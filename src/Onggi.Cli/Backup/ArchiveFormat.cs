using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Onggi.Cli.Backup;

/// <summary>The raw form of an archive.</summary>
/// <remarks>
/// <code>
/// onggi backup 1\n
/// frame: kind (1 byte) · length (4, little endian) · payload · sum (16)     'H' header, JSON · 'K' keys, any number · 'F' footer, JSON
/// where the footer's frame begins (8, little endian)
/// key: family · kind · end in ms (8) · name · dump · digest                 numbers 7 bits to a byte, name and dump with their length before them
/// </code>
/// A sum is half a SHA-256 of the sum before it and of all of its frame: a flipped bit, a lost, an added and a moved frame are found, and the last sum stands for the whole file.
/// </remarks>
internal static class ArchiveFormat
{
    public const int Version = 1;
    public const int SumLength = 16;
    public const int HeadLength = 5;
    public const byte Header = (byte)'H';
    public const byte Keys = (byte)'K';
    public const byte Footer = (byte)'F';

    /// <summary>How its first line begins; the version follows.</summary>
    public const string Magic = "onggi backup ";

    /// <summary>Reads and writes of the file's owner alone: what it holds is what Redis holds.</summary>
    public static FileStreamOptions Private(FileMode mode)
    {
        var options = new FileStreamOptions
        {
            Mode = mode,
            Access = FileAccess.Write,
            BufferSize = 1 << 16,
        };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return options;
    }

    /// <summary>The sum of a frame.</summary>
    public static byte[] SumOf(ReadOnlySpan<byte> before, ReadOnlySpan<byte> head, ReadOnlySpan<byte> payload)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(before);
        hash.AppendData(head);
        hash.AppendData(payload);
        return hash.GetHashAndReset()[..SumLength];
    }

    public static void WriteHead(Span<byte> head, byte kind, int length)
    {
        head[0] = kind;
        BinaryPrimitives.WriteInt32LittleEndian(head[1..], length);
    }
}

/// <summary>A backup is not whole, or not what it was, or of a version that is not known here.</summary>
/// <param name="message">What is wrong with it, and what to do.</param>
internal sealed class BrokenBackupException(string message) : ToolException(message);
