using System.Buffers;
using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Onggi.Events.Streams;

namespace Onggi.Events;

/// <summary>An event that arrived, its payload still JSON.</summary>
/// <remarks>
/// The raw form, one object:
/// <code>{"epoch":"…","seq":7,"v":1,"id":"…","type":"user.updated","source":"users","time":"2026-11-21T09:30:00Z","traceparent":"00-…","metadata":{"user_id":"42"},"data":{…}}</code>
/// <c>epoch</c> and <c>seq</c> are put in by the publish script, behind the first brace.
/// Programs without Onggi may leave out any field and add others: what is missing has a default, what is unknown is passed over.
/// </remarks>
internal sealed class EventEnvelope
{
    /// <summary>The form of the JSON. Fields are added without another number; whoever reads passes over what it does not know.</summary>
    private const int Version = 1;

    // Text in other scripts stays readable in redis-cli: the envelope is never put into HTML.
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly FrozenDictionary<string, string> NoMetadata = FrozenDictionary<string, string>.Empty;

    /// <summary><c>null</c> when the publisher did not say: the channel tells.</summary>
    public string? Type { get; private set; }

    public string Source { get; private set; } = "";

    public string Id { get; private set; } = "";

    public DateTimeOffset? Time { get; private set; }

    public string? Epoch { get; private set; }

    public long? Sequence { get; private set; }

    /// <summary>The trace of the publisher, as W3C writes it; whatever a foreign publisher wrote. <c>null</c> for none.</summary>
    public string? TraceParent { get; private set; }

    public IReadOnlyDictionary<string, string> Metadata { get; private set; } = NoMetadata;

    /// <summary>The payload's JSON; empty when the event has none.</summary>
    public ReadOnlyMemory<byte> Data { get; private set; }

