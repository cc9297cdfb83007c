using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Testing;

namespace Onggi.Tests.Client.Cluster;

public class CommandTableTests
{
    [Theory]
    [InlineData("get k", "GET")]
    [InlineData("GeT k", "GET")]
    [InlineData("client list", "CLIENT LIST")]
    [InlineData("Client No-Evict on", "CLIENT NO-EVICT")]
    [InlineData("COMMAND", "COMMAND")]
    [InlineData("COMMAND COUNT", "COMMAND COUNT")]
    [InlineData("CONFIG", "CONFIG")]
    [InlineData("JSON.GET k", "")]
    [InlineData("CONFIG FORGET", "")]
    [InlineData("", "")]
    public void A_command_is_found_by_text_and_by_bytes_in_capitals_or_not(string command, string found)
    {
        Assert.Equal(found, CommandTable.Find(Words(command)).Name);
        Assert.Equal(found, CommandTable.Find([.. command.Split(' ').Select(word => (RedisArg)Encoding.ASCII.GetBytes(word))]).Name);
    }

    [Theory]
    [InlineData("GET k", "k")]
    [InlineData("MGET a b c", "a b c")]
    [InlineData("MSET a 1 b 2", "a b")]
    [InlineData("BITOP AND d a b", "d a b")]
    [InlineData("BLPOP a b 5", "a b")]
    [InlineData("EVAL script 2 a b c", "a b")]
    [InlineData("EVAL script 0 c", "")]
    [InlineData("EVAL script many c", "")]
    [InlineData("EVAL script 3 a b", "")]
    [InlineData("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b")]
    [InlineData("LMPOP 2 a b LEFT", "a b")]
    [InlineData("BLMPOP 0 2 a b LEFT", "a b")]
    [InlineData("XREAD COUNT 2 STREAMS a b 0 0", "a b")]
    [InlineData("XREADGROUP GROUP STREAMS streams COUNT 1 STREAMS a >", "a")]
    [InlineData("XREAD COUNT 2", "")]
    [InlineData("SORT k", "k")]
    [InlineData("SORT k BY STORE GET STORE STORE d", "d k")]
    [InlineData("SORT k STORE d STORE e", "e k")]
    [InlineData("GEORADIUS k 1 2 3 km STOREDIST d", "d k")]
    [InlineData("MIGRATE host 1 k 0 1", "k")]
    [InlineData("MIGRATE host 1 \"\" 0 1 AUTH keys KEYS a b", "a b")]
    [InlineData("OBJECT ENCODING k", "k")]
    [InlineData("OBJECT HELP", "")]
    [InlineData("XGROUP CREATE k g 0", "k")]
    [InlineData("PING", "")]
    [InlineData("GET", "")]
    [InlineData("JSON.GET k $", "k")]
    public void The_keys_are_found(string command, string keys)
    {
        var words = Words(command);
        var found = CommandTable.Find(words).Keys.In(words);

        Assert.Equal(keys, string.Join(' ', Enumerable.Range(0, found.Count).Select(i => words[found[i]].ToString())));
    }

    [Fact]
    public void A_count_of_keys_may_be_a_number()
    {
        RedisArg[] words = ["EVAL", "script", 1, "a", "b"];

        Assert.Equal(new KeyPositions(3, 1, 1), CommandTable.Find(words).Keys.In(words));
    }

    [Theory]
    [InlineData("BLPOP k 0", true)]
    [InlineData("XREAD BLOCK 0 STREAMS k $", true)]
    [InlineData("XREAD STREAMS block 0", false)]
    [InlineData("xreadgroup group g c block 0 streams k >", true)]
    [InlineData("WAIT 1 100", true)]
    [InlineData("SUBSCRIBE news", true)]
    [InlineData("MONITOR", true)]
    [InlineData("LPOP k", false)]
    public void What_blocks_its_connection_is_known(string command, bool blocks) =>
        Assert.Equal(blocks, CommandTable.Find(Words(command)).Blocks(Words(command)));

    [Theory]
    [InlineData("GET k", "Harmless")]
    [InlineData("SET k v", "Harmless")]
    [InlineData("SET k v EX 10", "Harmless")]
    [InlineData("SET k NX PXAT 10", "Harmless")]
    [InlineData("SET k v KEEPTTL", "Harmless")]
    [InlineData("SET k v NX", "Never")]
    [InlineData("SET k v EX 10 GET", "Never")]
    [InlineData("SET k v IFEQ w", "Never")]
    [InlineData("EXPIRE k 10", "Harmless")]
    [InlineData("EXPIRE k 10 GT", "Never")]
    [InlineData("DEL k", "SameState")]
    [InlineData("ZADD k 1 m", "SameState")]
    [InlineData("ZADD k -inf m", "SameState")]
    [InlineData("ZADD k INCR 1 m", "Never")]
    [InlineData("INCR k", "Never")]
    [InlineData("LPUSH k v", "Never")]
    [InlineData("EVALSHA digest 0", "Never")]
    [InlineData("EVALSHA_RO digest 0", "Harmless")]
    [InlineData("PUBLISH c m", "Never")]
    [InlineData("JSON.GET k", "Never")]
    [InlineData("CONFIG FORGET", "Never")]
    public void What_may_be_made_again_is_known(string command, string repeated) =>
        Assert.Equal(repeated, CommandTable.Find(Words(command)).Repeated(Words(command)).ToString());

    [Fact]
    public void Nothing_both_changes_the_connection_and_may_be_made_again_or_split() =>
        Assert.DoesNotContain(
            CommandTable.All,
            info => info.ChangesConnection && (info.Repeated([]) != Repetition.Never || info.Join != ReplyJoin.None)
        );

    [Theory]
    [InlineData("SELECT 1")]
    [InlineData("MULTI")]
    [InlineData("WATCH k")]
    [InlineData("CLIENT REPLY OFF")]
    [InlineData("CLIENT TRACKING ON")]
    [InlineData("READONLY")]
    [InlineData("HELLO 2")]
    [InlineData("SUBSCRIBE c")]
    public void What_changes_its_connection_is_known(string command) => Assert.True(CommandTable.Find(Words(command)).ChangesConnection);

    [Fact]
    public void A_cursor_stays_with_the_server_that_gave_it()
    {
        foreach (var name in (string[])["SCAN", "SSCAN", "HSCAN", "ZSCAN"])
            Assert.Equal((true, false), (Info(name).OnlyReads, Info(name).MayReadReplica));
        Assert.True(Info("GET").MayReadReplica);
    }

    [Fact]
    public async Task Finding_allocates_nothing()
    {
        RedisArg[][] commands =
        [
            ["get", "k"],
            ["EVALSHA"u8.ToArray(), "digest", 1, "k"],
            ["config"u8.ToArray(), "GET"u8.ToArray(), "save"],
            ["XREAD", "BLOCK", 0, "STREAMS", "k", "$"],
            ["SORT", "k", "STORE", "d"],
            ["JSON.GET", "k"],
        ];
        var sum = 0;

        await Allocation.NoneAsync(() =>
        {
            for (var i = 0; i < 100; i++)
                sum |= Sum();
        });

        Assert.NotEqual(0, sum);

        int Sum()
        {
            var all = 0;
            foreach (var command in commands)
            {
                var info = CommandTable.Find(command);
                all += info.Keys.In(command).Count + (info.Blocks(command) ? 1 : 0) + (int)info.Repeated(command);
            }

            return all;
        }
    }

    private static CommandInfo Info(string name) => CommandTable.Find([name]);

    private static RedisArg[] Words(string command) => [.. command.Split(' ').Select(word => (RedisArg)(word == "\"\"" ? "" : word))];
}
