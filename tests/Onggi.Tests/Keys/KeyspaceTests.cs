using System.Text.Json;
using Onggi.Keys;

namespace Onggi.Tests.Keys;

public class KeyspaceTests
{
    private static readonly Dictionary<string, string> NoMetadata = [];

    [Fact]
    public void A_wire_name_is_prefix_pattern_and_identifiers()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small);

        Assert.Equal("dev:customer:010-1234-5678", keyspace.WireName(SampleCatalogs.Customer("010-1234-5678")));
        Assert.Equal("dev:bill:010-1234-5678:2026-11", keyspace.WireName(SampleCatalogs.Bill("010-1234-5678", "2026-11")));
    }

    [Fact]
    public void The_environment_decides_prefix_memory_and_times()
    {
        var dev = Keyspace.Load(SampleCatalogs.Small);
        var production = Keyspace.Load(SampleCatalogs.Small, "production", "billing", "0123456789abcdef");

        Assert.Equal(("dev", "dev:", 512L << 20), (dev.Environment, dev.Prefix, dev.MemoryLimit));
        Assert.Equal(("production", "shop:production:", 4L << 30), (production.Environment, production.Prefix, production.MemoryLimit));
        Assert.Equal(TimeSpan.FromHours(4), dev.SettingsOf(SampleCatalogs.CustomerFamily).Ttl);
        Assert.Equal(TimeSpan.FromHours(2), production.SettingsOf(SampleCatalogs.CustomerFamily).Ttl);
    }

    [Fact]
    public void A_family_without_ttl_takes_its_owners_then_the_default()
    {
        var dev = Keyspace.Load(SampleCatalogs.Small);
        var production = Keyspace.Load(SampleCatalogs.Small, "production", personalSecret: "0123456789abcdef");

        Assert.Equal(TimeSpan.FromHours(8), dev.Families.Single(family => family.Family.Name == "bill").Ttl);
        Assert.Equal(TimeSpan.FromHours(6), production.Families.Single(family => family.Family.Name == "bill").Ttl);
        Assert.Equal(TimeSpan.FromMinutes(20), dev.Families.Single(family => family.Family.Name == "codes").Ttl);
        Assert.Equal(
            TimeSpan.FromMinutes(30),
            Keyspace.Load("""{ "system": "s", "families": { "a": { "key": "a:{b}" } } }""").Families.Single().Ttl
        );
    }

    [Fact]
    public void An_event_names_the_keys_it_invalidates()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small);
        var data = JsonElement.Parse("""{ "lineNumber": "010", "months": ["2026-10", 202611], "type": null }""");

        Assert.Equal(
            [SampleCatalogs.Customer("010"), SampleCatalogs.Bill("010", "2026-10"), SampleCatalogs.Bill("010", "202611")],
            keyspace.InvalidatedBy("customer.updated", data, NoMetadata)
        );
        Assert.Equal(
            [new EntryKey(SampleCatalogs.CodesFamily, "all"), SampleCatalogs.Customer("011")],
            keyspace.InvalidatedBy("codes.changed", default, new Dictionary<string, string> { ["line"] = "011" })
        );
        Assert.Empty(keyspace.InvalidatedBy("nobody.knows", data, NoMetadata));
    }

    [Fact]
    public void An_event_that_lacks_an_identifier_says_so_and_invalidates_the_rest()
    {
        var missing = new List<string>();

        var keys = Keyspace
            .Load(SampleCatalogs.Small)
            .InvalidatedBy("customer.updated", JsonElement.Parse("""{ "LineNumber": "010" }"""), NoMetadata, missing);

        Assert.Equal([SampleCatalogs.Customer("010")], keys);
        Assert.Equal(
            ["Event \"customer.updated\" has no \"months\" in its payload, so no key of family \"bill\" was invalidated by it."],
            missing
        );
    }

    [Fact]
    public void Events_have_channels_under_the_prefix()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small);

        Assert.Equal("dev:events:global:customer.updated", keyspace.ChannelOf("customer.updated"));
        Assert.Equal("dev:events:billing:codes", keyspace.ChannelOf("codes.changed"));
        Assert.Equal("dev:events:global:cache.warmed", keyspace.ChannelOf("cache.warmed"));
        Assert.True(keyspace.KnowsEvent("customer.updated"));
        Assert.True(keyspace.KnowsEvent("cache.warmed"));
        Assert.False(keyspace.KnowsEvent("customer.update"));
    }

    [Theory]
    [InlineData("dev:customer:010", "customer")]
    [InlineData("{dev:customer:010}:l", "customer")]
    [InlineData("dev:bill:010:2026-11", "bill")]
    [InlineData("dev:billing:session:abc", "session")]
    [InlineData("dev:billing:session-user:u1", "session")]
    [InlineData("{dev:billing:session-user:u1}:meta", "session")]
    [InlineData("dev:billing:session-due:07abc", "session")]
    [InlineData("{dev:billing:session-due:07abc}:out", "session")]
    [InlineData("dev:onggi:epoch", "onggi")]
    [InlineData("{dev:events:head:customer.updated}:ring", "onggi")]
    [InlineData("dev:bill:010", null)]
    [InlineData("dev:customer:", null)]
    [InlineData("dev:customer:{010}", null)]
    [InlineData("dev:customer:0 1 0", null)]
    [InlineData("dev:customer:0%3a1", null)]
    [InlineData("production:customer:010", null)]
    [InlineData("customer:010", null)]
    [InlineData("{dev:customer:010", null)]
    [InlineData("{dev:customer:010}x", null)]
    [InlineData("", null)]
    public void A_wire_name_tells_its_family(string wireName, string? family) =>
        Assert.Equal(family, Keyspace.Load(SampleCatalogs.Small).FamilyOf(wireName)?.Family.Name);

    [Fact]
    public void Scan_patterns_cover_the_keys_and_their_auxiliary_ones()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small);

        Assert.Equal(["dev:bill:*:*", "{dev:bill:*:*"], keyspace.Families.Single(family => family.Family.Name == "bill").ScanPatterns);
        Assert.Equal(
            [
                "dev:billing:session:*",
                "{dev:billing:session:*",
                "dev:billing:session-user:*",
                "{dev:billing:session-user:*",
                "dev:billing:session-due:*",
                "{dev:billing:session-due:*",
            ],
            keyspace.Families.Single(family => family.Family.Name == "session").ScanPatterns
        );
    }

    [Fact]
    public void A_family_of_sessions_says_how_many_a_user_may_have_and_an_environment_may_say_otherwise()
    {
        const string Catalog = """
            {
              "system": "s", "services": { "auth": {} },
              "families": {
                "session": { "key": "auth:session:{sid}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "24h", "limit": "5", "policy": "oldest" }
              },
              "environments": { "test": { "families": { "session": { "limit": "0", "policy": "reject" } } }, "bare": {} }
            }
            """;

        Assert.Equal((5, "oldest"), Limit("dev"));
        Assert.Equal((0, "reject"), Limit("test"));
        Assert.Equal((5, "oldest"), Limit("bare"));
        Assert.Null(Keyspace.Load(SampleCatalogs.Small).Families.Single(family => family.Family.Name == "session").SessionLimit);

        (int?, string?) Limit(string environment)
        {
            var session = Keyspace.Load(Catalog, environment).Families.Single();
            return (session.SessionLimit, session.SessionPolicy);
        }
    }

    [Fact]
    public void A_person_has_the_same_pseudonym_in_all_services_and_another_in_each_environment()
    {
        const string Catalog = """
            {
              "system": "s", "services": { "auth": {}, "orders": {} },
              "families": { "session": { "key": "auth:session:{sid}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "24h" } },
              "environments": { "test": {}, "production": { "personalIdentifiers": "hmac" } }
            }
            """;
        var dev = Keyspace.Load(Catalog, "dev", "auth").PseudonymOf("010-1234-5678");
        var secret = Keyspace.Load(Catalog, "production", "auth", "a secret of the team").PseudonymOf("010-1234-5678");

        Assert.Equal(22, dev.Length);
        Assert.Equal(dev, Keyspace.Load(Catalog, "dev", "orders").PseudonymOf("010-1234-5678"));
        Assert.NotEqual(dev, Keyspace.Load(Catalog, "test", "auth").PseudonymOf("010-1234-5678"));
        Assert.NotEqual(dev, Keyspace.Load(Catalog, "dev", "auth").PseudonymOf("010-1234-5679"));
        Assert.NotEqual(secret, Keyspace.Load(Catalog, "production", "auth", "another secret of it").PseudonymOf("010-1234-5678"));
        // Without the secret there could be no names for the users of sessions.
        Assert.Throws<CatalogException>(() => Keyspace.Load(Catalog, "production", "auth"));
    }

    [Fact]
    public void A_session_has_two_clocks()
    {
        var session = Keyspace.Load(SampleCatalogs.Small).Families.Single(family => family.Family.Name == "session");

        Assert.Equal("session", session.Kind);
        Assert.Equal((TimeSpan.FromMinutes(30), TimeSpan.FromHours(24)), (session.IdleTtl!.Value, session.Ttl));
    }

    [Fact]
    public void Settings_of_an_unknown_family_suggest_the_nearest()
    {
        var unknown = Assert.Throws<KeyNotFoundException>(() =>
            Keyspace.Load(SampleCatalogs.Small).SettingsOf(new KeyFamily("costumer", "lineNumber"))
        );

        Assert.Contains("Did you mean \"customer\"?", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Code_compiled_with_other_identifiers_is_told_so()
    {
        var changed = Assert.Throws<KeyNotFoundException>(() =>
            Keyspace.Load(SampleCatalogs.Small).WireName(new EntryKey(new KeyFamily("bill", "month", "lineNumber"), "a", "b"))
        );

        Assert.Contains("(lineNumber, month), this code was compiled with (month, lineNumber)", changed.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("prodution", null, "Did you mean \"production\"?")]
    [InlineData(null, "biling", "Did you mean \"billing\"?")]
    [InlineData("production", null, "personal identifiers (of customer, bill, session), and no secret was given")]
    public void Binding_to_what_the_catalog_does_not_know_fails(string? environment, string? service, string says) =>
        Assert.Contains(
            says,
            Assert.Throws<CatalogException>(() => Keyspace.Load(SampleCatalogs.Small, environment, service)).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_short_secret_is_refused() =>
        Assert.Contains(
            "at least 16",
            Assert.Throws<CatalogException>(() => Keyspace.Load(SampleCatalogs.Small, "production", personalSecret: "secret")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void An_identifier_must_not_be_lost()
    {
        Assert.Throws<ArgumentException>(() => SampleCatalogs.Customer(""));
        Assert.Throws<ArgumentException>(() => SampleCatalogs.Bill("010", ""));
        Assert.Throws<ArgumentException>(() => new EntryKey(SampleCatalogs.BillFamily, "010"));
        Assert.Throws<ArgumentException>(() => new EntryKey(SampleCatalogs.BillFamily, "010", null, "x"));
        Assert.Throws<ArgumentException>(() => new EntryKey(SampleCatalogs.CustomerFamily, "010", "x"));
    }

    [Fact]
    public void A_key_shows_its_family_and_no_identifier()
    {
        var key = new CacheKey<string>(SampleCatalogs.Customer("010-1234-5678"));

        Assert.Equal("customer:…", key.ToString());
        Assert.Equal(key, new CacheKey<string>(SampleCatalogs.Customer("010-1234-5678")));
        Assert.NotEqual(key, new CacheKey<string>(SampleCatalogs.Customer("010-1234-5679")));
    }
}
