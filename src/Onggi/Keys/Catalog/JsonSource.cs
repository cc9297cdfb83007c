using System.Globalization;
using System.Text;

namespace Onggi.Keys.Catalog;

/// <summary>Reads JSON with comments and trailing commas, and keeps the place of every token.</summary>
/// <remarks>
/// Small slips (a missing comma, single quotes, a word without quotes) are reported and read as they were meant, so that one run shows them all.
/// A text or a bracket that never ends stops the reading: what follows would be guesswork.
/// </remarks>
internal sealed class JsonSource
{
    private const int MaxDepth = 32;

    private readonly string _text;
    private readonly List<CatalogMistake> _mistakes;
    private int _at;
    private int _line = 1;
    private int _lineStart;

    private JsonSource(string text, List<CatalogMistake> mistakes)
    {
        _text = text;
        _mistakes = mistakes;
    }

    /// <summary>The root value; <c>null</c> when the text cannot be read to its end.</summary>
    public static JsonNode? Parse(string text, List<CatalogMistake> mistakes)
    {
        var source = new JsonSource(text, mistakes);
        try
        {
            return source.ReadDocument();
        }
        catch (UnreadableException)
        {
            return null;
        }
    }

    private JsonNode ReadDocument()
    {
        if (_text.Length > 0 && _text[0] == '\uFEFF')
        {
            _at = 1;
            _lineStart = 1;
        }

        SkipBlanks();
        if (_at == _text.Length)
            throw Stop(Here(), "The file is empty.", "", "Write { \"system\": \"…\", \"families\": { … } }.");
        var root = ReadValue(0);
        SkipBlanks();
        if (_at < _text.Length)
            Slip(Here(), "Something stands after the end of the catalog.", "The first value has been closed before.", "Remove it.");
        return root;
    }

    private JsonNode ReadValue(int depth)
    {
        if (depth > MaxDepth)
            throw Stop(Here(), $"Brackets are nested more than {MaxDepth} deep.", "No catalog needs that.", "Check the brackets.");
        return _text[_at] switch
        {
            '{' => ReadObject(depth),
            '[' => ReadArray(depth),
            '"' or '\'' => ReadText(),
            _ => ReadWord(),
        };
    }

    private JsonNode ReadObject(int depth)
    {
        var node = Mark(JsonNodeKind.Object);
        _at++;
        var needsComma = false;
        while (true)
        {
            SkipBlanks();
            if (AtEnd('}', node))
                return node;
            if (_text[_at] == ',')
            {
                if (!needsComma)
                    Slip(Here(), "A comma without a field before it.", "", "Remove it.");
                needsComma = false;
                _at++;
                continue;
            }

            if (needsComma)
                Slip(
                    Here(),
                    "A comma is missing.",
                    "Fields of an object are separated by commas.",
                    "Write \",\" after the value before this."
                );
            var name = ReadName();
            SkipBlanks();
            if (_at < _text.Length && _text[_at] == ':')
                _at++;
            else if (_at < _text.Length && _text[_at] == '=')
            {
                Slip(Here(), "\"=\" between a name and its value.", "JSON separates them by a colon.", "Write \":\".");
                _at++;
            }
            else
                Slip(name, $"No colon follows the name \"{name.Text}\".", "", "Write \":\" and a value after it.");
            SkipBlanks();
            if (_at == _text.Length || _text[_at] is '}' or ']' or ',')
            {
                Slip(name, $"The name \"{name.Text}\" has no value.", "", "Write one after the colon.");
                needsComma = true;
                continue;
            }

            node.Members.Add(new JsonMember(name, ReadValue(depth + 1)));
            needsComma = true;
        }
    }

    private JsonNode ReadArray(int depth)
    {
        var node = Mark(JsonNodeKind.Array);
        _at++;
        var needsComma = false;
        while (true)
        {
            SkipBlanks();
            if (AtEnd(']', node))
                return node;
            if (_text[_at] == ',')
            {
                if (!needsComma)
                    Slip(Here(), "A comma without a value before it.", "", "Remove it.");
                needsComma = false;
                _at++;
                continue;
            }

            if (needsComma)
                Slip(
                    Here(),
                    "A comma is missing.",
                    "Values of a list are separated by commas.",
                    "Write \",\" after the value before this."
                );
            node.Items.Add(ReadValue(depth + 1));
            needsComma = true;
        }
    }

