using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace Onggi.Cli.Operations;

/// <summary>Bytes out of Redis as a terminal may show them: nothing in them can move the cursor, change colours or ring.</summary>
internal static class SafeText
{
    private const int BytesPerLine = 16;

    private static readonly JsonWriterOptions Pretty = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A value over several lines: JSON indented, text as it is, anything else as a dump.</summary>
    public static string Block(byte[] value)
    {
        if (Json(value) is { } json)
            return Clean(json);
        return Utf8.IsValid(value) && !HasControls(value) ? Clean(Encoding.UTF8.GetString(value)) : Dump(value);
    }

    /// <summary>A value in one line, cut.</summary>
    public static string Line(byte[] value, int most)
    {
        if (!Utf8.IsValid(value))
            return $"0x{Convert.ToHexString(value.AsSpan(0, Math.Min(value.Length, most / 2)))}{(value.Length > most / 2 ? "…" : "")} ({Words.Size(value.Length)})";
        var text = Words.Key(Encoding.UTF8.GetString(value));
        return text.Length <= most ? text : $"{text[..most]}… ({Words.Size(value.Length)})";
    }

    /// <summary>As a JSON value: itself where it is JSON, text where it is text, and bytes in base64 otherwise.</summary>
    public static void Write(Utf8JsonWriter json, byte[] value)
    {
        if (Json(value) is not null)
        {
            json.WriteRawValue(value);
            return;
        }

        if (Utf8.IsValid(value))
        {
            json.WriteStringValue(value);
            return;
        }

        json.WriteStartObject();
        json.WriteBase64String("base64", value);
        json.WriteEndObject();
    }

    private static string? Json(byte[] value)
    {
        // A number or a word alone is text to whoever reads it.
        if (value.Length == 0 || value[0] is not ((byte)'{' or (byte)'[' or (byte)'"'))
            return null;
        try
        {
            using var document = JsonDocument.Parse(value);
            using var stream = new MemoryStream();
            using (var writer = new Utf8JsonWriter(stream, Pretty))
                document.WriteTo(writer);
            return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static bool HasControls(byte[] value) => value.Any(static b => b < 0x20 && b is not ((byte)'\n' or (byte)'\t' or (byte)'\r'));

    private static string Clean(string text) =>
        string.Join(
            '\n',
            text.ReplaceLineEndings("\n").Split('\n').Select(static line => Words.Key(line.Replace("\t", "    ", StringComparison.Ordinal)))
        );

    private static string Dump(byte[] value)
    {
        var text = new StringBuilder();
        for (var at = 0; at < value.Length; at += BytesPerLine)
        {
            var line = value.AsSpan(at, Math.Min(BytesPerLine, value.Length - at));
            text.Append(CultureInfo.InvariantCulture, $"{at:x8}  ");
            foreach (var b in line)
                text.Append(CultureInfo.InvariantCulture, $"{b:x2} ");
            text.Append(' ', (3 * (BytesPerLine - line.Length)) + 1);
            foreach (var b in line)
                text.Append(b is >= 0x20 and < 0x7F ? (char)b : '.');
            text.Append('\n');
        }

        return text.ToString().TrimEnd('\n');
    }
}
