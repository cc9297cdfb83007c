using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Client.Routing.Cluster;
using Onggi.Testing;

namespace Onggi.Tests.Client.Cluster;

public class KeySplitTests
{
    [Theory]
    [InlineData("GET foo", 12182)]
    [InlineData("MGET {foo}1 {foo}2", 12182)]
    [InlineData("MGET foo bar", KeySlots.Several)]
    [InlineData("PING", KeySlots.None)]
    [InlineData("EVAL script 0", KeySlots.None)]
    [InlineData("ZUNIONSTORE foo 1 bar", KeySlots.Several)]
    public void The_slot_of_a_command_is_that_of_all_its_keys(string command, int slot)
    {
        RedisArg[] words = [.. command.Split(' ').Select(word => (RedisArg)word)];

        Assert.Equal(slot, KeySlots.Of(new Command(words), CommandTable.Find(words)));
    }

    [Fact]
    public void The_slot_of_a_script_is_that_of_its_keys()
    {
        var script = new RedisScript("count", "return 1");

        Assert.Equal(12182, SlotOf(["foo", "a{foo}"]));
        Assert.Equal(KeySlots.Several, SlotOf(["foo", "bar"]));
        Assert.Equal(KeySlots.None, SlotOf([]));

        int SlotOf(RedisArg[] keys)
        {
            var command = new Command(script, keys, ["bar"]);
            return KeySlots.Of(in command, CommandTable.Find(in command));
        }
    }

    [Fact]
    public void Parts_are_in_the_order_of_the_callers_keys_and_values_stay_with_their_keys()
    {
        var split = Split("MSET", "foo", "1", "bar", "2", "{foo}2", "3");

        Assert.Equal([12182, 5061], split.Parts.Select(part => part.Slot));
        Assert.Equal(["MSET foo 1 {foo}2 3", "MSET bar 2"], split.Parts.Select(part => string.Join(' ', part.Words)));
        Assert.Equal([0, 2], split.Parts[0].Places);
    }

    [Fact]
    public void Arrays_are_joined_in_the_callers_order()
    {
        var split = Split("MGET", "foo", "bar", "foo", "{bar}2");

        var joined = split.Join(
            [Read(split, "*2\r\n$1\r\nF\r\n$2\r\nF2\r\n"), Read(split, "*2\r\n_\r\n$0\r\n\r\n")],
            ReplyParsers.TextArray
        );

        Assert.Equal((string?[])["F", null, "F2", ""], joined);
    }

    [Fact]
    public void Numbers_are_added_up_and_OK_is_OK()
    {
        var del = Split("DEL", "foo", "bar");
        var set = Split("MSET", "foo", "1", "bar", "2");

        Assert.Equal(3, del.Join([Read(del, ":1\r\n"), Read(del, ":2\r\n")], ReplyParsers.Int64));
        Assert.True(set.Join([Read(set, "+OK\r\n"), Read(set, "+OK\r\n")], ReplyParsers.Boolean));
    }

    [Fact]
    public void An_answer_that_such_a_command_does_not_have_is_refused()
    {
        var get = Split("MGET", "foo", "bar");
        var set = Split("MSET", "foo", "1", "bar", "2");

        Assert.Throws<RedisReplyException>(() => Read(get, "+OK\r\n"));
        Assert.Throws<RedisReplyException>(() => Read(set, "+QUEUED\r\n"));
        Assert.Throws<RedisReplyException>(() =>
            get.Join([Read(get, "*2\r\n_\r\n_\r\n"), Read(get, "*1\r\n_\r\n")], ReplyParsers.TextArray)
        );
    }

    [Theory]
    [InlineData("MSETNX foo 1 bar 2", "MSETNX")]
    [InlineData("RENAME foo bar", "RENAME")]
    [InlineData("SINTER foo bar", "SINTER")]
    [InlineData("EVAL script 2 foo bar", "EVAL")]
    public void What_is_one_thing_is_refused_with_its_keys_and_their_slots(string command, string name)
    {
        var error = Assert.Throws<ArgumentException>(() => Split(command.Split(' ')));

        Assert.StartsWith(name + " needs all its keys in one slot", error.Message, StringComparison.Ordinal);
        Assert.Contains("'foo' (slot 12182), 'bar' (slot 5061).", error.Message, StringComparison.Ordinal);
        Assert.Contains("common {tag}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_script_is_refused_by_its_name()
    {
        var error = Assert.Throws<ArgumentException>(() =>
        {
            var command = new Command(new RedisScript("transfer", "return 1"), ["foo", "bar"], []);
            KeySplit.Of(in command, CommandTable.Find(in command));
        });

        Assert.StartsWith("The script 'transfer' needs", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_refusal_names_few_keys_and_not_all_of_a_long_one()
    {
        string[] keys = [.. Enumerable.Range(0, 1_000).Select(i => $"{i}\n{new string('x', 1_000)}")];

        var error = Assert.Throws<ArgumentException>(() => Split(["SUNION", .. keys]));

        Assert.InRange(error.Message.Length, 100, 1_500);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Contains(" …", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void However_the_keys_fall_the_joined_reply_is_that_of_one_server()
    {
        var random = Seed.For(nameof(KeySplitTests));
        for (var round = 0; round < 500; round++)
        {
            string[] keys = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => $"key{random.Next(30)}")];
            var split = Split(["MGET", .. keys]);

            // Each node answers a key with its name in capitals, and knows no key that ends in 7.
            var replies = split.Parts.Select(part =>
                Read(split, $"*{part.Words.Length - 1}\r\n{string.Concat(part.Words.Skip(1).Select(key => Answer(key.ToString())))}")
            );
            var joined = split.Join([.. replies], ReplyParsers.TextArray);

            Assert.True(keys.Select(Value).SequenceEqual(joined), $"{string.Join(' ', keys)}: {string.Join(' ', joined)}; {Seed.Line}");
        }

        static string? Value(string key) => key.EndsWith('7') ? null : key.ToUpperInvariant();

        static string Answer(string key) => Value(key) is { } value ? $"${value.Length}\r\n{value}\r\n" : "$-1\r\n";
    }

    private static KeySplit Split(params string[] command)
    {
        RedisArg[] words = [.. command.Select(word => (RedisArg)word)];
        return KeySplit.Of(new Command(words), CommandTable.Find(words));
    }

    private static PartReply Read(KeySplit split, string reply)
    {
        var reader = new RespReader(Encoding.ASCII.GetBytes(reply));
        reader.Read();
        return split.Parser(ref reader);
    }
}