    private bool AtEnd(char bracket, JsonNode opened)
    {
        if (_at == _text.Length)
        {
            var open = bracket == '}' ? '{' : '[';
            throw Stop(opened, $"This \"{open}\" is never closed.", "The file ends before.", $"Write \"{bracket}\" where it ends.");
        }

        if (_text[_at] is not ('}' or ']'))
            return false;
        if (_text[_at] != bracket)
            throw Stop(
                Here(),
                $"\"{_text[_at]}\" closes what \"{(bracket == '}' ? '{' : '[')}\" opened on line {opened.Line}.",
                "",
                $"Write \"{bracket}\" here, or close the inner one before."
            );
        _at++;
        return true;
    }

    private JsonNode ReadName()
    {
        if (_text[_at] is '"' or '\'')
            return ReadText();
        var name = Mark(JsonNodeKind.Text);
        var start = _at;
        while (_at < _text.Length && IsWordPart(_text[_at]))
            _at++;
        if (_at == start)
            throw Stop(name, $"\"{Shown(_text[_at])}\" where the name of a field should stand.", "", "Write a name in double quotes.");
        name.Text = _text.Substring(start, _at - start);
        name.Length = _at - start;
        Slip(name, $"The name {name.Text} has no quotes.", "JSON wants names in double quotes.", $"Write \"{name.Text}\".");
        return name;
    }

    private JsonNode ReadText()
    {
        var node = Mark(JsonNodeKind.Text);
        var quote = _text[_at++];
        var text = new StringBuilder();
        while (true)
        {
            if (_at == _text.Length || _text[_at] is '\n' or '\r')
                throw Stop(node, "This text is never closed.", "A text ends on the line where it begins.", $"Write {quote} at its end.");
            var c = _text[_at];
            if (c == quote)
                break;
            if (c == '\\')
            {
                ReadEscape(text);
                continue;
            }

            if (c < ' ')
                Slip(
                    Here(),
                    $"A control character ({Shown(c)}) in a text.",
                    "JSON does not allow it there.",
                    "Remove it, or write it as an escape."
                );
            text.Append(c);
            _at++;
        }

        _at++;
        node.Text = text.ToString();
        node.Length = _at - node.Offset;
        if (quote == '\'')
            Slip(node, $"'{node.Text}' stands in single quotes.", "JSON wants double quotes.", $"Write \"{node.Text}\".");
        return node;
    }