    /// <summary>Writes an event as it goes to the publish script, so without epoch and number; with the trace that the caller is in.</summary>
    /// <param name="id">Names the event.</param>
    /// <param name="type">The name in the catalog.</param>
    /// <param name="source">The publishing service.</param>
    /// <param name="time">When it happened.</param>
    /// <param name="metadata">Beside the payload; <c>null</c> for none.</param>
    /// <param name="data">The payload, one JSON value.</param>
    public static byte[] Write(
        string id,
        string type,
        string source,
        DateTimeOffset time,
        IReadOnlyDictionary<string, string>? metadata,
        ReadOnlySpan<byte> data
    )
    {
        var buffer = new ArrayBufferWriter<byte>(256 + data.Length);
        using (var writer = new Utf8JsonWriter(buffer, WriterOptions))
        {
            writer.WriteStartObject();
            writer.WriteNumber("v"u8, Version);
            writer.WriteString("id"u8, id);
            writer.WriteString("type"u8, type);
            writer.WriteString("source"u8, source);
            writer.WriteString("time"u8, time.UtcDateTime);
            if (EventSpans.TraceParent is { } trace)
                writer.WriteString("traceparent"u8, trace);
            writer.WriteStartObject("metadata"u8);
            foreach (var (name, value) in metadata ?? NoMetadata)
                writer.WriteString(name, value);
            writer.WriteEndObject();
            writer.WritePropertyName("data"u8);
            writer.WriteRawValue(data, skipInputValidation: true);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Reads an event of any publisher.</summary>
    /// <param name="payload">What was published; the envelope keeps pointing into it.</param>
    /// <param name="envelope">The event.</param>
    /// <param name="problem">Why it cannot be read, without any of its content.</param>
    public static bool TryRead(
        ReadOnlyMemory<byte> payload,
        [NotNullWhen(true)] out EventEnvelope? envelope,
        [NotNullWhen(false)] out string? problem
    )
    {
        envelope = null;
        problem = null;
        try
        {
            var reader = new Utf8JsonReader(payload.Span);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                problem = "it is not a JSON object";
                return false;
            }

            var read = new EventEnvelope();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                read.ReadField(ref reader, payload);
            reader.Read(); // Throws when something follows the object.
            envelope = read;
            return true;
        }
        catch (JsonException broken)
        {
            problem = $"it is not JSON, from line {broken.LineNumber + 1}, byte {broken.BytePositionInLine + 1} on";
        }
        catch (InvalidOperationException)
        {
            // What Utf8JsonReader says to bytes inside a text that are not UTF-8.
            problem = "a text in it is not UTF-8";
        }

        return false;
    }

    /// <summary>The event as a handler gets it.</summary>
    /// <param name="type">The type of the channel that it came from.</param>
    /// <param name="json">How the payload is read.</param>
    /// <param name="time">Tells when it arrived, where the publisher did not say.</param>
    /// <param name="delivery">How it is handed over; <c>null</c> where at most once.</param>
    /// <exception cref="EventPayloadException">The payload is not of that shape.</exception>
    public Event<TData> ToEvent<TData>(string type, JsonTypeInfo<TData> json, TimeProvider time, StreamDelivery? delivery = null) =>
        new()
        {
            Type = type,
            Source = Source,
            Id = Id,
            Time = Time ?? time.GetUtcNow(),
            Epoch = Epoch,
            Sequence = Sequence,
            Metadata = Metadata,
            Data = ReadData(json),
            Delivery = delivery,
        };

    private TData? ReadData<TData>(JsonTypeInfo<TData> json)
    {
        if (Data.IsEmpty)
            return default;
        try
        {
            return JsonSerializer.Deserialize(Data.Span, json);
        }
        catch (Exception unreadable) when (unreadable is JsonException or NotSupportedException)
        {
            throw new EventPayloadException(typeof(TData).Name, unreadable);
        }
    }

    private void ReadField(ref Utf8JsonReader reader, ReadOnlyMemory<byte> payload)
    {
        if (reader.ValueTextEquals("type"u8))
            Type = ReadText(ref reader);
        else if (reader.ValueTextEquals("id"u8))
            Id = ReadText(ref reader) ?? "";
        else if (reader.ValueTextEquals("source"u8))
            Source = ReadText(ref reader) ?? "";
        else if (reader.ValueTextEquals("epoch"u8))
            Epoch = ReadText(ref reader);
        else if (reader.ValueTextEquals("time"u8))
            Time = ReadTime(ref reader);
        else if (reader.ValueTextEquals("seq"u8))
            Sequence = ReadNumber(ref reader);
        else if (reader.ValueTextEquals("traceparent"u8))
            TraceParent = ReadText(ref reader);
        else if (reader.ValueTextEquals("metadata"u8))
            Metadata = ReadMetadata(ref reader);
        else if (reader.ValueTextEquals("data"u8))
            Data = ReadRaw(ref reader, payload);
        else
            reader.Skip();
    }

    private static DateTimeOffset? ReadTime(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String && reader.TryGetDateTimeOffset(out var time))
            return time;
        reader.Skip();
        return null;
    }

    private static long? ReadNumber(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number))
            return number;
        reader.Skip();
        return null;
    }

    private static IReadOnlyDictionary<string, string> ReadMetadata(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return NoMetadata;
        }

        Dictionary<string, string>? metadata = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            if (ReadText(ref reader) is { } value)
                (metadata ??= [])[name] = value;
        }

        return metadata is null ? NoMetadata : metadata;
    }

    /// <summary>The text of the next value: a string as it is, null for null, anything else as its JSON.</summary>
    private static string? ReadText(ref Utf8JsonReader reader)
    {
        reader.Read();
        switch (reader.TokenType)
        {
            case JsonTokenType.Null:
                return null;
            case JsonTokenType.String:
                return reader.GetString();
            case JsonTokenType.StartObject or JsonTokenType.StartArray:
                using (var document = JsonDocument.ParseValue(ref reader))
                    return document.RootElement.GetRawText();
            default:
                return Encoding.UTF8.GetString(reader.ValueSpan);
        }
    }

    private static ReadOnlyMemory<byte> ReadRaw(ref Utf8JsonReader reader, ReadOnlyMemory<byte> payload)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return payload[start..(int)reader.BytesConsumed];
    }
}
