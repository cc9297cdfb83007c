using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>What an undo bundle says of itself in its second line.</summary>
/// <param name="Subject">What was removed.</param>
/// <param name="Redis">Where.</param>
/// <param name="Began">When.</param>
internal sealed record UndoHeader(string Subject, string Redis, DateTimeOffset Began)
{
    /// <summary>The database that they were removed from.</summary>
    [JsonIgnore]
    public int Database =>
        Redis.LastIndexOf(" db", StringComparison.Ordinal) is >= 0 and var at
        && int.TryParse(Redis.AsSpan(at + 3), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : 0;
}

/// <summary>A key as it was.</summary>
/// <param name="Key">Its name.</param>
/// <param name="EndsAt">When it ends, in ms since 1970; -1 for never.</param>
/// <param name="Payload">What DUMP said, with its own version and checksum.</param>
internal readonly record struct UndoRecord(byte[] Key, long EndsAt, byte[] Payload);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(UndoHeader))]
internal sealed partial class UndoJson : JsonSerializerContext;

/// <summary>The form of a file of keys that were removed.</summary>
/// <remarks>
/// <code>
/// onggi undo 1⏎
/// {"subject":…,"redis":…,"began":…}⏎
/// length of name (4 bytes, little endian) · name · end in ms (8) · length of payload (4) · payload      for each key
/// -1 (4) · number of keys (8)                                                                           when it is finished
/// </code>
/// A process that was killed leaves at worst a last key that is not whole; what stands before it is good.
/// </remarks>
internal static class UndoBundle
{
    public const int FinishedMark = -1;

    private const int MostNameBytes = 512 << 20;

    private static ReadOnlySpan<byte> Magic => "onggi undo 1\n"u8;

    public static void WriteHeader(Stream stream, UndoHeader header)
    {
        stream.Write(Magic);
        stream.Write(JsonSerializer.SerializeToUtf8Bytes(header, UndoJson.Default.UndoHeader));
        stream.WriteByte((byte)'\n');
    }

    /// <exception cref="ToolException">It is no undo bundle.</exception>
    public static UndoHeader ReadHeader(Stream stream, string path)
    {
        Span<byte> magic = stackalloc byte[Magic.Length];
        if (stream.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) < magic.Length || !magic.SequenceEqual(Magic))
            throw new ToolException($"{path} is not an undo bundle of onggi delete.");
        var line = new List<byte>();
        for (var read = stream.ReadByte(); read is not (-1 or '\n') && line.Count < 1 << 16; read = stream.ReadByte())
            line.Add((byte)read);
        try
        {
            return JsonSerializer.Deserialize(Encoding.UTF8.GetString([.. line]), UndoJson.Default.UndoHeader)
                ?? throw new JsonException("nothing stands there");
        }
        catch (JsonException problem)
        {
            throw new ToolException($"{path}: its second line cannot be read: {problem.Message}");
        }
    }

    public static void Write(Stream stream, in UndoRecord record)
    {
        Span<byte> number = stackalloc byte[12];
        BinaryPrimitives.WriteInt32LittleEndian(number, record.Key.Length);
        stream.Write(number[..4]);
        stream.Write(record.Key);
        BinaryPrimitives.WriteInt64LittleEndian(number, record.EndsAt);
        BinaryPrimitives.WriteInt32LittleEndian(number[8..], record.Payload.Length);
        stream.Write(number);
        stream.Write(record.Payload);
    }

    public static void WriteFinished(Stream stream, long count)
    {
        Span<byte> number = stackalloc byte[12];
        BinaryPrimitives.WriteInt32LittleEndian(number, FinishedMark);
        BinaryPrimitives.WriteInt64LittleEndian(number[4..], count);
        stream.Write(number);
    }

    /// <summary>The next key.</summary>
    /// <param name="stream">Stands behind the header or a key.</param>
    /// <param name="isFinished">Whether there is none because all were read, not because the file breaks off.</param>
    /// <returns><c>null</c> when there is none, or none that is whole.</returns>
    public static UndoRecord? Read(Stream stream, out bool isFinished)
    {
        isFinished = false;
        Span<byte> number = stackalloc byte[12];
        if (!Fill(stream, number[..4]))
            return null;
        var length = BinaryPrimitives.ReadInt32LittleEndian(number);
        if (length == FinishedMark)
        {
            isFinished = Fill(stream, number[..8]);
            return null;
        }

        if (Take(stream, length) is not { } key || !Fill(stream, number))
            return null;
        var endsAt = BinaryPrimitives.ReadInt64LittleEndian(number);
        return Take(stream, BinaryPrimitives.ReadInt32LittleEndian(number[8..])) is { } payload
            ? new UndoRecord(key, endsAt, payload)
            : null;
    }

    // What a broken file says of a length is not believed beyond what stands there.
    private static byte[]? Take(Stream stream, int length)
    {
        if (length is < 0 or > MostNameBytes || length > stream.Length - stream.Position)
            return null;
        var bytes = new byte[length];
        return Fill(stream, bytes) ? bytes : null;
    }

    private static bool Fill(Stream stream, Span<byte> bytes) =>
        stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) == bytes.Length;
}
