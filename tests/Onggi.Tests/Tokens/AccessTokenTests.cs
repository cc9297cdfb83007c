using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Onggi.Tokens;

namespace Onggi.Tests.Tokens;

/// <summary>What a thief, or a mistake, may send: all of it is refused before Redis is asked, and nothing of it is logged.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class AccessTokenTests : IDisposable
{
    private readonly TokenWorld _world = new();

    public void Dispose()
    {
        TokenMutants.AnySpelling = TokenMutants.Unsigned = TokenMutants.AnyAudience = false;
        _world.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    [Fact]
    public async Task A_token_says_what_was_asked_for_and_who_reads_it_gets_it_back()
    {
        var text = _world.Sign(
            new TokenRequest
            {
                Subject = "ada",
                SessionId = "s1",
                Roles = ["clerk", "admin"],
                Claims = new Dictionary<string, string> { ["team"] = "billing" },
            }
        );

        var token = (await _world.Tokens.InspectAsync(text)).Token!;

        Assert.Equal(("ada", "s1", "shop", false), (token.Subject, token.SessionId, token.Issuer, token.IsForeign));
        Assert.Equal("ada", token.Identity.Name);
        Assert.True(new System.Security.Claims.ClaimsPrincipal(token.Identity).IsInRole("admin"));
        Assert.Equal("billing", token.Identity.FindFirst("team")!.Value);
        Assert.Equal(_world.Time.GetUtcNow() + TimeSpan.FromMinutes(15), token.ExpiresAt);
        var header = JsonNode.Parse(Base64UrlEncoder.Decode(text.Split('.')[0]))!;
        Assert.Equal(("ES256", "at+jwt", "first"), ((string?)header["alg"], (string?)header["typ"], (string?)header["kid"]));
    }

    [Fact]
    public async Task Nothing_that_was_cut_lengthened_or_changed_passes()
    {
        var random = Seed.For(nameof(Nothing_that_was_cut_lengthened_or_changed_passes));
        var text = _world.Sign();
        var tries = new List<string?>
        {
            null,
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            text + ".",
            "." + text,
            text + text,
            new string('a', 100_000),
        };
        for (var length = 1; length < text.Length; length += 1 + random.Next(7))
            tries.Add(text[..length]);
        foreach (var added in "A-_=. \n%é\0")
            tries.AddRange([text + added, added + text, text.Insert(random.Next(text.Length), $"{added}")]);
        for (var i = 0; i < text.Length; i++)
        {
            var other = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."[random.Next(65)];
            if (other != text[i])
                tries.Add(text[..i] + other + text[(i + 1)..]);
        }

        foreach (var one in tries)
            Assert.True(await _world.RefusalAsync(one) != TokenRefusal.None, $"{Seed.Line}: passed: {one}");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_token_has_one_spelling(bool anySpelling)
    {
        TokenMutants.AnySpelling = anySpelling;
        var parts = _world.Sign().Split('.');
        // 64 bytes are 86 characters, of whose last one four bits stand for nothing: the same bytes under another name.
        var last = parts[2][^1];
        var same = (char)(last + 1);

        var found = await _world.RefusalAsync($"{parts[0]}.{parts[1]}.{parts[2][..^1]}{same}");
        var padded = await _world.RefusalAsync($"{parts[0]}.{parts[1]}.{parts[2]}==");

        Assert.Equal(anySpelling, found == TokenRefusal.None || padded == TokenRefusal.None);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_unsigned_token_is_refused(bool mutant)
    {
        TokenMutants.Unsigned = mutant;
        var parts = _world.Sign().Split('.');
        foreach (var alg in (string[])["none", "None", "NONE", ""])
        {
            var header = Base64UrlEncoder.Encode($$"""{"alg":"{{alg}}","kid":"first","typ":"at+jwt"}""");
            var withoutKey = Base64UrlEncoder.Encode($$"""{"alg":"{{alg}}","typ":"at+jwt"}""");
            var found = await _world.RefusalAsync($"{header}.{parts[1]}.");
            var signed = await _world.RefusalAsync($"{header}.{parts[1]}.{parts[2]}");

            Assert.NotEqual(TokenRefusal.None, await _world.RefusalAsync($"{withoutKey}.{parts[1]}.{parts[2]}"));
            Assert.NotEqual(TokenRefusal.None, signed);
            if (!mutant)
                Assert.NotEqual(TokenRefusal.None, found);
            else if (alg == "none")
                Assert.Equal(TokenRefusal.None, found);
        }
    }

    [Fact]
    public async Task A_public_key_is_no_secret_of_HS256_and_RS256_is_no_ES256()
    {
        using var rsa = RSA.Create(2048);
        await using var world = new TokenWorld(keys: new TokenKeyRing(TokenKey.FromPem("r", rsa.ExportPkcs8PrivateKeyPem())));
        var genuine = world.Sign();
        Assert.Equal(TokenRefusal.None, await world.RefusalAsync(genuine));
        var payload = Base64UrlEncoder.Decode(genuine.Split('.')[1]);
        byte[][] guesses =
        [
            Encoding.UTF8.GetBytes(rsa.ExportSubjectPublicKeyInfoPem()),
            Encoding.UTF8.GetBytes(rsa.ExportRSAPublicKeyPem()),
            rsa.ExportSubjectPublicKeyInfo(),
            rsa.ExportRSAPublicKey(),
            rsa.ExportParameters(false).Modulus!,
            Encoding.UTF8.GetBytes(world.Tokens.Jwks()),
        ];
        foreach (var guess in guesses)
            Assert.Equal(TokenRefusal.WrongAlgorithm, await world.RefusalAsync(Forge(payload, "HS256", "r", guess)));

        // The right key, and an algorithm that it is not bound to.
        var other = new JsonWebTokenHandler().CreateToken(
            payload,
            new SigningCredentials(new RsaSecurityKey(rsa) { KeyId = "r" }, "PS256"),
            new Dictionary<string, object> { ["typ"] = "at+jwt" }
        );
        Assert.Equal(TokenRefusal.WrongAlgorithm, await world.RefusalAsync(other));
        Assert.Equal(TokenRefusal.BadSignature, await world.RefusalAsync(Forge(payload, "RS256", "r", guesses[0])));
    }

    [Fact]
    public async Task Another_key_of_the_same_name_and_an_unknown_one_are_refused()
    {
        await using var thief = new TokenWorld(keys: new TokenKeyRing(TokenKey.Generate("first")));
        await using var stranger = new TokenWorld(keys: new TokenKeyRing(TokenKey.Generate("second")));

        Assert.Equal(TokenRefusal.BadSignature, await _world.RefusalAsync(thief.Sign()));
        Assert.Equal(TokenRefusal.UnknownKey, await _world.RefusalAsync(stranger.Sign()));
        // A key that the token brings along, or says where to get, is not looked at.
        var parts = thief.Sign().Split('.');
        var jwk = JsonNode.Parse(thief.Tokens.Jwks())!["keys"]![0]!.ToJsonString();
        var header = Base64UrlEncoder.Encode($$"""{"alg":"ES256","typ":"at+jwt","jwk":{{jwk}},"jku":"https://thief.example/jwks"}""");
        Assert.Equal(TokenRefusal.UnknownKey, await _world.RefusalAsync($"{header}.{parts[1]}.{parts[2]}"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tokens_of_others_for_others_or_of_another_type_are_refused(bool anyAudience)
    {
        TokenMutants.AnyAudience = anyAudience;
        await using var other = new TokenWorld(options => options.Issuer = "elsewhere", _world.Keys);

        Assert.Equal(TokenRefusal.WrongIssuer, await _world.RefusalAsync(other.Sign()));
        Assert.Equal(
            anyAudience ? TokenRefusal.None : TokenRefusal.WrongAudience,
            await _world.RefusalAsync(_world.Sign(new TokenRequest { Subject = "ada", Audience = "other service" }))
        );
        var payload = Base64UrlEncoder.Decode(_world.Sign().Split('.')[1]);
        var identityToken = new JsonWebTokenHandler().CreateToken(payload, new SigningCredentials(_world.Keys.Keys[0].Key, "ES256"));
        Assert.Equal(TokenRefusal.WrongType, await _world.RefusalAsync(identityToken));
    }

    [Theory]
    [InlineData("exp")]
    [InlineData("jti")]
    [InlineData("sub")]
    [InlineData("aud")]
    [InlineData("iss")]
    [InlineData("iat_ms")]
    public async Task A_token_that_lacks_what_its_revocation_hangs_on_is_refused_though_the_signature_fits(string claim)
    {
        var payload = JsonNode.Parse(Base64UrlEncoder.Decode(_world.Sign().Split('.')[1]))!.AsObject();
        payload.Remove(claim);
        var text = new JsonWebTokenHandler().CreateToken(
            payload.ToJsonString(),
            new SigningCredentials(_world.Keys.Keys[0].Key, "ES256"),
            new Dictionary<string, object> { ["typ"] = "at+jwt" }
        );

        Assert.NotEqual(TokenRefusal.None, await _world.RefusalAsync(text));
    }

    [Fact]
    public async Task Time_is_judged_to_the_second_with_the_skew_that_is_allowed()
    {
        var skew = _world.Options.ClockSkew;
        var text = _world.Sign();
        var life = TimeSpan.FromMinutes(15);

        Assert.Equal(TokenRefusal.None, await _world.RefusalAsync(text));
        Assert.Equal(TokenRefusal.None, await _world.RefusalAsync(_world.Sign(ago: life + skew - TimeSpan.FromSeconds(1))));
        Assert.Equal(TokenRefusal.Expired, await _world.RefusalAsync(_world.Sign(ago: life + skew)));
        Assert.Equal(TokenRefusal.Expired, await _world.RefusalAsync(_world.Sign(ago: TimeSpan.FromHours(1))));
        Assert.Equal(TokenRefusal.None, await _world.RefusalAsync(_world.Sign(lifetime: life - skew, ago: -skew)));
        Assert.Equal(
            TokenRefusal.NotYetValid,
            await _world.RefusalAsync(_world.Sign(lifetime: TimeSpan.FromMinutes(1), ago: -skew - TimeSpan.FromSeconds(1)))
        );
        Assert.Equal(TokenRefusal.NotYetValid, await _world.RefusalAsync(_world.Sign(ago: -TimeSpan.FromHours(1))));
        // Signed by us, and longer than a revocation is remembered.
        Assert.Equal(TokenRefusal.LivesTooLong, await _world.RefusalAsync(_world.Sign(lifetime: TimeSpan.FromHours(1))));
    }

    [Fact]
    public async Task What_is_refused_is_logged_by_its_reason_and_never_itself()
    {
        await using var thief = new TokenWorld(keys: new TokenKeyRing(TokenKey.Generate("first")));
        string[] tries =
        [
            _world.Sign(new TokenRequest { Subject = "ada", Audience = "b" }),
            thief.Sign(),
            _world.Sign()[..^5],
            thief.Sign().Replace(".", "", StringComparison.Ordinal),
        ];
        foreach (var text in tries)
            Assert.False((await _world.Tokens.VerifyAsync(text)).IsValid);

        Assert.Equal(tries.Length, _world.Log.All.Count(line => line.Id == 5000));
        foreach (var (_, _, line) in _world.Log.All)
            Assert.DoesNotContain(tries.SelectMany(text => text.Split('.')), part => line.Contains(part[..12], StringComparison.Ordinal));
    }

    [Fact]
    public void What_cannot_stand_in_a_token_is_refused_when_it_is_issued()
    {
        Assert.ThrowsAny<ArgumentException>(() => AccessTokens.Check(new TokenRequest { Subject = " " }));
        Assert.ThrowsAny<ArgumentException>(() => AccessTokens.Check(new TokenRequest { Subject = "a", Roles = ["a\nb"] }));
        foreach (var name in (string[])["sub", "role", "iat_ms", "fam", "", "a\nb"])
            Assert.ThrowsAny<ArgumentException>(() =>
                AccessTokens.Check(
                    new TokenRequest
                    {
                        Subject = "a",
                        Claims = new Dictionary<string, string> { [name] = "x" },
                    }
                )
            );
    }

    private static string Forge(string payload, string algorithm, string kid, byte[] secret)
    {
        var header = Base64UrlEncoder.Encode($$"""{"alg":"{{algorithm}}","kid":"{{kid}}","typ":"at+jwt"}""");
        var signed = $"{header}.{Base64UrlEncoder.Encode(payload)}";
        return $"{signed}.{Base64UrlEncoder.Encode(HMACSHA256.HashData(secret, Encoding.ASCII.GetBytes(signed)))}";
    }
}
