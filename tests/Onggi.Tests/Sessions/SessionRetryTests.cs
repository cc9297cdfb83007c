using System.Globalization;
using Onggi.Client;
using Onggi.Sessions;
using Onggi.Testing;
using Onggi.Tests.Client;

namespace Onggi.Tests.Sessions;

/// <summary>A revocation of sessions that failed is tried again in time, for as long as it matters, and ends what it was asked to end.</summary>
public sealed class SessionRetryTests : IAsyncLifetime
{
    private const string Refused = "-ERR not now\r\n";
    private const string NothingLeft = "*3\r\n*0\r\n*0\r\n:0\r\n";
    private const int TryAgain = 6004;
    private const int EndedLate = 6008;

    // Of the script's arguments: EVALSHA, digest, 5, five keys, mode, partition, reason, two times, and
    private const int BegunBy = 13;

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Bound = AskedRedis.Bound;

    private readonly AskedRedis _redis = AskedRedis.Start();
    private SessionWorld? _world;

    private SessionWorld World => _world!;

    private OnggiSessions Sessions => World.Sessions;

    private SessionRevocations Revocations => Sessions.Family.Revocations;

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
    public async Task One_that_failed_is_told_tried_every_second_until_it_is_made_and_then_remembered()
    {
        var id = SessionId.New("0123456789012345678901");
        await RefusedAsync(Sessions.RevokeAsync(id, "banned").AsTask());

        for (var tries = 0; tries < 3; tries++)
        {
            await AdvanceAsync(Second);
            AssertSays(await AnswerAsync(Refused), "one", "banned", Sessions.HandleOf(id));
        }

        await AdvanceAsync(Second);
        await AnswerAsync(NothingLeft);
        await SaysAsync(EndedLate);
        Assert.Equal(3, Said(TryAgain));

        // A failover can lose it like any other: it is said again after as long as it has been there.
        await AdvanceAsync(Second);
        AssertSays(await AnswerAsync(NothingLeft), "one", "banned", Sessions.HandleOf(id));
        await SleepsAsync();
        Assert.Equal(1, Revocations.Count);
        Assert.Equal(1, Said(EndedLate));
        await Until.TrueAsync(
            async () =>
            {
                while (_redis.TryNext(out var one))
                    await one.From.SendAsync(NothingLeft);
                World.Time.Advance(TimeSpan.FromMinutes(1));
                return Revocations.Count == 0;
            },
            "it is forgotten"
        );
    }

    [Fact]
    public async Task It_is_tried_for_as_long_as_a_session_can_live()
    {
        await RefusedAsync(Sessions.RevokeAsync("ada", new string('A', 35)).AsTask());

        await AdvanceAsync(TimeSpan.FromHours(24) - Second);
        await AnswerAsync(Refused);
        await SaysAsync(TryAgain);
        Assert.Equal(1, Revocations.Count);
        await AdvanceAsync(Second);

        await Until.TrueAsync(() => Revocations.Count == 0, "it is forgotten");
        Assert.False(_redis.TryNext(out _));
    }

    [Fact]
    public async Task Of_all_or_all_others_those_are_meant_that_had_begun_when_it_was_asked_for()
    {
        // The server's clock is an hour behind ours, and nobody has asked it.
        var server = World.Time.GetUtcNow() - TimeSpan.FromHours(1);
        var kept = SessionId.New("0123456789012345678901");
        await RefusedAsync(Sessions.RevokeAllAsync("ada").AsTask());
        await AdvanceAsync(TimeSpan.FromMilliseconds(250));
        await RefusedAsync(Sessions.RevokeOthersAsync(kept).AsTask());

        await AdvanceAsync(TimeSpan.FromMilliseconds(750));
        Assert.Equal(["TIME"], await AnswerAsync(TimeReply(server + Second)));
        var all = await AnswerAsync(Refused);
        Assert.Equal(("all", Text(server)), (all[8], all[BegunBy]));
        await SaysAsync(TryAgain);
        await AdvanceAsync(TimeSpan.FromMilliseconds(250));
        Assert.Equal(["TIME"], await AnswerAsync(TimeReply(server + (Second * 1.25))));
        var others = await AnswerAsync(NothingLeft);
        Assert.Equal(("others", Text(server + (Second / 4))), (others[8], others[BegunBy]));
        await SaysAsync(EndedLate);

        // The server may have another clock now: the time that was found stays.
        await AdvanceAsync(Second);
        string[] again;
        do again = await AnswerAsync(NothingLeft);
        while (again[8] != "all");
        Assert.Equal(Text(server), again[BegunBy]);
    }

    [Fact]
    public async Task Who_does_not_wait_for_it_is_no_reason_to_let_it_be()
    {
        using var gone = new CancellationTokenSource();
        var id = SessionId.New("0123456789012345678901");
        var revoking = Sessions.RevokeAsync(id, cancellationToken: gone.Token).AsTask();
        var (_, lost) = await _redis.NextAsync();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => revoking.WaitAsync(Bound));
        await lost.SendAsync(Refused);

        await AdvanceAsync(Second);

        AssertSays(await AnswerAsync(NothingLeft), "one", "signed_out", Sessions.HandleOf(id));
    }

    private static SessionWorld WorldOf(AskedRedis server) => new(server.ConnectionString, Bound);

    private static void AssertSays(string[] command, string mode, string reason, string handle)
    {
        Assert.Equal((mode, reason, "0", handle), (command[8], command[10], command[BegunBy], command[^1]));
        // Shown by a visitor: it may have been replaced, so its own key is looked at.
        Assert.EndsWith(handle, command[3], StringComparison.Ordinal);
    }

    private async Task RefusedAsync(Task<SessionRevocation> revoking)
    {
        await AnswerAsync(Refused);
        await Assert.ThrowsAsync<RedisServerException>(() => revoking.WaitAsync(Bound));
    }

    private Task<string[]> AnswerAsync(string reply) => _redis.AnswerAsync(reply);

    private int Said(int id) => World.Log.All.Count(line => line.Id == id);

    private Task SaysAsync(int id) => Until.TrueAsync(() => Said(id) > 0, $"{id} is logged");

    // Nothing else in this world waits for a time.
    private Task SleepsAsync() => Until.TrueAsync(() => World.Time.WaitingTimers > 0, "the retries wait for their time");

    private async Task AdvanceAsync(TimeSpan by)
    {
        await SleepsAsync();
        World.Time.Advance(by);
    }

    private static string TimeReply(DateTimeOffset now) => $"*2\r\n$10\r\n{now.ToUnixTimeSeconds()}\r\n$6\r\n{now.Millisecond:000}000\r\n";

    private static string Text(DateTimeOffset time) => time.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);
}
