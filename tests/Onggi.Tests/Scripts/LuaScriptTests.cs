using System.Text.RegularExpressions;
using Onggi.Scripts;

namespace Onggi.Tests.Scripts;

public sealed class LuaScriptTests
{
    private static readonly string[] Headings = ["Purpose", "Why a script", "KEYS", "ARGV", "Returns"];

    public static TheoryData<string> Names => [.. LuaScript.Names];

    [Fact]
    public void The_scripts_are_embedded_under_their_file_names() => Assert.Contains("publish.lua", LuaScript.Names);

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_script_says_first_what_it_is_and_why_it_must_be_one(string name)
    {
        var header = LuaScript
            .Source(name)
            .Split('\n')
            .SkipWhile(static line => line.StartsWith("#!", StringComparison.Ordinal))
            .TakeWhile(static line => line.StartsWith("--", StringComparison.Ordinal))
            .ToArray();

        foreach (var heading in Headings)
            Assert.Contains(header, line => Regex.IsMatch(line, $"^-- {heading}\\b.{{3,}}", RegexOptions.None, TimeSpan.FromSeconds(1)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void No_script_asks_for_a_clock_of_the_client_or_a_key_it_was_not_given(string name)
    {
        var code = string.Join(
            '\n',
            LuaScript.Source(name).Split('\n').Where(static line => !line.TrimStart().StartsWith("--", StringComparison.Ordinal))
        );

        Assert.DoesNotContain("os.time", code, StringComparison.Ordinal);
        Assert.DoesNotContain("math.random", code, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"redis\.p?call\('(GET|SET|DEL|UNLINK|HGET|HSET|HINCRBY|PTTL|PEXPIRE)',\s*'", code);
    }

    [Fact]
    public void A_script_has_the_name_of_its_file()
    {
        var script = LuaScript.Load("publish.lua");

        Assert.Equal("publish", script.Name);
        Assert.Matches("^[0-9a-f]{40}$", script.Digest);
    }

    [Fact]
    public void A_script_that_is_not_embedded_is_named()
    {
        var missing = Assert.Throws<FileNotFoundException>(static () => LuaScript.Load("nothing.lua"));

        Assert.Contains("nothing.lua", missing.Message, StringComparison.Ordinal);
    }
}
