using System.Text;

namespace Onggi.Client.Resp;

/// <summary>A whole reply as a tree of its own: for tools and rare commands, where speed does not matter.</summary>
public sealed class Reply
{
    private readonly byte[]? _bytes;

    private Reply(RespType type, byte[]? bytes, IReadOnlyList<Reply> items)
    {
        Type = type;
        _bytes = bytes;
        Items = items;
    }

    /// <summary>What the element is.</summary>
    public RespType Type { get; }

    /// <summary>The elements inside it; empty for a scalar. A map has its keys and values in turn.</summary>
    public IReadOnlyList<Reply> Items { get; }

    /// <summary>The scalar's bytes; empty for null and aggregates.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes;

    /// <summary>The scalar as UTF-8 text; <c>null</c> for null and aggregates.</summary>
    public string? Text => _bytes is null ? null : Encoding.UTF8.GetString(_bytes);

    /// <summary>Whether the element is null.</summary>
    public bool IsNull => Type == RespType.Null;

    /// <summary>The value that stands after <paramref name="key"/> in a map (or in an array of pairs, as RESP2 has them); <c>null</c> when it is not there.</summary>
    public Reply? this[string key]
    {
        get
        {
            for (var i = 0; i + 1 < Items.Count; i += 2)
                if (Items[i].Text == key)
                    return Items[i + 1];
            return null;
        }
    }

    /// <summary>Copies the reader's current element with all that stands inside it.</summary>
    public static Reply From(ref RespReader reader)
    {
        if (!reader.IsAggregate)
            return new Reply(reader.Type, reader.IsNull ? null : reader.Value.ToArray(), []);
        var type = reader.Type;
        var items = new Reply[reader.Count];
        for (var i = 0; i < items.Length; i++)
        {
            reader.Read();
            items[i] = From(ref reader);
        }

        return new Reply(type, null, items);
    }

    /// <inheritdoc/>
    public override string ToString() => Type is RespType.Null ? "(null)" : Text ?? $"[{string.Join(", ", Items)}]";
}
