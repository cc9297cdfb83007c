namespace Onggi.Keys.Catalog;

/// <summary>What a place in the catalog's JSON holds.</summary>
internal enum JsonNodeKind
{
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

/// <summary>One value of the catalog's JSON and the place in the file where it stands.</summary>
internal sealed class JsonNode
{
    public JsonNode(JsonNodeKind kind, int offset, int line, int column)
    {
        Kind = kind;
        Offset = offset;
        Line = line;
        Column = column;
    }

    public JsonNodeKind Kind { get; }

    /// <summary>Where it begins, counted in UTF-16 units from 0.</summary>
    public int Offset { get; }

    /// <summary>Its line, from 1.</summary>
    public int Line { get; }

    /// <summary>Its column, from 1, in UTF-16 units.</summary>
    public int Column { get; }

    /// <summary>How many units of the file a mistake about it marks: the whole of a scalar, the bracket of the others.</summary>
    public int Length { get; set; } = 1;

    /// <summary>The text of a string without quotes and escapes, or the digits of a number.</summary>
    public string Text { get; set; } = "";

    public List<JsonMember> Members { get; } = [];

    public List<JsonNode> Items { get; } = [];

    /// <summary>The kind in words, for messages.</summary>
    public string Described =>
        Kind switch
        {
            JsonNodeKind.Object => "an object",
            JsonNodeKind.Array => "a list",
            JsonNodeKind.Text => "a text",
            JsonNodeKind.Number => "a number",
            JsonNodeKind.Null => "null",
            _ => "true or false",
        };

    /// <summary>A mark on a part of a text: a node that begins <paramref name="start"/> characters into it, where the file spells the text without escapes.</summary>
    public JsonNode Part(int start, int length) =>
        Kind != JsonNodeKind.Text || Text.Length == 0 || Length != Text.Length + 2
            ? this
            : new JsonNode(Kind, Offset + 1 + start, Line, Column + 1 + start)
            {
                Length = Math.Max(1, length),
                Text = Text.Substring(start, Math.Min(length, Text.Length - start)),
            };
}

/// <summary>A name in an object, and what stands under it.</summary>
internal sealed class JsonMember
{
    public JsonMember(JsonNode name, JsonNode value)
    {
        NameNode = name;
        Value = value;
    }

    public string Name => NameNode.Text;

    public JsonNode NameNode { get; }

    public JsonNode Value { get; }
}

/// <summary>A value of the catalog and where it was written.</summary>
internal sealed class Located<T>
{
    public Located(T value, JsonNode node)
    {
        Value = value;
        Node = node;
    }

    public T Value { get; }

    public JsonNode Node { get; }
}
