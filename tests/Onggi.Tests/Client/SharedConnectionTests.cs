using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

/// <summary>What does not belong on a connection that all share is refused before anything is sent, and the error says what to use.</summary>
public sealed class SharedConnectionTests
{
    public static TheoryData<string, string> Refused { get; } =
        new()
        {
            { "SELECT 1", "Database" },
            { "MULTI", "LeaseAsync" },
            { "watch k", "LeaseAsync" },
            { "CLIENT REPLY OFF", "LeaseAsync" },
            { "client tracking on", "LeaseAsync" },
            { "CLIENT SETNAME me", "ClientName" },
            { "AUTH secret", "Password" },
            { "BLPOP k 0", "LeaseAsync" },
            { "XREAD BLOCK 0 STREAMS k $", "LeaseAsync" },
            { "WAIT 1 0", "LeaseAsync" },
            { "SUBSCRIBE c", "SubscribeAsync" },
            { "PSUBSCRIBE c", "SubscribePatternAsync" },
            { "SSUBSCRIBE c", "SubscribeShardedAsync" },
            { "MONITOR", "LeaseAsync" },
        };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task It_is_refused_in_words(string command, string instead)
    {
        await using var redis = new RedisClient(new RedisClientOptions { Port = 1 });
        RedisArg[] words = [.. command.Split(' ').Select(word => (RedisArg)word)];

        var error = await Assert.ThrowsAsync<ArgumentException>(() => redis.ExecuteAsync(words).AsTask());
        var blocking = Assert.Throws<ArgumentException>(() => redis.Send(words, ReplyParsers.Reply));

        Assert.Contains(instead, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
        Assert.Equal(error.Message, blocking.Message);
    }

    [Theory]
    [InlineData("XREAD STREAMS k 0", CommandOptions.Idempotent | CommandOptions.Bulk)]
    [InlineData("GET k", CommandOptions.Idempotent)]
    [InlineData("PING", CommandOptions.Idempotent)]
    [InlineData("HGETALL k", CommandOptions.Idempotent | CommandOptions.Bulk)]
    [InlineData("SET k v", CommandOptions.None)]
    [InlineData("DEL k", CommandOptions.None)]
    [InlineData("INCR k", CommandOptions.None)]
    public void What_only_reads_may_be_asked_again_and_what_is_long_goes_apart(string command, CommandOptions expected)
    {
        RedisArg[] words = [.. command.Split(' ').Select(word => (RedisArg)word)];
        var asked = new Command(words);

        Assert.Equal(expected, Onggi.Client.Routing.SharedConnection.OptionsOf(in asked, CommandTable.Find(in asked), CommandOptions.None));
    }
}
