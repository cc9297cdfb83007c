using System.Text;
using Onggi.Cli;
using Onggi.Cli.Migration;
using Onggi.Testing;

namespace Onggi.Tests.Cli;

/// <summary>Files of rules, and which key gets which name.</summary>
public sealed class MigrationRulesTests
{
    private const string Good = """
        { // as keyspace.json, with comments
          "name": "users", "environment": "dev",
          "source": { "variable": "OLD_REDIS" },
          "writers": ["user-service"],
          "rules": [
            { "db": 1, "from": "user:", "to": "dev:cache:user:", "class": "state" },
            { "db": 1, "from": "user:page:", "to": "dev:cache:page:", "class": "cache" },
            { "db": 1, "from": "", "to": "dev:rest:", "class": "session" },
          ]
        }
        """;

    [Fact]
    public void A_file_is_read_with_its_defaults()
    {
        var rules = RulesFile.Parse(Good, "m.json");

        Assert.Equal("dev:onggi:migration:users", rules.EpochKey);
        Assert.Equal(rules.Source, rules.Target);
        Assert.Equal([true, false, true], rules.Rules.Select(rule => rule.Moves));
        Assert.False(rules.FencesReads);
    }

    [Theory]
    [InlineData("", "m.json:1:1: The file is empty.")]
    [InlineData("[]", "m.json:1:1: The file holds a list.")]
    [InlineData("{\n \"name\": \"a\"", "never closed")]
    [InlineData("{\n \"nmae\": \"a\" }", "m.json:2:2: There is no field \"nmae\". Did you mean \"name\"?")]
    [InlineData("{ \"name\": \"A b\", \"environment\": \"dev\" }", "\"name\" is \"A b\".")]
    [InlineData("{ \"name\": \"a\", \"environment\": \"dev\", \"source\": {} }", "The source is not named.")]
    [InlineData("{ \"source\": { \"redis\": \"h:1\", \"variable\": \"X\" } }", "Both \"redis\" and \"variable\"")]
    [InlineData("{ \"writers\": [] }", "Nobody is named who writes")]
    [InlineData("{ \"rules\": [] }", "There are no rules.")]
    [InlineData("{ \"rules\": [\n { \"from\": \"a\", \"class\": \"state\" } ] }", "m.json:2:2: The rule has no \"to\".")]
    [InlineData("{ \"rules\": [ { \"from\": \"a\", \"to\": \"b\", \"class\": \"locks\" } ] }", "There is no class \"locks\".")]
    [InlineData("{ \"rules\": [ { \"from\": \"{a\", \"to\": \"b\", \"class\": \"lock\" } ] }", "A prefix begins with a brace.")]
    [InlineData("{ \"rules\": [ { \"db\": -1, \"from\": \"a\", \"to\": \"b\", \"class\": \"lock\" } ] }", "\"db\" is -1.")]
    [InlineData("{ \"fence\": \"all\" }", "Write \"writes\" or \"reads-and-writes\".")]
    [InlineData(
        "{ \"rules\": [ { \"from\": \"a\", \"to\": \"b\", \"class\": \"lock\" }, { \"from\": \"a\", \"to\": \"c\", \"class\": \"lock\" } ] }",
        "A second rule for \"a\" in database 0."
    )]
    public void Mistakes_are_told_with_their_place_and_what_to_write(string text, string said)
    {
        var refused = Assert.Throws<ToolException>(() => RulesFile.Parse(text, "m.json"));

        Assert.Contains(said, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("user:1", "dev:cache:user:1")]
    [InlineData("{user:1}:l", "{dev:cache:user:1}:l")]
    [InlineData("user:page:1", null)]
    [InlineData("{user:page:1}:l", null)]
    [InlineData("other", "dev:rest:other")]
    [InlineData("{other}", "{dev:rest:other}")]
    [InlineData("dev:onggi:epoch", null)]
    public void The_longest_prefix_counts_and_auxiliary_keys_keep_their_brace(string key, string? expected)
    {
        var map = new KeyMap(RulesFile.Parse(Good, "m.json"));

        Assert.Equal(expected, map.Move(1, Name(key))?.Target.ToString());
        Assert.Null(map.Move(0, Name(key)));
    }

    [Fact]
    public void Every_new_name_leads_back_to_the_old_one()
    {
        var map = new KeyMap(RulesFile.Parse(Good, "m.json"));
        var random = Seed.For(nameof(Every_new_name_leads_back_to_the_old_one));
        string[] parts = ["user:", "page:", "{", "}", "dev:", "rest:", "x", "\0", "é"];

        for (var i = 0; i < 5_000; i++)
        {
            var key = Name(string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => parts[random.Next(parts.Length)])));
            if (map.Move(1, key) is not { } move)
                continue;
            var origins = map.Origins(move.TargetDatabase, move.Target).ToList();
            Assert.True(origins.Exists(origin => origin.Source.Equals(key)), $"{Seed.Line}: {key} → {move.Target}");
        }
    }

    [Fact]
    public void Listened_to_are_prefixes_of_which_none_begins_another()
    {
        MigrationRule[] rules =
        [
            new(0, "user:", 0, "a:", MigrationClass.State, true),
            new(1, "user:page:", 0, "b:", MigrationClass.State, true),
            new(1, "sess:", 0, "c:", MigrationClass.State, true),
        ];

        Assert.Equal(["sess:", "user:", "{sess:", "{user:"], KeyMap.Prefixes(rules));
        Assert.Empty(KeyMap.Prefixes([.. rules, new(1, "", 0, "d:", MigrationClass.State, true)]));
    }

    [Fact]
    public void A_glob_of_a_prefix_matches_nothing_else() => Assert.Equal(@"a\*b\[c\]\?\\*", KeyMap.Glob(@"a*b[c]?\"));

    private static KeyName Name(string key) => new(Encoding.UTF8.GetBytes(key));

    [Theory]
    // Behind the fence a writer has of the new names what he had of the old ones.
    [InlineData("~user:*", "%R~user:* ~dev:cache:user:*")]
    [InlineData("~user:7:*", "%R~user:7:* ~dev:cache:user:7:*")]
    [InlineData("%R~user:*", "%R~user:* %R~dev:cache:user:*")]
    [InlineData("%W~user:*", "%W~dev:cache:user:*")]
    [InlineData("~{user:*", "%R~{user:* ~{dev:cache:user:*")]
    [InlineData("~us*", "%R~user:* ~dev:cache:user:*")]
    [InlineData("~orders:*", "~orders:*")]
    public void A_fence_gives_nobody_more_of_the_new_names_than_he_had_of_the_old_ones(string before, string behind)
    {
        var rules = RulesFile.Parse(Good, "m.json");
        rules = rules with { Rules = [rules.Rules[0]] };
        var fence = new WriteFence(null!, rules, isOneServer: true);

        var patterns = fence.PatternsBehind(before);

        Assert.Equal([.. behind.Split(' ').Append("%R~dev:onggi:*").Order()], patterns.Order());
    }

    [Theory]
    [InlineData("~user:7:*", "user:7:x")]
    [InlineData("%RW~user:?[ab][^c]*", "user:xa~x")]
    [InlineData(@"~a\*b", "a*b")]
    public void A_name_is_made_that_a_pattern_matches(string pattern, string name) => Assert.Equal(name, WriteFence.NameLike(pattern));

    [Theory]
    [InlineData("onggi-migrate-users-0123456789ab", true)]
    [InlineData("onggi-migrate-users-2-0123456789ab", false)]
    [InlineData("onggi-migrate-users", false)]
    [InlineData("onggi-migrate-plan", false)]
    public void Connections_of_a_migration_whose_name_begins_alike_are_another_ones(string name, bool isOurs)
    {
        var rules = RulesFile.Parse(Good, "m.json");

        Assert.Equal(isOurs, MigrationServers.IsNameOf(rules, name));
        Assert.True(MigrationServers.IsNameOf(rules, MigrationServers.NewName(rules)));
    }

    [Fact]
    public void What_does_not_move_is_nobodys_copy_on_the_way_back()
    {
        var back = new KeyMap(RulesFile.Parse(Good, "m.json").Reverse());

        Assert.Empty(back.Origins(1, new KeyName("user:page:7"u8.ToArray())));
        Assert.NotEmpty(back.Origins(1, new KeyName("user:7"u8.ToArray())));
    }
}
