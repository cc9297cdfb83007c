using System.Text;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.Tests.Sessions;

/// <summary>The secret that a visitor shows.</summary>
public class SessionIdTests
{
    private const string Partition = "ABCDEFGHIJKLMNOPQRSTUV";

    [Fact]
    public void An_id_has_192_random_bits_and_is_read_back()
    {
        var ids = Enumerable.Range(0, 1000).Select(_ => SessionId.New(Partition)).ToList();

        Assert.Equal(1000, ids.Select(id => id.Reveal()).Distinct().Count());
        foreach (var id in ids)
        {
            Assert.Equal(54, id.Reveal().Length);
            Assert.StartsWith(Partition, id.Reveal(), StringComparison.Ordinal);
            Assert.True(SessionId.TryParse(id.Reveal(), out var again));
            Assert.Equal(id, again);
            Assert.Equal(id.GetHashCode(), again.GetHashCode());
        }

        // Every character of the secret takes every value: none of its bits stands still.
        for (var at = SessionId.PartitionLength; at < SessionId.Length; at++)
            Assert.True(ids.Select(id => id.Reveal()[at]).Distinct().Count() > 50, $"character {at}");
    }

    [Fact]
    public void Nothing_prints_the_secret()
    {
        var id = SessionId.New(Partition);

        foreach (var text in (string[])[$"{id}", id.ToString(), string.Create(null, $"{(object)id}")])
            Assert.DoesNotContain(id.Reveal()[..8], text, StringComparison.Ordinal);
        Assert.DoesNotContain(
            id.Reveal()[SessionId.PartitionLength..],
            System.Text.Json.JsonSerializer.Serialize(id),
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("short")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVABCDEFGHIJKLMNOPQRSTUVABCDEFGHI")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVABCDEFGHIJKLMNOPQRSTUVABCDEFGHIJK")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVABCDEFGHIJKLMNOPQRSTUVABCDEFGHI=")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVABCDEFGHIJKLMNOPQRSTUVABCDEFGHI+")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVABCDEFGHIJKLMNOPQRSTUVABCDEFGHI ")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUV{BCDEFGHIJKLMNOPQRSTUVABCDEFGHIJ")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUV:BCDEFGHIJKLMNOPQRSTUVABCDEFGHIJ")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUV\nBCDEFGHIJKLMNOPQRSTUVABCDEFGHI")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVABCDEFGHIJKLMNOPQRSTUVABCDEFGHIé")]
    public void What_cannot_be_an_id_is_refused_before_anybody_is_asked(string? text)
    {
        Assert.False(SessionId.TryParse(text, out var id));
        Assert.True(id.IsEmpty);
        Assert.Throws<ArgumentException>(() => id.Reveal());
    }

    [Fact]
    public void Redis_knows_a_hash_that_changes_with_every_character()
    {
        var random = Seed.For(nameof(Redis_knows_a_hash_that_changes_with_every_character));
        var keys = new SessionKeys("dev:auth:");
        var id = SessionId.New(Partition);
        var handle = HandleOf(keys, id);

        Assert.DoesNotContain(id.Reveal()[SessionId.PartitionLength..], handle, StringComparison.Ordinal);
        for (var at = 0; at < SessionId.Length; at++)
        {
            var letters = id.Reveal().ToCharArray();
            letters[at] = letters[at] == 'x' ? (char)('a' + random.Next(20)) : 'x';
            Assert.True(SessionId.TryParse(new string(letters), out var other));
            Assert.NotEqual(handle[..32], HandleOf(keys, other)[..32]);
            Assert.NotEqual(id, other);
        }
    }

    private static string HandleOf(SessionKeys keys, SessionId id)
    {
        var names = keys.Of(id);
        var handle = Encoding.ASCII.GetString(names.Handle.Span);
        names.Release();
        return handle;
    }
}