    private void ReadEscape(StringBuilder text)
    {
        var escape = Here();
        escape.Length = 2;
        if (_at + 1 >= _text.Length)
            throw Stop(escape, "The file ends inside a text.", "", "Write \" at its end.");
        var c = _text[_at + 1];
        if (c == 'u')
        {
            if (
                _at + 6 <= _text.Length
                && ushort.TryParse(_text.Substring(_at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unit)
            )
            {
                text.Append((char)unit);
                _at += 6;
                return;
            }

            Slip(escape, "\\u without four hexadecimal digits.", "", "Write \\u and four digits, or \\\\ for a backslash.");
            _at += 2;
            return;
        }

        var plain = c switch
        {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\b',
            'f' => '\f',
            '"' or '\\' or '/' => c,
            _ => '\0',
        };
        if (plain == '\0')
        {
            Slip(
                escape,
                $"\"\\{Shown(c)}\" is no escape.",
                "JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u.",
                "Write \\\\ for a backslash."
            );
            if (c is '\n' or '\r')
            {
                _at++;
                return;
            }

            plain = c;
        }

        text.Append(plain);
        _at += 2;
    }

    /// <summary>A number, true, false, null, or a word that somebody forgot to quote.</summary>
    private JsonNode ReadWord()
    {
        var start = _at;
        var place = Here();
        while (_at < _text.Length && IsWordPart(_text[_at]))
            _at++;
        var word = _text.Substring(start, _at - start);
        if (word.Length == 0)
            throw Stop(
                place,
                $"\"{Shown(_text[_at])}\" where a value should stand.",
                "",
                "Write a text in double quotes, a number, an object or a list."
            );
        var kind = word switch
        {
            "true" => JsonNodeKind.True,
            "false" => JsonNodeKind.False,
            "null" => JsonNodeKind.Null,
            _ when IsNumber(word) => JsonNodeKind.Number,
            _ => JsonNodeKind.Text,
        };
        var node = new JsonNode(kind, place.Offset, place.Line, place.Column) { Text = word, Length = word.Length };
        if (kind == JsonNodeKind.Text)
            Slip(node, $"{word} has no quotes.", "JSON wants texts in double quotes.", $"Write \"{word}\".");
        return node;
    }

    private static bool IsNumber(string word)
    {
        var at = 0;
        int Digits()
        {
            var from = at;
            while (at < word.Length && word[at] is >= '0' and <= '9')
                at++;
            return at - from;
        }

        if (word[0] == '-')
            at++;
        var first = at;
        var whole = Digits();
        if (whole == 0 || (whole > 1 && word[first] == '0'))
            return false;
        if (at < word.Length && word[at] == '.')
        {
            at++;
            if (Digits() == 0)
                return false;
        }

        if (at < word.Length && word[at] is 'e' or 'E')
        {
            at++;
            if (at < word.Length && word[at] is '+' or '-')
                at++;
            if (Digits() == 0)
                return false;
        }

        return at == word.Length;
    }

    private static bool IsWordPart(char c) => char.IsLetterOrDigit(c) || c is '_' or '$' or '.' or '+' or '-' or '%';

    private void SkipBlanks()
    {
        while (_at < _text.Length)
        {
            var c = _text[_at];
            if (c is '\n' or '\r')
                NewLine();
            else if (c is ' ' or '\t' or '\u00A0')
                _at++;
            else if (c == '/' && _at + 1 < _text.Length && _text[_at + 1] == '/')
                SkipLineComment();
            else if (c == '/' && _at + 1 < _text.Length && _text[_at + 1] == '*')
                SkipBlockComment();
            else
                return;
        }
    }

    private void SkipLineComment()
    {
        while (_at < _text.Length && _text[_at] is not ('\n' or '\r'))
            _at++;
    }

    private void SkipBlockComment()
    {
        var start = Here();
        start.Length = 2;
        _at += 2;
        while (_at + 1 < _text.Length && !(_text[_at] == '*' && _text[_at + 1] == '/'))
        {
            if (_text[_at] is '\n' or '\r')
                NewLine();
            else
                _at++;
        }

        if (_at + 1 >= _text.Length)
            throw Stop(start, "This comment is never closed.", "", "Write */ at its end.");
        _at += 2;
    }

    private void NewLine()
    {
        _at += _text[_at] == '\r' && _at + 1 < _text.Length && _text[_at + 1] == '\n' ? 2 : 1;
        _line++;
        _lineStart = _at;
    }

    private JsonNode Here() => Mark(JsonNodeKind.Text);

    private JsonNode Mark(JsonNodeKind kind) => new(kind, _at, _line, _at - _lineStart + 1);

    private static string Shown(char c) => c < ' ' ? "U+" + ((int)c).ToString("X4", CultureInfo.InvariantCulture) : c.ToString();

    private void Slip(JsonNode at, string what, string why, string write) =>
        _mistakes.Add(new CatalogMistake(MistakeCode.BrokenJson, at, what, why, write));

    private UnreadableException Stop(JsonNode at, string what, string why, string write)
    {
        Slip(at, what, why, write);
        return new UnreadableException();
    }

    /// <summary>Unwinds the reader where nothing sensible can be read any more; never leaves <see cref="Parse"/>.</summary>
    private sealed class UnreadableException : Exception;
}
