using System.Security.Cryptography;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Onggi.Keys;

namespace Onggi.Tests.Keys;

public class IdentifierTests
{
    private const string Secret = "0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData("010-1234-5678", "010-1234-5678")]
    [InlineData("a:b", "a%3Ab")]
    [InlineData("{a}", "%7Ba%7D")]
    [InlineData("100%", "100%25")]
    [InlineData("a b\tc\r\n", "a%20b%09c%0D%0A")]
    [InlineData("\u0000\u007F\u0085\u00A0", "%00%7F%C2%85%C2%A0")]
    [InlineData("홍길동", "홍길동")]
    [InlineData("한 글\u3000", "한%20글%E3%80%80")]
    [InlineData("📞", "📞")]
    [InlineData("*?[a]\\\"'", "*?[a]\\\"'")]
    public void Escaping_leaves_readable_what_cannot_hurt(string identifier, string escaped)
    {
        Assert.Equal(escaped, IdentifierEncoding.Escape(identifier));
        Assert.Equal(identifier, IdentifierEncoding.Unescape(escaped));
    }

    [Fact]
    public void Half_surrogates_stay_apart_from_each_other_and_from_the_replacement_character()
    {
        string[] identifiers = ["\uD800", "\uD801", "\uDC00", "\uFFFD", "\uDC00\uD800", "\uD800\uD800\uDC00"];

        var escaped = identifiers.Select(IdentifierEncoding.Escape).ToList();

        Assert.Equal("%ED%A0%80", escaped[0]);
        Assert.Equal(identifiers.Length, escaped.Select(Encoding.UTF8.GetBytes).Select(Convert.ToHexString).Distinct().Count());
        Assert.Equal(identifiers, escaped.Select(IdentifierEncoding.Unescape));
    }

    [Fact]
    public void Every_identifier_comes_back_as_it_was() =>
        Check.QuickThrowOnFailure(
            Prop.ForAll<string?>(identifier =>
            {
                if (identifier is null)
                    return true;
                var escaped = IdentifierEncoding.Escape(identifier);
                return IdentifierEncoding.Unescape(escaped) == identifier
                    && Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(escaped)) == escaped;
            })
        );

    [Fact]
    public void No_code_unit_leaves_a_character_that_breaks_a_key()
    {
        for (var code = 0; code <= char.MaxValue; code++)
        {
            var identifier = ((char)code).ToString();
            var escaped = IdentifierEncoding.Escape(identifier);
            Assert.DoesNotContain(escaped, c => c is ':' or '{' or '}' || char.IsControl(c) || char.IsWhiteSpace(c) || char.IsSurrogate(c));
            Assert.Equal(identifier, IdentifierEncoding.Unescape(escaped));
        }
    }

    [Theory]
    [InlineData("%")]
    [InlineData("%4")]
    [InlineData("%3a")]
    [InlineData("%41")]
    [InlineData("%GG")]
    [InlineData("%C2")]
    [InlineData("%ED%A0")]
    [InlineData("%F0%9F%93%9E")]
    [InlineData("%C0%BA")]
    [InlineData("a:b")]
    [InlineData("a b")]
    public void What_escaping_never_makes_is_refused(string text) => Assert.Null(IdentifierEncoding.Unescape(text));

    [Fact]
    public void Different_keys_have_different_names_and_each_name_its_family()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small);
        var seed = Environment.TickCount;
        var random = new Random(seed);
        string[] pieces = ["a", "b", ":", "%", "{", "}", "%3A", " ", "가", "\uD800", "latest", "0"];
        string Identifier() => string.Concat(Enumerable.Range(0, random.Next(1, 4)).Select(_ => pieces[random.Next(pieces.Length)]));
        var names = new Dictionary<string, EntryKey>();

        for (var i = 0; i < 20_000; i++)
        {
            var key = random.Next(3) switch
            {
                0 => SampleCatalogs.Customer(Identifier()),
                1 => new EntryKey(SampleCatalogs.CodesFamily, Identifier()),
                _ => SampleCatalogs.Bill(Identifier(), Identifier()),
            };
            var name = keyspace.WireName(key);
            Assert.True(!names.TryGetValue(name, out var other) || other == key, $"seed {seed}: {name}");
            names[name] = key;
            Assert.Equal(key.Family, keyspace.FamilyOf(name)?.Family);
            Assert.Equal(key.Family, keyspace.FamilyOf($"{{{name}}}:l")?.Family);
        }
    }

    [Fact]
    public void A_personal_identifier_is_hashed_where_the_environment_says_so()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small, "production", personalSecret: Secret);
        var expected = Convert
            .ToBase64String(HMACSHA256.HashData(Encoding.UTF8.GetBytes(Secret), "010-1234-5678"u8)[..16])
            .TrimEnd('=')
            .Replace('+', '-')
            .Replace('/', '_');

        Assert.Equal($"shop:production:customer:{expected}", keyspace.WireName(SampleCatalogs.Customer("010-1234-5678")));
        Assert.Equal($"shop:production:bill:{expected}:2026-11", keyspace.WireName(SampleCatalogs.Bill("010-1234-5678", "2026-11")));
        Assert.Equal("dev:customer:010-1234-5678", Keyspace.Load(SampleCatalogs.Small).WireName(SampleCatalogs.Customer("010-1234-5678")));
    }

    [Fact]
    public void Another_secret_or_identifier_gives_another_hash()
    {
        var one = Keyspace.Load(SampleCatalogs.Small, "production", personalSecret: Secret);
        var other = Keyspace.Load(SampleCatalogs.Small, "production", personalSecret: Secret + "x");

        Assert.NotEqual(one.WireName(SampleCatalogs.Customer("010")), other.WireName(SampleCatalogs.Customer("010")));
        Assert.NotEqual(one.WireName(SampleCatalogs.Customer("010")), one.WireName(SampleCatalogs.Customer("011")));
        Assert.NotEqual(one.WireName(SampleCatalogs.Customer("\uD800")), one.WireName(SampleCatalogs.Customer("\uFFFD")));
    }

    [Fact]
    public void A_plain_personal_identifier_is_nobodys_where_they_are_hashed()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small, "production", personalSecret: Secret);

        Assert.Null(keyspace.FamilyOf("shop:production:customer:010-1234-5678"));
        Assert.Equal("customer", keyspace.FamilyOf(keyspace.WireName(SampleCatalogs.Customer("010-1234-5678")))?.Family.Name);
    }

    [Fact]
    public void A_tool_reads_names_without_the_secret_and_cannot_make_them()
    {
        var keyspace = Keyspace.Load(SampleCatalogs.Small, "production", null, null, needsSecret: false);

        Assert.Equal("shop:production:codes:a", keyspace.WireName(new EntryKey(SampleCatalogs.CodesFamily, "a")));
        Assert.Throws<InvalidOperationException>(() => keyspace.WireName(SampleCatalogs.Customer("010")));
    }
}
