using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Onggi.Client.Routing.Cluster;
using Onggi.Keys;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Onggi.Tokens;

namespace Onggi.Tests.Tokens;

/// <summary>Names, slots, keys, options and the clock of tokens.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class TokenSetupTests : IDisposable
{
    public void Dispose() => TokenMutants.LocalClock = false;

    [Fact]
    public void An_id_can_be_brought_into_every_slot()
    {
        for (var slot = 0; slot < HashSlot.Count; slot++)
            Assert.Equal(
                slot,
                SlotSteering.SlotOf("dev:auth:token:blacklist:x" + SlotSteering.SuffixTo("dev:auth:token:blacklist:x", slot))
            );
    }

    [Fact]
    public void All_of_a_user_stands_in_one_slot_and_belongs_to_the_families_of_the_catalog()
    {
        var keyspace = Keyspace.Load(TokenWorld.CatalogJson, service: "auth");
        var names = TokenNames.Find(keyspace, null);
        var random = Seed.For(nameof(All_of_a_user_stands_in_one_slot_and_belongs_to_the_families_of_the_catalog));
        var ids = new HashSet<string>();
        for (var i = 0; i < 2_000; i++)
        {
            var subject = names.Of($"user {random.Next()} {{:%}}");
            var id = subject.NewId();
            Assert.True(ids.Add(id));
            Assert.Equal(27, id.Length);
            string[] all = [subject.Families, subject.Deadlines, subject.Epoch, subject.Sealed(id), subject.Denied(id)];
            Assert.True(all.Select(SlotSteering.SlotOf).Distinct().Count() == 1, $"{Seed.Line}: {string.Join(' ', all)}");
            Assert.All(all, name => Assert.Equal("token", keyspace.FamilyOf(name)?.Kind));
        }

        Assert.Equal("test:auth:token:blacklist:some-id", names.Denied("some-id"));
        Assert.Equal("test:auth:token:refresh:ada", names.Of("ada").Families);
        Assert.Equal("{test:auth:token:refresh:ada}:epoch", names.Of("ada").Epoch);
        // Another issuer may choose ids and names as it likes; here they meet nobody's.
        Assert.NotEqual(TokenNames.Foreign("a", "bc"), TokenNames.Foreign("ab", "c"));
    }

    [Fact]
    public void A_catalog_that_cannot_serve_says_what_to_write()
    {
        static string Error(string families, string? owner = null) =>
            Assert
                .Throws<InvalidOperationException>(() =>
                    TokenNames.Find(
                        Keyspace.Load($$"""{ "system": "shop", "services": { "auth": {}, "b": {} }, "families": { {{families}} } }"""),
                        owner
                    )
                )
                .Message;
        const string Blacklist =
            """ "blacklist": { "kind": "token", "key": "auth:token:blacklist:{jti}", "owner": "auth", "ttl": "8h" } """;
        const string Refresh = """ "refresh": { "kind": "token", "key": "auth:token:refresh:{userId}", "owner": "auth", "ttl": "30d" } """;
        const string OtherBlacklist =
            """ "b-blacklist": { "kind": "token", "key": "b:token:blacklist:{jti}", "owner": "b", "ttl": "8h" } """;

        Assert.Contains("auth:token:blacklist:{jti}", Error(""" "a": { "key": "a:{id}", "value": "string" } """), StringComparison.Ordinal);
        Assert.Contains("<owner>:token:refresh", Error(Blacklist), StringComparison.Ordinal);
        Assert.Contains("Tokens:Owner", Error($"{Blacklist}, {Refresh}, {OtherBlacklist}"), StringComparison.Ordinal);
        Assert.Contains(
            "at least as long",
            Error($"{Blacklist}, {Refresh.Replace("30d", "1h", StringComparison.Ordinal)}"),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "personal",
            Error($"{Blacklist.Replace("\"8h\"", "\"8h\", \"personal\": [\"jti\"]", StringComparison.Ordinal)}, {Refresh}"),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Without_an_issuer_tokens_are_off_and_say_so()
    {
        await using var world = new TokenWorld(options => options.Issuer = "");

        Assert.False(world.Tokens.IsConfigured);
        world.Tokens.VerifySetup();
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => world.Tokens.VerifyAsync("x").AsTask());
        Assert.Contains("Tokens:Issuer", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_with_an_issuer_and_a_catalog_without_token_families_does_not_start()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(static options =>
        {
            options.ConnectionString = "127.0.0.1:1";
            options.Service = "auth";
            options.Catalog =
                """{ "system": "shop", "services": { "auth": {} }, "families": { "a": { "kind": "lock", "key": "locks:a:{id}", "ttl": "5s" } } }""";
            options.Tokens.Issuer = "shop";
        });
        using var host = builder.Build();

        var mistake = await Assert.ThrowsAsync<InvalidOperationException>(() => host.StartAsync());

        Assert.Contains(":token:blacklist:", mistake.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_without_private_key_or_secret_checks_and_does_not_issue()
    {
        await using var auth = new TokenWorld();
        await using var orders = new TokenWorld(options => options.RefreshSecret = null, TokenKeyRing.FromJwks(auth.Tokens.Jwks()));

        Assert.Equal(TokenRefusal.None, await orders.RefusalAsync(auth.Sign()));
        var secret = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            orders.Tokens.IssueAsync(new TokenRequest { Subject = "ada" }).AsTask()
        );
        Assert.Contains("RefreshSecret", secret.Message, StringComparison.Ordinal);
        var key = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            orders.Tokens.IssueAsync(new TokenRequest { Subject = "ada", WithRefresh = false }).AsTask()
        );
        Assert.Contains("TokenKeys", key.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_take_turns_by_time_and_the_old_one_checks_until_its_tokens_are_over()
    {
        var start = new ManualTimeProvider().GetUtcNow();
        var ring = new TokenKeyRing(TokenKey.Generate("old"), TokenKey.Generate("new", start + TimeSpan.FromHours(1)));
        await using var world = new TokenWorld(keys: ring);
        // Verifiers fetched the document before the new key signs.
        await using var reader = new TokenWorld(keys: TokenKeyRing.FromJwks(world.Tokens.Jwks()));
        var before = world.Sign();
        Assert.Equal(TokenRefusal.None, await reader.RefusalAsync(before));
        world.Time.Advance(TimeSpan.FromHours(1));
        reader.Time.Advance(TimeSpan.FromHours(1));
        var after = world.Sign();

        Assert.Equal("old", Kid(before));
        Assert.Equal("new", Kid(after));
        Assert.Equal(TokenRefusal.None, await reader.RefusalAsync(after));
        Assert.Equal(TokenRefusal.None, await world.RefusalAsync(after));
        // Signed with the old key a moment ago, by a node that is late.
        var late = ring.Keys[0];
        Assert.Same(late, ring.Find("old", world.Time.GetUtcNow() + TimeSpan.FromMinutes(19), TimeSpan.FromMinutes(20)));
        Assert.Null(ring.Find("old", world.Time.GetUtcNow() + TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(20)));

        world.Tokens.UseKeys(new TokenKeyRing(ring.Keys[1]));
        Assert.Equal(TokenRefusal.None, await world.RefusalAsync(after));
        Assert.Equal(
            TokenRefusal.UnknownKey,
            await world.RefusalAsync(
                world.Sign(by: new TokenSetup(world.Options, Keyspace.Load(TokenWorld.CatalogJson), () => new TokenKeyRing(late)))
            )
        );
    }

    [Fact]
    public void The_document_of_keys_has_the_public_halves_only()
    {
        using var rsa = RSA.Create(2048);
        using var curve = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var ring = new TokenKeyRing(
            TokenKey.Generate("e"),
            TokenKey.FromPem("c", curve.ExportECPrivateKeyPem()),
            TokenKey.FromPem("r", rsa.ExportPkcs8PrivateKeyPem()),
            TokenKey.FromSecret("s", new byte[32])
        );

        var keys = JsonDocument.Parse(ring.ToJwks()).RootElement.GetProperty("keys").EnumerateArray().ToList();

        Assert.Equal(["e ES256", "c ES384", "r RS256"], keys.Select(key => $"{key.GetProperty("kid")} {key.GetProperty("alg")}"));
        Assert.All(keys, key => Assert.DoesNotContain(key.EnumerateObject(), member => member.Name is "d" or "p" or "q" or "k" or "dp"));
        Assert.Equal(ring.ToJwks(), TokenKeyRing.FromJwks(ring.ToJwks()).ToJwks());
        Assert.All(TokenKeyRing.FromJwks(ring.ToJwks()).Keys, key => Assert.False(key.CanSign));
    }

    [Fact]
    public void Keys_that_are_none_are_refused_and_not_repeated()
    {
        using var weak = RSA.Create(1024);
        string[] bad = ["hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----", weak.ExportPkcs8PrivateKeyPem()];
        foreach (var pem in bad)
            Assert.DoesNotContain(
                "hunter2",
                Assert.Throws<ArgumentException>(() => TokenKey.FromPem("k", pem)).ToString(),
                StringComparison.Ordinal
            );
        Assert.Throws<ArgumentException>(() => TokenKey.FromSecret("k", new byte[31]));
        Assert.Throws<ArgumentException>(() => new TokenKeyRing(TokenKey.Generate("a"), TokenKey.Generate("a")));
        Assert.Throws<ArgumentException>(() => new TokenKeyRing());
        foreach (var jwks in (string[])["x", "{}", """{"keys":[]}""", """{"keys":[{"kty":"oct","k":"AAAA","kid":"s"}]}"""])
            Assert.ThrowsAny<ArgumentException>(() => TokenKeyRing.FromJwks(jwks));
        Assert.DoesNotContain("PRIVATE", TokenKey.Generate("k").ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_would_lose_revocations_or_sign_users_out_are_refused()
    {
        static int Mistakes(Action<TokenOptions> change)
        {
            var options = new TokenOptions { Issuer = "shop" };
            change(options);
            var result = new ValidateOptionsResultBuilder();
            TokenOptionsValidator.Validate(options, "Tokens", result);
            return result.Build().Failures?.Count() ?? 0;
        }

        Assert.Equal(0, Mistakes(static _ => { }));
        Action<TokenOptions>[] each =
        [
            static o => o.ClockSkew = TimeSpan.FromMinutes(6),
            static o => o.ClockSkew = TimeSpan.FromSeconds(-1),
            static o => o.AccessLifetime = TimeSpan.Zero,
            static o => o.RefreshIdle = TimeSpan.Zero,
            static o => o.RefreshGrace = TimeSpan.Zero,
            static o => o.RefreshGrace = TimeSpan.FromHours(1),
            static o => o.MaxFamilies = 0,
            static o => o.RememberedRevocations = 0,
            static o => o.RefreshSecret = "short",
            static o => o.PreviousRefreshSecrets.Add("short"),
            static o => o.Foreign.Add(new ForeignIssuer { Issuer = "x", Audiences = ["a"] }),
        ];
        Assert.All(each, change => Assert.Equal(1, Mistakes(change)));
        Assert.Equal(3, Mistakes(static o => o.Foreign.Add(new ForeignIssuer { Issuer = "shop" })));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_time_is_that_of_Redis_whatever_the_machine_believes(bool localClock)
    {
        TokenMutants.LocalClock = localClock;
        var time = new ManualTimeProvider();
        var clock = new ServerClock(time);
        var local = time.GetUtcNow().ToUnixTimeMilliseconds();
        Assert.True(clock.IsDue);
        Assert.Equal(local, clock.NowMs);
        const long Server = 1_700_000_000_000;

        var asking = clock.Asking();
        time.Advance(TimeSpan.FromMilliseconds(40));
        clock.Learn(Server, asking);
        Assert.Equal(localClock ? local + 40 : Server, clock.NowMs);
        Assert.False(clock.IsDue);
        time.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal(localClock ? local + 59_040 : Server + 59_000, clock.NowMs);
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.True(clock.IsDue);
    }

    [Fact]
    public void A_reply_that_was_kept_waiting_for_replicas_tells_the_time_at_which_it_came()
    {
        TokenMutants.LocalClock = false;
        var time = new ManualTimeProvider();
        var clock = new ServerClock(time);
        const long Server = 1_700_000_000_000;

        var asked = clock.Asking();
        time.Advance(TimeSpan.FromMilliseconds(40));
        var answered = time.GetTimestamp();
        time.Advance(TimeSpan.FromMinutes(1));
        clock.Learn(Server, asked, answered);

        Assert.Equal(Server + 60_000, clock.NowMs);
        Assert.True(clock.IsKnown);
    }

    private static string? Kid(string token) =>
        JsonDocument
            .Parse(Microsoft.IdentityModel.Tokens.Base64UrlEncoder.Decode(token.Split('.')[0]))
            .RootElement.GetProperty("kid")
            .GetString();
}
