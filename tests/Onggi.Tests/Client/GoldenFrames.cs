using System.Globalization;
using System.Text;

namespace Onggi.Tests.Client;

/// <summary>One frame and what it reads as, both written by hand.</summary>
/// <param name="Bytes">The frame, one character per byte.</param>
/// <param name="Reads">
/// The reply in the notation of <see cref="ReferenceParser"/>: <c>null</c>, <c>+OK</c>, <c>-ERR …</c>, <c>:5</c>, <c>(5</c>, <c>,5</c>, <c>#t</c>, <c>"bulk"</c>,
/// <c>!"error"</c>, <c>="verbatim"</c>, <c>[array]</c>, <c>~[set]</c>, <c>%[key value]</c>, <c>>[push]</c>; attributes leave no trace.
/// </param>
internal sealed record GoldenFrame(string Bytes, string Reads)
{
    public byte[] ToBytes() => Encoding.Latin1.GetBytes(Bytes);

    public bool IsPush => Reads[0] == '>';

    public override string ToString() => ReferenceParser.Escape(Bytes.Length > 60 ? Bytes[..60] + "…" : Bytes);
}

/// <summary>Frames of every RESP3 type and every edge we know of: what the parser must read, whichever way the bytes are cut.</summary>
internal static class GoldenFrames
{
    public static IReadOnlyList<GoldenFrame> All { get; } =
    [.. Scalars(), .. Aggregates(), .. Attributes(), .. StreamedParts(), .. Captured(), .. EdgeSizes()];

    /// <summary>Those short enough to be split in every way.</summary>
    public static IReadOnlyList<GoldenFrame> Short { get; } = [.. All.Where(frame => frame.Bytes.Length <= 400)];

    /// <summary>Bytes that are not RESP3, each wrong in one way.</summary>
    public static IReadOnlyList<string> Broken { get; } =
    [
        "x\r\n",
        "\r\n",
        "\n",
        "\0\0\0\0",
        "GET / HTTP/1.1\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x03\x00\x02\x02\x50",
        ":\r\n",
        ":-\r\n",
        ":12a\r\n",
        ":1.5\r\n",
        ":9223372036854775808\r\n",
        ":-9223372036854775809\r\n",
        ": 5\r\n",
        "(\r\n",
        "(-\r\n",
        "(12x\r\n",
        ",\r\n",
        ",abc\r\n",
        ",1,5\r\n",
        "#\r\n",
        "#x\r\n",
        "#true\r\n",
        "_x\r\n",
        "$\r\n",
        "$-2\r\n",
        "$+3\r\nabc\r\n",
        "$abc\r\n",
        "$3\r\nabcd\r\n",
        "$3\r\nab\r\n\r\n",
        "$3\r\nabc\n\r",
        "$536870913\r\n",
        "$99999999999999999999\r\n",
        "!-1\r\n",
        "=-1\r\n",
        "=2\r\nab\r\n",
        "=3\r\ntxt\r\n",
        "=5\r\ntxt-a\r\n",
        "*-2\r\n",
        "*\r\n",
        "*a\r\n",
        "*1.5\r\n",
        "*67108865\r\n",
        "*99999999999999999999\r\n",
        "~-1\r\n",
        "%-1\r\n",
        ">-1\r\n",
        "|-1\r\n",
        ">?\r\n",
        "|?\r\n",
        "!?\r\n",
        "=?\r\n",
        "*1\r\n>1\r\n+a\r\n",
        "|1\r\n+a\r\n>1\r\n+b\r\n+c\r\n",
        ".\r\n",
        "*1\r\n.\r\n",
        ";1\r\na\r\n",
        "$?\r\n+a\r\n",
        "$?\r\n$1\r\na\r\n",
        "$?\r\n;a\r\n",
        "$?\r\n;-1\r\n",
        "$?\r\n;1\r\nabc\r\n",
        "*?\r\n+a\r\n.x\r\n",
        "%?\r\n+a\r\n.\r\n",
        "*?\r\n|1\r\n+a\r\n+b\r\n.\r\n",
        "*?\r\n|0\r\n.\r\n",
        "*?\r\n|00\r\n.\r\n",
        "+a\rb\r\n",
        "-ERR\r\r\n",
    ];

