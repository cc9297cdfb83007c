using System.Globalization;
using System.Text;

namespace Onggi.Tests.Client;

/// <summary>Any RESP3 value, with how it is spelled on the wire: what a server could send. It writes itself in the plainest way, and says what it should read as.</summary>
/// <param name="Type">Its type byte; <c>_</c> for all spellings of null.</param>
/// <param name="Text">A scalar's content, one character per byte; for null, its spelling.</param>
internal sealed record RespTree(char Type, string Text = "")
{
    private const int MostDepth = 6;

    /// <summary>What stands in an aggregate; a map has its keys and values in turn.</summary>
    public IReadOnlyList<RespTree> Items { get; init; } = [];

    /// <summary>Keys and values of the attribute in front of it; <c>null</c> for none.</summary>
    public IReadOnlyList<RespTree>? Attributes { get; init; }

    /// <summary>How many times the attribute stands there.</summary>
    public int AttributeTimes { get; init; } = 1;

    /// <summary>Whether it is written with an unknown length, in chunks.</summary>
    public bool Streamed { get; init; }

    public bool IsPush => Type == '>';

    public bool IsError => Type is '-' or '!';

    public byte[] ToBytes()
    {
        var output = new StringBuilder();
        Write(output);
        return Encoding.Latin1.GetBytes(output.ToString());
    }

    /// <summary>What it reads as, in the notation of <see cref="GoldenFrame"/>.</summary>
    public string Reads() =>
        Type switch
        {
            '_' => "null",
            '$' => $"\"{ReferenceParser.Escape(Text)}\"",
            '!' or '=' => $"{Type}\"{ReferenceParser.Escape(Text)}\"",
            '*' => $"[{string.Join(' ', Items.Select(item => item.Reads()))}]",
            '~' or '%' or '>' => $"{Type}[{string.Join(' ', Items.Select(item => item.Reads()))}]",
            _ => Type + ReferenceParser.Escape(Text),
        };

    public override string ToString()
    {
        var text = ReferenceParser.Escape(ToBytes());
        return text.Length > 1000 ? $"{text[..1000]}…" : text;
    }

    /// <summary>Grows one of any shape: a reply, or also a push.</summary>
    public static RespTree Grow(Random random, int size, bool pushes) => Grow(random, size, pushes, 0);

    /// <summary>What is a little smaller, and may show the same mistake.</summary>
    public static IEnumerable<RespTree> Smaller(RespTree tree)
    {
        foreach (var item in tree.Items)
            yield return item;
        if (tree.Attributes is { } attributes)
        {
            yield return tree with
            {
                Attributes = null,
            };
            foreach (var fewer in SmallerItems(attributes, pairs: true))
                yield return tree with
                {
                    Attributes = fewer,
                };
        }

        if (tree.Streamed)
            yield return tree with
            {
                Streamed = false,
            };
        foreach (var fewer in SmallerItems(tree.Items, tree.Type == '%'))
            yield return tree with
            {
                Items = fewer,
            };
        foreach (var text in tree.SmallerTexts())
            yield return tree with
            {
                Text = text,
            };
    }

    private static IEnumerable<RespTree[]> SmallerItems(IReadOnlyList<RespTree> items, bool pairs)
    {
        if (!pairs)
            return Property.Smaller(items, Smaller);
        return Property.Smaller([.. items.Chunk(2)], pair => Each(pair)).Select(left => left.SelectMany(pair => pair).ToArray());

        static IEnumerable<RespTree[]> Each(RespTree[] pair) =>
            [
                .. Smaller(pair[0]).Select(key => (RespTree[])[key, pair[1]]),
                .. Smaller(pair[1]).Select(value => (RespTree[])[pair[0], value]),
            ];
    }

    private IEnumerable<string> SmallerTexts()
    {
        switch (Type)
        {
            case ':' or '(' or ',' when Text != "0":
                return ["0"];
            case '+' or '-' or '$' or '!' or '=' when Text.Length > 0:
                return WithoutParts(Text);
            default:
                return [];
        }
    }

    // From large parts to single letters; of a long text only large ones, or there would be too many to try.
    private static IEnumerable<string> WithoutParts(string text)
    {
        for (var part = text.Length; part > 0 && text.Length / part <= 64; part = part == 1 ? 0 : (part + 1) / 2)
        for (var start = 0; start < text.Length; start += part)
            yield return text.Remove(start, Math.Min(part, text.Length - start));
    }

