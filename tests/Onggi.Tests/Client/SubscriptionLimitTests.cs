using System.Globalization;
using System.Text;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>What a subscription holds for a reader that is slow or has not begun.</summary>
public sealed class SubscriptionLimitTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task It_holds_no_more_bytes_than_it_may_and_tells_the_reader_that_some_were_dropped()
    {
        // 100 messages of 100 bytes, of which 1000 bytes may be held.
        await using var server = Publishing(Enumerable.Range(0, 100).Select(i => Message(i, 100)));
        await using var redis = await ConnectAsync(server, bytes: 1000, messages: 4096);
        await using var subscription = await redis.SubscribeAsync("ch").AsTask().WaitAsync(Bound);

        var read = await ReadToLastAsync(redis, subscription);

        Assert.True(read[0].Interrupted);
        Assert.Equal(Enumerable.Range(0, 10), read.Skip(1).Take(10).Select(NumberOf));
        Assert.Equal(10, read.Count(message => message.Payload.Length == 100));
    }

    [Fact]
    public async Task One_message_larger_than_the_limit_still_arrives()
    {
        await using var server = Publishing([Message(1, 5000), Message(2, 100)]);
        await using var redis = await ConnectAsync(server, bytes: 1000, messages: 4096);
        await using var subscription = await redis.SubscribeAsync("ch").AsTask().WaitAsync(Bound);

        var read = await ReadToLastAsync(redis, subscription);

        Assert.Equal((true, 1), (read[0].Interrupted, NumberOf(read[1])));
        Assert.Single(read, message => message.Payload.Length >= 100);
    }

    [Fact]
    public async Task What_is_read_makes_room_again()
    {
        // Never more than 500 bytes unread: nothing is dropped, however many there are in all.
        await using var server = Publishing([]);
        await using var redis = await ConnectAsync(server, bytes: 1000, messages: 4096);
        await using var subscription = await redis.SubscribeAsync("ch").AsTask().WaitAsync(Bound);
        await using var reader = subscription.ReadAllAsync().GetAsyncEnumerator();

        for (var round = 0; round < 50; round++)
        {
            for (var i = 0; i < 5; i++)
                subscription.Deliver(new RedisMessage { Channel = "ch", Payload = Message(i, 100) });
            for (var i = 0; i < 5; i++)
            {
                Assert.True(await reader.MoveNextAsync().AsTask().WaitAsync(Bound));
                Assert.Equal((false, i), (reader.Current.Interrupted, NumberOf(reader.Current)));
            }
        }
    }

    [Fact]
    public async Task Messages_dropped_for_their_number_give_their_bytes_back()
    {
        // Two messages at the most: 98 are dropped, and the bytes of what is left are counted, not those of all.
        await using var server = Publishing(Enumerable.Range(0, 100).Select(i => Message(i, 100)));
        await using var redis = await ConnectAsync(server, bytes: 1000, messages: 2);
        await using var subscription = await redis.SubscribeAsync("ch").AsTask().WaitAsync(Bound);

        var read = await ReadToLastAsync(redis, subscription);

        // The last of all is there: it would not be, had the bytes of the dropped ones been kept.
        Assert.Equal((true, "last"), (read[0].Interrupted, Encoding.ASCII.GetString(read[^1].Payload.Span)));
        Assert.Equal(99, NumberOf(read[^2]));
    }

    // Waits until all that the server published has come, and only then begins to read.
    private static async Task<List<RedisMessage>> ReadToLastAsync(RedisClient redis, RedisSubscription subscription)
    {
        await using var last = await redis.SubscribeAsync("last").AsTask().WaitAsync(Bound);
        subscription.Deliver(new RedisMessage { Channel = "ch", Payload = "last"u8.ToArray() });
        await subscription.DisposeAsync().AsTask().WaitAsync(Bound);
        var read = new List<RedisMessage>();
        await foreach (var message in subscription.ReadAllAsync())
            read.Add(message);
        return read;
    }

    private static ValueTask<RedisClient> ConnectAsync(FakeRedis server, long bytes, int messages) =>
        RedisClient.ConnectAsync(
            new RedisClientOptions
            {
                Port = server.Port,
                CommandTimeout = Bound,
                ConnectTimeout = Bound,
                SubscriptionBufferBytes = bytes,
                SubscriptionBuffer = messages,
            }
        );

    // Confirms what is asked, and follows the first confirmation with the messages: they stand on the wire before any later one.
    private static FakeRedis Publishing(IEnumerable<byte[]> messages)
    {
        var published = string.Concat(
            messages.Select(message => $">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n${message.Length}\r\n{Encoding.ASCII.GetString(message)}\r\n")
        );
        return FakeRedis.Start(connection =>
            connection.ServeAsync(command =>
                command switch
                {
                    ["HELLO", ..] => FakeConnection.HelloReply(),
                    ["SUBSCRIBE", "ch"] => Confirmation("subscribe", "ch") + published,
                    ["SUBSCRIBE" or "UNSUBSCRIBE", var channel] => Confirmation(command[0].ToLowerInvariant(), channel),
                    _ => "+OK\r\n",
                }
            )
        );
    }

    private static string Confirmation(string kind, string channel) =>
        $">3\r\n${kind.Length}\r\n{kind}\r\n${channel.Length}\r\n{channel}\r\n:1\r\n";

    private static byte[] Message(int number, int size) =>
        Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture).PadRight(size));

    private static int NumberOf(RedisMessage message) =>
        int.Parse(Encoding.ASCII.GetString(message.Payload.Span).TrimEnd(), CultureInfo.InvariantCulture);
}
