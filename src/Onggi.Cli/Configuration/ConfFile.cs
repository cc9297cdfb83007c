using System.Globalization;
using System.Text;

namespace Onggi.Cli.Configuration;

/// <summary>A redis.conf: directives with their lines.</summary>
internal sealed class ConfFile
{
    private ConfFile(string name, IReadOnlyList<ConfLine> lines, IReadOnlyList<ConfLine> comments) =>
        (Name, Lines, Comments) = (name, lines, comments);

    /// <summary>What messages call it.</summary>
    public string Name { get; }

    /// <summary>The directives in their order.</summary>
    public IReadOnlyList<ConfLine> Lines { get; }

    /// <summary>The comments: <see cref="ConfLine.Name"/> is the first word after the sign.</summary>
    public IReadOnlyList<ConfLine> Comments { get; }

    /// <summary>Reads the text. Quoting is as in Redis: <c>"a b"</c> with \n, \xHH and \", <c>'a b'</c> with \'.</summary>
    /// <param name="name">What messages call it.</param>
    /// <param name="text">Its text.</param>
    /// <param name="firstLine">The number of its first line: where it is a part of another file, its line there.</param>
    /// <exception cref="ToolException">Quotes do not end; the message says on which line.</exception>
    public static ConfFile Parse(string name, string text, int firstLine = 1)
    {
        var lines = new List<ConfLine>();
        var comments = new List<ConfLine>();
        var number = firstLine - 1;
        foreach (var raw in text.Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line.Length == 0)
                continue;
            if (line[0] == '#')
            {
                var words = line.TrimStart('#', ' ').Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (words.Length > 0)
                    comments.Add(new ConfLine(number, words[0].ToLowerInvariant(), words[1..]));
                continue;
            }

            var parts = Split(line) ?? throw new ToolException($"{name}:{number}: quotes that begin here do not end: {line}");
            lines.Add(new ConfLine(number, parts[0].ToLowerInvariant(), [.. parts.Skip(1)]));
        }

        return new ConfFile(name, lines, comments);
    }

    /// <summary>The directive that counts: the last of its name; <c>null</c> where there is none.</summary>
    public ConfLine? this[string name] => Lines.LastOrDefault(line => line.Name == name);

    /// <summary>A size as redis.conf has it (<c>512mb</c>, <c>1g</c>: 1g is 10^9, 1gb is 2^30); <c>null</c> when it is none.</summary>
    public static long? Bytes(string text)
    {
        var digits = text.Length;
        while (digits > 0 && !char.IsAsciiDigit(text[digits - 1]))
            digits--;
        if (!long.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            return null;
        long? unit = text[digits..].ToLowerInvariant() switch
        {
            "" or "b" => 1,
            "k" => 1000,
            "kb" => 1024,
            "m" => 1_000_000,
            "mb" => 1024 * 1024,
            "g" => 1_000_000_000,
            "gb" => 1024L * 1024 * 1024,
            _ => null,
        };
        return number * unit;
    }

    private static List<string>? Split(string line)
    {
        var words = new List<string>();
        for (var at = 0; at < line.Length; )
        {
            if (char.IsWhiteSpace(line[at]))
            {
                at++;
                continue;
            }

            var word = new StringBuilder();
            if (!TryWord(line, ref at, word))
                return null;
            words.Add(word.ToString());
        }

        return words;
    }

    private static bool TryWord(string line, ref int at, StringBuilder word)
    {
        var quote = line[at] is '"' or '\'' ? line[at++] : '\0';
        for (; at < line.Length; at++)
        {
            var c = line[at];
            if (quote == '\0' ? char.IsWhiteSpace(c) : c == quote)
            {
                at++;
                return true;
            }

            if (quote == '"' && c == '\\' && at + 1 < line.Length)
                c = Escaped(line, ref at);
            else if (quote == '\'' && c == '\\' && at + 1 < line.Length && line[at + 1] == '\'')
                c = line[++at];
            word.Append(c);
        }

        return quote == '\0';
    }

    private static char Escaped(string line, ref int at)
    {
        at++;
        if (
            line[at] == 'x'
            && at + 2 < line.Length
            && byte.TryParse(line.AsSpan(at + 1, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var code)
        )
        {
            at += 2;
            return (char)code;
        }

        return line[at] switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\b',
            'a' => '\a',
            var other => other,
        };
    }
}

/// <summary>One directive.</summary>
/// <param name="Number">Its line, from 1.</param>
/// <param name="Name">In small letters.</param>
/// <param name="Values">What follows.</param>
internal sealed record ConfLine(int Number, string Name, IReadOnlyList<string> Values)
{
    /// <summary>All that follows, with single spaces.</summary>
    public string Value => string.Join(' ', Values);
}