    private void Write(StringBuilder output)
    {
        for (var times = 0; Attributes is { } attributes && times < AttributeTimes; times++)
        {
            Line(output, '|', attributes.Count / 2);
            foreach (var part in attributes)
                part.Write(output);
        }

        switch (Type)
        {
            case '_':
                output.Append(Text).Append("\r\n");
                break;
            case '$' when Streamed:
                output.Append("$?\r\n");
                foreach (var chunk in Text.Chunk(3))
                    Line(output, ';', chunk.Length).Append(chunk).Append("\r\n");
                Line(output, ';', 0);
                break;
            case '$' or '!':
                Line(output, Type, Text.Length).Append(Text).Append("\r\n");
                break;
            case '=':
                Line(output, Type, Text.Length + 4).Append("txt:").Append(Text).Append("\r\n");
                break;
            case '*' or '~' or '%' or '>':
                if (Streamed)
                    output.Append(Type).Append("?\r\n");
                else
                    Line(output, Type, Type == '%' ? Items.Count / 2 : Items.Count);
                foreach (var item in Items)
                    item.Write(output);
                if (Streamed)
                    output.Append(".\r\n");
                break;
            default:
                output.Append(Type).Append(Text).Append("\r\n");
                break;
        }
    }

    private static StringBuilder Line(StringBuilder output, char type, int number) =>
        output.Append(type).Append(number.ToString(CultureInfo.InvariantCulture)).Append("\r\n");

    private static RespTree Grow(Random random, int size, bool pushes, int depth)
    {
        var type = random.Next(depth < MostDepth ? 12 : 8) switch
        {
            0 => '+',
            1 => '-',
            2 => ':',
            3 => "(,"[random.Next(2)],
            4 => "#_"[random.Next(2)],
            5 or 6 => '$',
            7 => "!="[random.Next(2)],
            8 when pushes => '>',
            8 or 9 => '*',
            10 => '~',
            _ => '%',
        };
        var attributed = random.Next(8) == 0 && depth < MostDepth;
        return new RespTree(type, Content(random, type, size))
        {
            Items = type is '*' or '~' or '%' or '>' ? Several(random, size, depth, type == '%') : [],
            Attributes = attributed ? Several(random, size / 2, depth, pairs: true) : null,
            AttributeTimes = random.Next(3) == 0 ? 2 : 1,
            Streamed = type is '$' or '*' or '~' or '%' && random.Next(6) == 0,
        };
    }

    private static RespTree[] Several(Random random, int size, int depth, bool pairs)
    {
        var most = Math.Min(8, 1 + (size / (1 + depth)));
        var items = new RespTree[random.Next(most + 1) * (pairs ? 2 : 1)];
        for (var i = 0; i < items.Length; i++)
            items[i] = Grow(random, size / 2, pushes: false, depth + 1);
        return items;
    }

    private static string Content(Random random, char type, int size)
    {
        switch (type)
        {
            case ':':
                return Whole(random).ToString(CultureInfo.InvariantCulture);
            case '(':
                return $"{Whole(random)}{random.NextInt64():D19}{random.NextInt64():D19}";
            case ',':
                return ((string[])["inf", "-inf", "nan", "0", "-0", "5E-324", "1.7976931348623157E+308", Real(random)])[random.Next(8)];
            case '#':
                return random.Next(2) == 0 ? "t" : "f";
            case '_':
                return ((string[])["_", "$-1", "*-1"])[random.Next(3)];
            case '+' or '-':
                return Bytes(random, random.Next(size + 1)).Replace("\r", "", StringComparison.Ordinal);
            case '$' or '!' or '=':
                return Bytes(random, random.Next(40) == 0 ? random.Next(40_000) : random.Next(size + 1));
            default:
                return "";
        }
    }

    private static long Whole(Random random) =>
        random.Next(6) switch
        {
            0 => long.MinValue,
            1 => long.MaxValue,
            2 => random.Next(-2, 3),
            _ => random.NextInt64(long.MinValue, long.MaxValue),
        };

    private static string Real(Random random) =>
        ((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-300, 300))).ToString("R", CultureInfo.InvariantCulture);

    // Often such as mean something to a parser.
    private static string Bytes(Random random, int length)
    {
        const string Meaningful = "\r\n\r\n$*+-:_#,(=!~%>|;.?019\0\xff";
        var plain = random.Next(3) == 0;
        var letters = new char[length];
        for (var i = 0; i < length; i++)
            letters[i] =
                plain ? (char)random.Next('a', 'z' + 1)
                : random.Next(2) == 0 ? Meaningful[random.Next(Meaningful.Length)]
                : (char)random.Next(256);
        return new string(letters);
    }
}
