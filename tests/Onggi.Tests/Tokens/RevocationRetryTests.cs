using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Onggi.Tests.Client;
using Onggi.Tokens;

namespace Onggi.Tests.Tokens;

/// <summary>A revocation that failed is tried again in time, for as long as it matters, and ends what it was asked to end.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class RevocationRetryTests : IAsyncLifetime
{
    private const string Refused = "-ERR not now\r\n";

    private static readonly TimeSpan Bound = AskedRedis.Bound;

    private readonly AskedRedis _redis = AskedRedis.Start();
    private TokenWorld? _world;

    private TokenWorld World => _world!;

    public Task InitializeAsync()
    {
        _world = WorldOf(_redis);
        // A new connection has everything asserted again: it is there before a test begins.
        return _redis.ConnectAsync(World.Redis);
    }

    public async Task DisposeAsync()
    {
        await World.DisposeAsync();
        await _redis.DisposeAsync();
    }

    [Fact]
    public async Task A_fresh_one_does_not_wait_for_an_old_one()
    {
        var old = World.Tokens.RevokeFamilyAsync(await TokenAsync()).AsTask();
        await AnswerAsync(":1\r\n");
        await old.WaitAsync(Bound);
        // Asserted at the age of 100 s it is due again after as long.
        await AdvanceAsync(TimeSpan.FromSeconds(100));
        await AnswerAsync(":0\r\n");
        await SleepsAsync();

        var fresh = await TokenAsync();
        await RefusedAsync(World.Tokens.RevokeFamilyAsync(fresh).AsTask());
        await AdvanceAsync(TimeSpan.FromSeconds(2));

        Assert.Contains(World.Tokens.Setup.Names.Denied(fresh.FamilyId!), await AnswerAsync(":1\r\n"));
    }

    [Fact]
    public async Task One_that_failed_is_tried_for_longer_than_an_access_token_lives_and_then_kept_as_long()
    {
        var kept = World.Tokens.Setup.Kept;
        await RefusedAsync(World.Tokens.RevokeFamilyAsync(await TokenAsync()).AsTask());
        await RefusedAsync(World.Tokens.SignOutEverywhereAsync("ada").AsTask());

        await AdvanceAsync(kept * 3);
        var now = World.Time.GetUtcNow();
        // A sign-out asks for the server's time first.
        Assert.Equal(["TIME"], await AnswerAsync(TimeReply(now)));
        string[][] made = [await AnswerPastTimeAsync(now, ":1\r\n"), await AnswerPastTimeAsync(now, SignedOutReply(now, now))];

        var left = Text((long)kept.TotalMilliseconds);
        Assert.Equal((left, left), (made[0][^1], made[1][^1]));
        await SleepsAsync();
        Assert.Equal(2, World.Tokens.Recent.Count);

        // Once made it is kept for as long as an access token lives that was issued just before.
        await AdvanceAsync(TimeSpan.FromSeconds(1));
        made = [await AnswerAsync(":0\r\n"), await AnswerAsync(SignedOutReply(now, now))];
        left = Text((long)kept.TotalMilliseconds - 1000);
        Assert.All(made, command => Assert.Equal(left, command[^1]));
        await AdvanceAsync(kept);
        await Until.TrueAsync(
            async () =>
            {
                while (_redis.TryNext(out var one))
                    await one.From.SendAsync(one.Command.Contains("4") ? ":0\r\n" : SignedOutReply(now, now));
                return World.Tokens.Recent.Count == 0;
            },
            "both are forgotten"
        );
    }

    [Fact]
    public async Task A_sign_out_that_failed_ends_what_was_before_it_by_the_clock_of_the_server()
    {
        // The server's clock is an hour behind ours, and nobody has asked it.
        var server = World.Time.GetUtcNow() - TimeSpan.FromHours(1);
        await RefusedAsync(World.Tokens.SignOutEverywhereAsync("ada").AsTask());

        await AdvanceAsync(TimeSpan.FromSeconds(7));
        Assert.Equal(["TIME"], await AnswerAsync(TimeReply(server + TimeSpan.FromSeconds(7))));
        var again = await AnswerPastTimeAsync(server + TimeSpan.FromSeconds(7), SignedOutReply(server, server + TimeSpan.FromSeconds(7)));

        Assert.Equal(Text(server.ToUnixTimeMilliseconds()), again[^2]);
    }

    [Fact]
    public async Task The_time_of_an_answer_that_was_long_on_its_way_is_not_believed()
    {
        var server = World.Time.GetUtcNow() - TimeSpan.FromHours(1);
        await RefusedAsync(World.Tokens.SignOutEverywhereAsync("ada").AsTask());

        await AdvanceAsync(TimeSpan.FromSeconds(7));
        // The question was held up for five seconds before the server read it.
        var (late, from) = await _redis.NextAsync();
        Assert.Equal(["TIME"], late);
        World.Time.Advance(TimeSpan.FromSeconds(5));
        await from.SendAsync(TimeReply(server + TimeSpan.FromSeconds(12)));
        Assert.Equal(["TIME"], await AnswerAsync(TimeReply(server + TimeSpan.FromSeconds(12))));
        var again = await AnswerPastTimeAsync(server + TimeSpan.FromSeconds(12), SignedOutReply(server, server + TimeSpan.FromSeconds(12)));

        Assert.Equal(Text(server.ToUnixTimeMilliseconds()), again[^2]);
    }

    [Fact]
    public async Task The_answer_to_a_sign_out_tells_the_time_of_the_server()
    {
        var server = World.Time.GetUtcNow() - TimeSpan.FromHours(1);
        var done = World.Tokens.SignOutEverywhereAsync("ada").AsTask();
        await AnswerAsync(SignedOutReply(server, server));
        await done.WaitAsync(Bound);

        await RefusedAsync(World.Tokens.SignOutEverywhereAsync("bob").AsTask());
        await AdvanceAsync(TimeSpan.FromSeconds(2));
        var names = World.Tokens.Setup.Names.Of("bob");
        string[] again;
        do again = await AnswerAsync(SignedOutReply(server, server));
        while (!again.Contains(names.Epoch));

        Assert.Equal(Text(server.ToUnixTimeMilliseconds()), again[^2]);
    }

    private static TokenWorld WorldOf(AskedRedis redis) => new(connectionString: redis.ConnectionString);

    private async Task<VerifiedToken> TokenAsync() => (await World.Tokens.InspectAsync(World.Sign())).Token!;

    private async Task RefusedAsync(Task<Revocation> revoking)
    {
        await AnswerAsync(Refused);
        await Assert.ThrowsAsync<RedisServerException>(() => revoking.WaitAsync(Bound));
    }

    private Task<string[]> AnswerAsync(string reply) => _redis.AnswerAsync(reply);

    // What is asked while the clock is being put forward has been long on its way when it is answered, and the server's time is asked for once more.
    private async Task<string[]> AnswerPastTimeAsync(DateTimeOffset now, string reply)
    {
        while (true)
        {
            var (command, from) = await _redis.NextAsync();
            if (command is not ["TIME"])
            {
                await from.SendAsync(reply);
                return command;
            }

            await from.SendAsync(TimeReply(now));
        }
    }

    // Nothing else in this world waits for a time.
    private Task SleepsAsync() => Until.TrueAsync(() => Task.FromResult(World.Time.WaitingTimers > 0), "the retries wait for their time");

    private async Task AdvanceAsync(TimeSpan by)
    {
        await SleepsAsync();
        World.Time.Advance(by);
    }

    private static string TimeReply(DateTimeOffset now) => $"*2\r\n$10\r\n{now.ToUnixTimeSeconds()}\r\n$1\r\n0\r\n";

    private static string SignedOutReply(DateTimeOffset epoch, DateTimeOffset now) =>
        $"*3\r\n$13\r\n{epoch.ToUnixTimeMilliseconds()}\r\n:1\r\n$13\r\n{now.ToUnixTimeMilliseconds()}\r\n";

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