    /// <summary>A frame that nests so many arrays in each other.</summary>
    public static GoldenFrame Nested(int depth) =>
        new(
            string.Concat(Enumerable.Repeat("*1\r\n", depth)) + ":1\r\n",
            string.Concat(Enumerable.Repeat("[", depth)) + ":1" + string.Concat(Enumerable.Repeat("]", depth))
        );

    private static IEnumerable<GoldenFrame> Scalars() =>
        [
            new("+OK\r\n", "+OK"),
            new("+\r\n", "+"),
            new("+PONG with spaces and \t tab\r\n", "+PONG with spaces and \\x09 tab"),
            new("+\xff\x00\x80\r\n", "+\\xFF\\x00\\x80"),
            new("+a\nb\r\n", "+a\\x0Ab"),
            new("-ERR unknown command 'foo'\r\n", "-ERR unknown command 'foo'"),
            new(
                "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
                "-WRONGTYPE Operation against a key holding the wrong kind of value"
            ),
            new("-\r\n", "-"),
            new(":0\r\n", ":0"),
            new(":-0\r\n", ":-0"),
            new(":+7\r\n", ":+7"),
            new(":007\r\n", ":007"),
            new(":1\r\n", ":1"),
            new(":-1\r\n", ":-1"),
            new(":9223372036854775807\r\n", ":9223372036854775807"),
            new(":-9223372036854775808\r\n", ":-9223372036854775808"),
            new("(0\r\n", "(0"),
            new("(3492890328409238509324850943850943825024385\r\n", "(3492890328409238509324850943850943825024385"),
            new("(-3492890328409238509324850943850943825024385\r\n", "(-3492890328409238509324850943850943825024385"),
            new("(+12\r\n", "(+12"),
            new(",0\r\n", ",0"),
            new(",1.23\r\n", ",1.23"),
            new(",-1.5e300\r\n", ",-1.5e300"),
            new(",1E-7\r\n", ",1E-7"),
            new(",10\r\n", ",10"),
            new(",inf\r\n", ",inf"),
            new(",-inf\r\n", ",-inf"),
            new(",nan\r\n", ",nan"),
            new(",-nan\r\n", ",-nan"),
            new(
                ",3.0000000000000000000000000000000000000000000000000000001\r\n",
                ",3.0000000000000000000000000000000000000000000000000000001"
            ),
            new("#t\r\n", "#t"),
            new("#f\r\n", "#f"),
            new("_\r\n", "null"),
            new("$-1\r\n", "null"),
            new("*-1\r\n", "null"),
            new("$0\r\n\r\n", "\"\""),
            new("$1\r\na\r\n", "\"a\""),
            new("$5\r\nhello\r\n", "\"hello\""),
            new("$03\r\nabc\r\n", "\"abc\""),
            new("$2\r\n\r\n\r\n", "\"\\x0D\\x0A\""),
            new("$10\r\n\r\n$3\r\nabc\r\r\n", "\"\\x0D\\x0A$3\\x0D\\x0Aabc\\x0D\""),
            new("$4\r\n\0\xff\r\n\r\n", "\"\\x00\\xFF\\x0D\\x0A\""),
            new("$6\r\n\xed\x95\x9c\xea\xb8\x80\r\n", "\"\\xED\\x95\\x9C\\xEA\\xB8\\x80\""),
            new("$1\r\n\r\r\n", "\"\\x0D\""),
            new("$1\r\n\n\r\n", "\"\\x0A\""),
            new("!21\r\nSYNTAX invalid syntax\r\n", "!\"SYNTAX invalid syntax\""),
            new("!0\r\n\r\n", "!\"\""),
            new("!11\r\nERR two\r\nln\r\n", "!\"ERR two\\x0D\\x0Aln\""),
            new("=15\r\ntxt:Some string\r\n", "=\"Some string\""),
            new("=4\r\ntxt:\r\n", "=\"\""),
            new("=7\r\nmkd:# A\r\n", "=\"# A\""),
            new("=8\r\ntxt:\r\n\r\n\r\n", "=\"\\x0D\\x0A\\x0D\\x0A\""),
        ];

