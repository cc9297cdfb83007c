using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Onggi.Tokens;

namespace Onggi.Tests.Tokens;

/// <summary>Refresh tokens: only we can make one, and Redis hears of nothing else.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class RefreshTokenTests : IDisposable
{
    private static readonly byte[] Secret = SHA256.HashData("one"u8);
    private static readonly byte[] Other = SHA256.HashData("two"u8);

    public void Dispose() => TokenMutants.NoMac = TokenMutants.AnySpelling = false;

    [Fact]
    public void What_is_in_it_comes_out_again_and_goes_into_its_successor()
    {
        var first = Make();
        var read = RefreshToken.Read(first.Text, [Secret])!;
        var next = RefreshToken.Read(read.Successor(new TokenChanges { Roles = ["boss"] }, Secret).Text, [Secret])!;

        Assert.Equal(("ada 한글 :{}", "s1", "shop", 0), (read.Subject, read.SessionId, read.Audience, read.Generation));
        Assert.Equal(["clerk", "admin"], read.Roles);
        Assert.Equal("billing", read.Claims["team"]);
        Assert.Equal((first.Family, 1, "s1", "billing"), (next.Family, next.Generation, next.SessionId, next.Claims["team"]));
        Assert.Equal(["boss"], next.Roles);
        Assert.NotEqual(read.Random, next.Random);
        Assert.Equal(43, first.Hash.Length);
    }

    [Fact]
    public void One_with_a_former_secret_is_read_and_one_with_another_is_not()
    {
        Assert.NotNull(RefreshToken.Read(Make().Text, [Other, Secret]));
        Assert.Null(RefreshToken.Read(Make().Text, [Other]));
        Assert.Null(RefreshToken.Read(Make().Text, []));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void No_bit_of_it_can_be_changed(bool noMac)
    {
        TokenMutants.NoMac = noMac;
        var bytes = Base64Url.DecodeFromChars(Make().Text);
        var passed = 0;
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            passed += RefreshToken.Read(Base64Url.EncodeToString(bytes), [Secret]) is null ? 0 : 1;
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        Assert.Equal(noMac, passed > 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_has_one_spelling(bool anySpelling)
    {
        TokenMutants.AnySpelling = anySpelling;
        var text = ((string[])["", "x", "xy"]).Select(more => Make(more).Text).First(one => one.Length % 4 is 2 or 3);
        var padded = text + new string('=', 4 - (text.Length % 4));

        Assert.Equal(anySpelling, RefreshToken.Read(padded, [Secret]) is not null);
        Assert.NotNull(RefreshToken.Read(text, [Secret]));
    }

    [Fact]
    public void Cut_lengthened_and_made_up_ones_are_none()
    {
        var random = Seed.For(nameof(Cut_lengthened_and_made_up_ones_are_none));
        var text = Make().Text;
        for (var length = 0; length < text.Length; length++)
            Assert.Null(RefreshToken.Read(text[..length], [Secret]));
        foreach (var added in (string[])["A", "AA", "AAAA", "=", ".", " ", "\n", "é"])
        {
            Assert.Null(RefreshToken.Read(text + added, [Secret]));
            Assert.Null(RefreshToken.Read(added + text, [Secret]));
        }

        for (var i = 0; i < 10_000; i++)
        {
            var bytes = new byte[random.Next(200)];
            random.NextBytes(bytes);
            if (bytes.Length > 0)
                bytes[0] = 1;
            Assert.True(RefreshToken.Read(Base64Url.EncodeToString(bytes), [Secret]) is null, Seed.Line);
        }
    }

    [Fact]
    public void Only_the_old_token_opens_what_was_sealed_for_it()
    {
        var old = Make();
        var answer = new IssuedTokens
        {
            AccessToken = "the access token",
            AccessExpiresAt = DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_000),
            RefreshToken = "the refresh token",
            TokenId = "id",
            Subject = old.Subject,
        };
        var box = SealedSuccessor.Seal(old, answer);

        var opened = SealedSuccessor.Open(old, box, DateTimeOffset.UnixEpoch)!;

        Assert.Equal(
            (answer.AccessToken, answer.RefreshToken, answer.TokenId, answer.AccessExpiresAt),
            (opened.AccessToken, opened.RefreshToken, opened.TokenId, opened.AccessExpiresAt)
        );
        Assert.Null(SealedSuccessor.Open(Make(), box, DateTimeOffset.UnixEpoch));
        Assert.Null(SealedSuccessor.Open(old, box[..10], DateTimeOffset.UnixEpoch));
        Assert.DoesNotContain("token", Encoding.Latin1.GetString(box), StringComparison.Ordinal);
        box[^1] ^= 1;
        Assert.Null(SealedSuccessor.Open(old, box, DateTimeOffset.UnixEpoch));
    }

    [Fact]
    public void One_that_would_be_too_large_says_so()
    {
        var claims = Enumerable.Range(0, 400).ToDictionary(i => $"claim{i}", _ => "a value of some length");

        Assert.Throws<ArgumentException>(() =>
            RefreshToken.First(new TokenRequest { Subject = "ada", Claims = claims }, "shop", "family", Secret)
        );
    }

    private static RefreshToken Make(string more = "") =>
        RefreshToken.First(
            new TokenRequest
            {
                Subject = "ada 한글 :{}" + more,
                SessionId = "s1",
                Roles = ["clerk", "admin"],
                Claims = new Dictionary<string, string> { ["team"] = "billing" },
            },
            "shop",
            "family",
            Secret
        );
}
