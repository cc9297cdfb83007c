using System.Diagnostics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client.Sentinel;

/// <summary>Sentinels that are behind, contradict each other, come under two names, or tell what does not concern us: what real ones do too seldom.</summary>
public sealed class SentinelSourceTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task An_answer_that_the_server_itself_denies_is_no_answer_when_another_Sentinel_knows_better()
    {
        await using var demoted = new FakeServer("replica");
        await using var master = new FakeServer();
        await using var behind = new FakeSentinel(demoted.Port) { Id = "a" };
        await using var knowing = new FakeSentinel(master.Port) { Id = "b" };
        await using var redis = Client([behind, knowing]);

        Assert.Equal(master.Port, await AskAsync(redis));
        Assert.DoesNotContain("INCR", demoted.Commands);
    }

    [Fact]
    public async Task While_all_name_a_server_that_is_no_master_yet_it_is_asked_again_soon()
    {
        await using var promoted = new FakeServer("replica");
        await using var sentinel = new FakeSentinel(promoted.Port);
        await using var redis = Client([sentinel]);
        var call = AskAsync(redis);
        await UntilAsync(() => promoted.Connections >= 4, "it is tried several times");
        var watch = Stopwatch.StartNew();

        promoted.Role = "master";

        Assert.Equal(promoted.Port, await call);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1), $"{watch.Elapsed}");
        Assert.DoesNotContain("READONLY", promoted.Commands);
    }

    [Fact]
    public async Task A_switch_ends_what_hangs_on_the_old_master_and_what_may_be_done_twice_goes_on_at_the_new_one()
    {
        await using var old = new FakeServer(answer: _ => null);
        await using var master = new FakeServer();
        await using var sentinel = new FakeSentinel(old.Port);
        await using var redis = Client([sentinel], options => options.DeadAfter = TimeSpan.FromMinutes(5));
        await redis.ConnectAsync();
        var once = redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).AsTask();
        var again = redis.SendAsync(["INCR", "n"], ReplyParsers.Int64, CommandOptions.Idempotent).AsTask();
        await UntilAsync(() => old.Commands.Count == 2 && sentinel.Listeners == 1, "both are under way");

        sentinel.MasterPort = master.Port;
        await sentinel.TellAsync("+switch-master", $"mymaster 127.0.0.1 {old.Port} 127.0.0.1 {master.Port}");

        var error = await Assert.ThrowsAsync<RedisConnectionException>(() => once.WaitAsync(Bound));
        Assert.Equal((Sent.Maybe, true), (error.Sent, error.IsTransient));
        Assert.Contains("'mymaster'", error.Message, StringComparison.Ordinal);
        Assert.Equal(master.Port, await again.WaitAsync(Bound));
    }

    [Fact]
    public async Task A_switch_ends_an_attempt_to_connect_to_the_old_master()
    {
        await using var old = new FakeServer("hanging");
        await using var master = new FakeServer();
        await using var sentinel = new FakeSentinel(old.Port);
        await using var redis = Client([sentinel], options => options.ConnectTimeout = TimeSpan.FromMinutes(1));
        var call = AskAsync(redis);
        await UntilAsync(() => old.Connections == 1 && sentinel.Listeners == 1, "it is tried");

        sentinel.MasterPort = master.Port;
        await sentinel.TellAsync("+switch-master", $"mymaster 127.0.0.1 {old.Port} 127.0.0.1 {master.Port}");

        Assert.Equal(master.Port, await call);
    }

    [Fact]
    public async Task Another_masters_switch_and_one_to_where_we_are_already_change_nothing()
    {
        await using var master = new FakeServer();
        await using var sentinel = new FakeSentinel(master.Port);
        await using var redis = Client([sentinel]);
        await redis.ConnectAsync();
        await UntilAsync(() => sentinel.Listeners == 1, "it listens");

        await sentinel.TellAsync("+switch-master", "yourmaster 127.0.0.1 1 127.0.0.1 2");
        await sentinel.TellAsync("+switch-master", $"mymaster 127.0.0.1 1 127.0.0.1 {master.Port}");
        await sentinel.TellAsync("+switch-master", "mymaster and nothing that we can read");

        // The next telling is read after those.
        await sentinel.TellAsync("+sdown", "slave x @ mymaster 127.0.0.1 1");
        Assert.Equal(master.Port, await AskAsync(redis));
        Assert.Equal(1, master.Connections);
    }

    [Fact]
    public async Task A_switch_that_nobody_told_of_is_known_by_the_epoch_and_one_who_is_behind_is_not_believed()
    {
        await using var old = new FakeServer();
        await using var master = new FakeServer();
        await using var sentinel = new FakeSentinel(old.Port) { Epoch = 5 };
        await using var redis = Client([sentinel]);
        Assert.Equal(old.Port, await AskAsync(redis));
        await UntilAsync(() => sentinel.Listeners == 1, "it listens");

        (sentinel.MasterPort, sentinel.Epoch) = (master.Port, 4);
        await LookTwiceAsync(sentinel);
        Assert.Equal(old.Port, await AskAsync(redis));

        sentinel.Epoch = 6;
        await LookTwiceAsync(sentinel);
        await UntilAsync(() => master.Connections == 1, "it moves");
        Assert.Equal(master.Port, await AskAsync(redis));
    }

    [Fact]
    public async Task A_Sentinel_that_lets_nobody_listen_is_asked_all_the_same()
    {
        await using var master = new FakeServer();
        await using var sentinel = new FakeSentinel(
            master.Port,
            refusesToListen: "NOPERM this user has no permissions to access one of the channels"
        );
        await using var redis = Client([sentinel]);

        Assert.Equal(master.Port, await AskAsync(redis));
    }

    [Fact]
    public async Task One_that_has_a_name_and_an_address_is_one()
    {
        await using var master = new FakeServer();
        await using var second = new FakeSentinel(master.Port) { Id = "second" };
        await using var first = new FakeSentinel(master.Port) { Id = "first", Others = [(second.Port, "second")] };
        await using var redis = Client(
            [first],
            options => options.Servers = [new RedisAddress("127.0.0.1", first.Port), new RedisAddress("localhost", second.Port)]
        );
        Assert.Equal(master.Port, await AskAsync(redis));

        await UntilAsync(() => first.Listeners == 1 && second.Listeners == 1, "one connection to each stands");
        Assert.InRange(second.Connections, 1, 2);
    }

    [Fact]
    public async Task READONLY_sends_everybody_who_waits_to_the_new_master_and_nobody_hears_of_it()
    {
        await using var master = new FakeServer();
        FakeSentinel? sentinel = null;
        await using var demoted = new FakeServer(answer: _ =>
        {
            sentinel!.MasterPort = master.Port;
            return "-READONLY You can't write against a read only replica.\r\n";
        });
        await using (sentinel = new FakeSentinel(demoted.Port))
        {
            await using var redis = Client([sentinel]);
            await redis.ConnectAsync();
            demoted.Role = "replica";

            var calls = Enumerable.Range(0, 200).Select(_ => AskAsync(redis)).ToArray();

            Assert.All(await Task.WhenAll(calls), port => Assert.Equal(master.Port, port));
        }
    }

    [Fact]
    public async Task READONLY_without_end_ends_with_the_callers_time_and_the_servers_words()
    {
        await using var master = new FakeServer(answer: _ => "-READONLY You can't write against a read only replica.\r\n");
        await using var sentinel = new FakeSentinel(master.Port);
        await using var redis = Client([sentinel], options => options.CommandTimeout = TimeSpan.FromMilliseconds(500));
        await redis.ConnectAsync();

        var error = await Assert.ThrowsAsync<RedisServerException>(() => AskAsync(redis));

        Assert.Equal(("READONLY", Sent.No), (error.Code, error.Sent));
    }

    [Fact]
    public async Task READONLY_to_a_command_that_is_asked_once_leads_the_next_one_to_the_new_master()
    {
        await using var master = new FakeServer();
        FakeSentinel? sentinel = null;
        await using var demoted = new FakeServer(answer: _ =>
        {
            sentinel!.MasterPort = master.Port;
            return "-READONLY You can't write against a read only replica.\r\n";
        });
        await using (sentinel = new FakeSentinel(demoted.Port))
        {
            await using var redis = Client([sentinel]);
            await redis.ConnectAsync();
            demoted.Role = "replica";

            var error = await Assert.ThrowsAsync<RedisServerException>(() => OnceAsync(redis));

            Assert.Equal("READONLY", error.Code);
            Assert.Equal(master.Port, await OnceAsync(redis));
        }

        static Task<long> OnceAsync(RedisClient redis) =>
            redis.SendAsync(["INCR", "n"], ReplyParsers.Int64, CommandOptions.NoRetry).AsTask().WaitAsync(Bound);
    }

    // Any news makes the client look at everything; that it looks a second time shows that it has believed or not what it saw first.
    private static async Task LookTwiceAsync(FakeSentinel sentinel)
    {
        for (var i = 0; i < 2; i++)
        {
            var before = sentinel.Looks;
            await sentinel.TellAsync("+sdown", "slave x @ mymaster 127.0.0.1 1");
            await UntilAsync(() => sentinel.Looks > before, "it looks");
        }
    }

    private static RedisClient Client(FakeSentinel[] sentinels, Action<RedisClientOptions>? change = null)
    {
        var options = new RedisClientOptions
        {
            SentinelService = "mymaster",
            Servers = [.. sentinels.Select(sentinel => new RedisAddress("127.0.0.1", sentinel.Port))],
            CommandTimeout = Bound,
        };
        change?.Invoke(options);
        return new RedisClient(options);
    }

    private static Task<long> AskAsync(RedisClient redis) => redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).AsTask().WaitAsync(Bound);

    private static async Task UntilAsync(Func<bool> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Bound, $"For {Bound.TotalSeconds} s it was not so that {what}.");
            await Task.Delay(5);
        }
    }
}