    private static IEnumerable<GoldenFrame> Aggregates() =>
        [
            new("*0\r\n", "[]"),
            new("*00\r\n", "[]"),
            new("~0\r\n", "~[]"),
            new("%0\r\n", "%[]"),
            new(">0\r\n", ">[]"),
            new("*1\r\n*0\r\n", "[[]]"),
            new("*2\r\n*0\r\n*0\r\n", "[[] []]"),
            new("*3\r\n:1\r\n:2\r\n:3\r\n", "[:1 :2 :3]"),
            new("*3\r\n$1\r\na\r\n$-1\r\n_\r\n", "[\"a\" null null]"),
            new("*2\r\n*-1\r\n$0\r\n\r\n", "[null \"\"]"),
            new("*2\r\n-ERR inner\r\n+after\r\n", "[-ERR inner +after]"),
            new("*2\r\n!9\r\nERR inner\r\n=4\r\ntxt:\r\n", "[!\"ERR inner\" =\"\"]"),
            new("~3\r\n+a\r\n:2\r\n#t\r\n", "~[+a :2 #t]"),
            new("%2\r\n+first\r\n:1\r\n+second\r\n:2\r\n", "%[+first :1 +second :2]"),
            new("%1\r\n*2\r\n:1\r\n:2\r\n%1\r\n+k\r\n~1\r\n,1.5\r\n", "%[[:1 :2] %[+k ~[,1.5]]]"),
            new("*2\r\n%0\r\n~0\r\n", "[%[] ~[]]"),
            new("*7\r\n+a\r\n-b\r\n:1\r\n(2\r\n,3\r\n#f\r\n_\r\n", "[+a -b :1 (2 ,3 #f null]"),
            new("*2\r\n*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "[[[:1 :2] :3] :4]"),
            new("*2\r\n:1\r\n*2\r\n:2\r\n*2\r\n:3\r\n:4\r\n", "[:1 [:2 [:3 :4]]]"),
            new(">3\r\n$7\r\nmessage\r\n$4\r\nchan\r\n$2\r\nhi\r\n", ">[\"message\" \"chan\" \"hi\"]"),
            new(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", ">[\"invalidate\" [\"a\" \"b\"]]"),
            new(">2\r\n$10\r\ninvalidate\r\n_\r\n", ">[\"invalidate\" null]"),
            new(">1\r\n+x\r\n", ">[+x]"),
            Nested(1),
            Nested(127),
            Nested(128),
            new(
                string.Concat(Enumerable.Repeat("*1\r\n", 128)) + "*0\r\n",
                string.Concat(Enumerable.Repeat("[", 128)) + "[]" + new string(']', 128)
            ),
        ];

    private static IEnumerable<GoldenFrame> Attributes() =>
        [
            new("|1\r\n+ttl\r\n:5\r\n$1\r\na\r\n", "\"a\""),
            new("|0\r\n+a\r\n", "+a"),
            new("|1\r\n+k\r\n+v\r\n|1\r\n+k\r\n+v\r\n:1\r\n", ":1"),
            new("*2\r\n|1\r\n+k\r\n*2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "[:3 :4]"),
            new("*2\r\n:3\r\n|2\r\n+k\r\n%1\r\n+a\r\n+b\r\n+l\r\n+m\r\n:4\r\n", "[:3 :4]"),
            new("|1\r\n|1\r\n+x\r\n+y\r\n+k\r\n+v\r\n+a\r\n", "+a"),
            new(
                "|1\r\n+key-popularity\r\n%2\r\n$1\r\na\r\n,0.1923\r\n$1\r\nb\r\n,0.0012\r\n*2\r\n:2039123\r\n:9543892\r\n",
                "[:2039123 :9543892]"
            ),
            new("|1\r\n+k\r\n$-1\r\n>1\r\n+x\r\n", ">[+x]"),
            new("|1\r\n+k\r\n+v\r\n-ERR marked\r\n", "-ERR marked"),
            new("*1\r\n|1\r\n+k\r\n+v\r\n*0\r\n", "[[]]"),
            new("%1\r\n|1\r\n+k\r\n+v\r\n+a\r\n|0\r\n+b\r\n", "%[+a +b]"),
        ];

    private static IEnumerable<GoldenFrame> StreamedParts() =>
        [
            new("$?\r\n;4\r\nHell\r\n;5\r\no wor\r\n;1\r\nd\r\n;0\r\n", "\"Hello word\""),
            new("$?\r\n;0\r\n", "\"\""),
            new("$?\r\n;2\r\n\r\n\r\n;0\r\n", "\"\\x0D\\x0A\""),
            new("*?\r\n:1\r\n:2\r\n:3\r\n.\r\n", "[:1 :2 :3]"),
            new("*?\r\n.\r\n", "[]"),
            new("~?\r\n+a\r\n.\r\n", "~[+a]"),
            new("%?\r\n+a\r\n:1\r\n+b\r\n:2\r\n.\r\n", "%[+a :1 +b :2]"),
            new("%?\r\n.\r\n", "%[]"),
            new("*2\r\n*?\r\n:1\r\n.\r\n$?\r\n;1\r\na\r\n;0\r\n", "[[:1] \"a\"]"),
            new("*?\r\n*?\r\n*?\r\n.\r\n.\r\n.\r\n", "[[[]]]"),
            new("*?\r\n|1\r\n+k\r\n+v\r\n:1\r\n.\r\n", "[:1]"),
            new("|1\r\n+k\r\n*?\r\n.\r\n$?\r\n;1\r\nz\r\n;0\r\n", "\"z\""),
            new("*?\r\n$-1\r\n$0\r\n\r\n*-1\r\n_\r\n.\r\n", "[null \"\" null null]"),
            new(">2\r\n+x\r\n*?\r\n:1\r\n.\r\n", ">[+x [:1]]"),
        ];

    /// <summary>As redis-server 7.0.15 sent them.</summary>
    private static IEnumerable<GoldenFrame> Captured() =>
        [
            new(
                "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n",
                "%[\"server\" \"redis\" \"version\" \"7.0.15\" \"proto\" :3 \"id\" :4 \"mode\" \"standalone\" \"role\" \"master\" \"modules\" []]"
            ),
            new("-NOSCRIPT No matching script. Please use EVAL.\r\n", "-NOSCRIPT No matching script. Please use EVAL."),
            new(
                "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                "-WRONGPASS invalid username-password pair or user is disabled."
            ),
            new(">3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n", ">[\"subscribe\" \"ch\" :1]"),
            new(">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n", ">[\"unsubscribe\" null :0]"),
            new(">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\nm\r\n", ">[\"pmessage\" \"*\" \"c\" \"m\"]"),
            new("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", "[\"0\" [\"a\" \"b\"]]"),
            new("*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n", "[[\"a\" ,1] [\"b\" ,2.5]]"),
            new("*2\r\n$10\r\n1795303000\r\n$6\r\n123456\r\n", "[\"1795303000\" \"123456\"]"),
            new("-OOM command not allowed when used memory > 'maxmemory'.\r\n", "-OOM command not allowed when used memory > 'maxmemory'."),
        ];

    private static IEnumerable<GoldenFrame> EdgeSizes()
    {
        foreach (var size in (int[])[9, 10, 99, 100, 999, 1000, 4095, 4096, 8190, 16_375, 16_376, 16_377, 16_384, 65_535, 65_536, 131_073])
        {
            var body = Body(size);
            yield return new($"${size}\r\n{body}\r\n", $"\"{body}\"");
            yield return new($"*2\r\n${size}\r\n{body}\r\n:1\r\n", $"[\"{body}\" :1]");
        }

        foreach (var count in (int[])[10, 100, 1000, 6000])
            yield return new(
                $"*{count}\r\n{string.Concat(Enumerable.Range(0, count).Select(i => $":{i}\r\n"))}",
                $"[{string.Join(' ', Enumerable.Range(0, count).Select(i => $":{i}"))}]"
            );
        var line = Body(65_000);
        yield return new($"+{line}\r\n", $"+{line}");
        yield return new($"-ERR {line}\r\n", $"-ERR {line}");
        yield return new($"({new string('9', 5000)}\r\n", $"({new string('9', 5000)}");
    }

    private static string Body(int size) =>
        string.Create(
            size,
            size,
            static (text, size) =>
            {
                for (var i = 0; i < text.Length; i++)
                    text[i] = (char)('a' + ((i + size) % 26));
            }
        );
}
