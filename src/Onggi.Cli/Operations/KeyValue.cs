using System.Text;
using System.Text.Json;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Cli.Operations;

/// <summary>The value of a key of any type, as much of it as was asked for.</summary>
/// <param name="Count">How many bytes or elements there are in all.</param>
/// <param name="Bytes">Of a string: its bytes.</param>
/// <param name="Rows">Of anything else: its elements, each of one or more parts.</param>
/// <param name="Columns">What the parts are.</param>
internal sealed record KeyValue(long Count, byte[]? Bytes, IReadOnlyList<byte[][]> Rows, string[] Columns)
{
    /// <summary>How many bytes or elements were read.</summary>
    public long Read => Bytes?.Length ?? Rows.Count;

    /// <summary>Reads it. Two round trips.</summary>
    /// <param name="client">The Redis.</param>
    /// <param name="key">The key.</param>
    /// <param name="type">Its type.</param>
    /// <param name="most">How many elements, or how many times a hundred bytes, at most.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ToolException">Of that type nothing is known.</exception>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static async Task<KeyValue> ReadAsync(RedisClient client, string key, string type, int most, CancellationToken cancellationToken)
    {
        (RedisArg[] Count, RedisArg[] Read, string[] Columns) ask = type switch
        {
            "string" => (["STRLEN", key], ["GETRANGE", key, 0, (100L * most) - 1], []),
            "list" => (["LLEN", key], ["LRANGE", key, 0, most - 1], ["element"]),
            "set" => (["SCARD", key], ["SSCAN", key, 0, "COUNT", most], ["member"]),
            "zset" => (["ZCARD", key], ["ZRANGE", key, 0, most - 1, "WITHSCORES"], ["member", "score"]),
            "hash" => (["HLEN", key], ["HSCAN", key, 0, "COUNT", most], ["field", "value"]),
            "stream" => (["XLEN", key], ["XRANGE", key, "-", "+", "COUNT", most], ["id", "fields"]),
            _ => throw new ToolException($"{Words.Key(key)} is a {type}, and onggi does not know how to show one."),
        };
        var count = await client.SendAsync(ask.Count, ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        var reply = await client.ExecuteAsync(ask.Read, cancellationToken).ConfigureAwait(false);
        if (type == "string")
            return new KeyValue(count, reply.Bytes.ToArray(), [], []);
        var items = type is "set" or "hash" ? reply.Items[1].Items : reply.Items;
        return new KeyValue(count, null, [.. RowsOf(items, ask.Columns.Length, type == "stream").Take(most)], ask.Columns);
    }

    /// <summary>As JSON: a value, a list, or an object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        if (Bytes is not null)
        {
            SafeText.Write(json, Bytes);
            return;
        }

        json.WriteStartArray();
        foreach (var row in Rows)
        {
            if (row.Length == 1)
            {
                SafeText.Write(json, row[0]);
                continue;
            }

            json.WriteStartObject();
            for (var i = 0; i < row.Length; i++)
            {
                json.WritePropertyName(Columns[i]);
                SafeText.Write(json, row[i]);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static IEnumerable<byte[][]> RowsOf(IReadOnlyList<Reply> items, int columns, bool isStream)
    {
        if (isStream)
        {
            foreach (var entry in items)
                yield return [entry.Items[0].Bytes.ToArray(), FieldsOf(entry.Items[1])];
            yield break;
        }

        // Pairs come one inside the other (RESP3) or one after the other (RESP2).
        if (items.Count > 0 && items[0].Items.Count > 0)
        {
            foreach (var pair in items)
                yield return [.. pair.Items.Select(part => part.Bytes.ToArray())];
            yield break;
        }

        foreach (var parts in items.Chunk(columns))
            yield return [.. parts.Select(part => part.Bytes.ToArray())];
    }

    private static byte[] FieldsOf(Reply fields) =>
        Encoding.UTF8.GetBytes(
            string.Join(
                ' ',
                fields
                    .Items.Chunk(2)
                    .Select(pair => $"{SafeText.Line(pair[0].Bytes.ToArray(), 40)}={SafeText.Line(pair[^1].Bytes.ToArray(), 200)}")
            )
        );
}
