using Onggi.Cli;
using Onggi.Cli.Configuration;
using Onggi.Keys;
using Onggi.Tests.Keys;
using Onggi.Tests.Rules;

namespace Onggi.Tests.Cli;

/// <summary>What is wrong with a redis.conf is said by line and code; what we write ourselves has nothing wrong.</summary>
public class ConfTests
{
    private const string Sound = """
        aclfile /data/users.acl
        databases 1
        maxmemory 512mb
        maxmemory-policy noeviction
        maxmemory-clients 10%
        lazyfree-lazy-eviction yes
        lazyfree-lazy-expire yes
        lazyfree-lazy-server-del yes
        lazyfree-lazy-user-del yes
        appendonly yes
        latency-monitor-threshold 10

        """;

    [Fact]
    public void A_sound_file_has_no_findings() => Assert.Empty(Lint(Sound));

    [Theory]
    [InlineData("maxmemry 1gb", "ONG030", false)]
    [InlineData("timeout", "ONG031", false)]
    [InlineData("port none", "ONG031", false)]
    [InlineData("maxmemory much", "ONG031", false)]
    [InlineData("maxmemory 0", "ONG040", false)]
    [InlineData("databases 1", "ONG032", false)]
    [InlineData("requirepass Hunter2", "ONG033", false)]
    [InlineData("masterauth Hunter2", "ONG033", false)]
    [InlineData("user bill on >Hunter2 ~* +@all", "ONG033", false)]
    [InlineData("protected-mode no", "ONG035", false)]
    [InlineData("rename-command FLUSHALL \"\"", "ONG036", false)]
    [InlineData("timeout 30", "ONG037", false)]
    [InlineData("tcp-keepalive 0", "ONG038", false)]
    [InlineData("tcp-keepalive 300", "ONG038", false)]
    [InlineData("maxclients 100", "ONG039", false)]
    [InlineData("maxmemory-policy allkeys-lru", "ONG041", false)]
    [InlineData("databases 16", "ONG042", true)]
    [InlineData("hash-max-ziplist-entries 512", "ONG043", true)]
    [InlineData("slave-read-only yes", "ONG043", true)]
    [InlineData("appendonly no", "ONG044", false)]
    [InlineData("appendfsync always", "ONG045", true)]
    [InlineData("latency-monitor-threshold 0", "ONG046", true)]
    [InlineData("slowlog-log-slower-than -1", "ONG046", true)]
    [InlineData("lazyfree-lazy-user-del no", "ONG047", true)]
    [InlineData("enable-debug-command yes", "ONG048", false)]
    [InlineData("notify-keyspace-events Ex", "ONG049", true)]
    public void Each_mistake_is_found_where_it_stands(string line, string code, bool isWarning)
    {
        var findings = Lint(Sound + line);

        var found = Assert.Single(findings, finding => finding.Code == code);
        Assert.Equal($"redis.conf:{Sound.Split('\n').Length}", found.Where);
        Assert.Equal(isWarning, found.IsWarning);
        Assert.All(findings, finding => Assert.DoesNotContain("Hunter2", finding.ToString(), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("aclfile", "ONG034")]
    [InlineData("maxmemory 512mb", "ONG040")]
    [InlineData("maxmemory-clients", "ONG051")]
    [InlineData("appendonly", "ONG044")]
    [InlineData("databases", "ONG042")]
    [InlineData("latency-monitor", "ONG046")]
    public void What_lacks_is_found(string begin, string code)
    {
        var without = string.Join('\n', Sound.Split('\n').Where(line => !line.StartsWith(begin, StringComparison.Ordinal)));

        Assert.Equal([code], Lint(without).Select(finding => finding.Code));
    }

    [Fact]
    public void A_password_in_a_comment_protects_nothing()
    {
        var findings = Lint(Sound.Replace("aclfile /data/users.acl", "# requirepass comes from the environment", StringComparison.Ordinal));

        var found = Assert.Single(findings);
        Assert.Equal(("ONG034", "redis.conf:1", false), (found.Code, found.Where, found.IsWarning));
        Assert.Contains("comment", found.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Development_is_warned_of_eviction_and_needs_no_file_of_appends()
    {
        var text = Sound
            .Replace("maxmemory-policy noeviction", "maxmemory-policy allkeys-lru", StringComparison.Ordinal)
            .Replace("appendonly yes", "appendonly no", StringComparison.Ordinal);

        var found = Assert.Single(
            new ConfLint(keyspace: null, isProduction: false, instances: 8).Check(ConfFile.Parse("redis.conf", text))
        );
        Assert.Equal(("ONG041", true), (found.Code, found.IsWarning));
    }

    [Fact]
    public void A_redis_of_caches_only_may_evict_and_forget()
    {
        var caches = Keyspace.Load(
            """{ "system": "shop", "families": { "item": { "key": "item:{id}", "value": "string" } }, "memory": { "limit": "512mb" } }"""
        );
        var text = Sound
            .Replace("maxmemory-policy noeviction", "maxmemory-policy allkeys-lfu", StringComparison.Ordinal)
            .Replace("appendonly yes", "appendonly no", StringComparison.Ordinal);

        Assert.Empty(new ConfLint(caches, isProduction: true, instances: 8).Check(ConfFile.Parse("redis.conf", text)));
    }

    [Theory]
    [InlineData("save \"\"", "save", "")]
    [InlineData("proc-title-template \"a \\x41 \\\"b\\\"\"", "proc-title-template", "a A \"b\"")]
    [InlineData("logfile 'it\\'s'", "logfile", "it's")]
    [InlineData("  DIR   /data  ", "dir", "/data")]
    public void Quotes_are_read_as_redis_reads_them(string line, string name, string value) =>
        Assert.Equal(value, ConfFile.Parse("f", line)[name]!.Value);

    [Fact]
    public void Quotes_that_do_not_end_are_refused_with_their_line()
    {
        var problem = Assert.Throws<ToolException>(() => ConfFile.Parse("redis.conf", "port 1\nsave \"60 1"));

        Assert.StartsWith("redis.conf:2: ", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1gb", 1L << 30)]
    [InlineData("1g", 1_000_000_000L)]
    [InlineData("512MB", 512L << 20)]
    [InlineData("100", 100L)]
    [InlineData("1tb", null)]
    [InlineData("gb", null)]
    public void Sizes_are_read_as_redis_reads_them(string text, long? bytes) => Assert.Equal(bytes, ConfFile.Bytes(text));

    [Theory]
    [InlineData(false, "All")]
    [InlineData(false, "Cache")]
    [InlineData(true, "All")]
    [InlineData(true, "State")]
    public void What_we_write_has_no_findings(bool production, string tier)
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small);
        var terms = new ConfTerms(
            production,
            Enum.Parse<ConfTier>(tier),
            keyspace.MemoryLimit ?? 512L << 20,
            4,
            "/data",
            null,
            6379,
            "*",
            "/tls",
            IsReplicated: true
        );

        var findings = new ConfLint(keyspace, production, 4).Check(ConfFile.Parse("redis.conf", ConfPlan.Text(keyspace, terms)));

        Assert.DoesNotContain(findings, finding => finding.Code != "ONG041");
        Assert.All(findings, finding => Assert.True(finding.IsWarning));
    }

    [Fact]
    public void Every_code_has_its_section()
    {
        var sections = File.ReadAllText(Path.Combine(Repository.Root, "docs/operations/findings.md"));

        foreach (
            var code in File.ReadAllText(Path.Combine(Repository.Root, "src/Onggi.Cli/Configuration/ConfLint.cs"))
                .Split('"')
                .Where(word => word.StartsWith("ONG", StringComparison.Ordinal))
        )
            Assert.Contains($"### {code}\n", sections, StringComparison.Ordinal);
    }

    private static IReadOnlyList<Onggi.Cli.Checks.Finding> Lint(string text) =>
        new ConfLint(keyspace: null, isProduction: true, instances: 8).Check(ConfFile.Parse("redis.conf", text));
}
