using System.Diagnostics.Metrics;
using Onggi.Client;
using Onggi.Events;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Onggi.Tests.Client;
using Onggi.Tokens;
using FakeConnection = Onggi.Testing.FakeConnection;

namespace Onggi.Tests.Tokens;

/// <summary>What goes over the wire: every operation is asked for in one flush, and answered before anything else is asked.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class TokenWireTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Each_operation_is_one_awaited_round_trip()
    {
        var script = new Script();
        await using var redis = FakeRedis.Start(script.RunAsync);
        using var end = script;
        await using var world = new TokenWorld(
            options =>
                options.Foreign.Add(
                    new ForeignIssuer
                    {
                        Issuer = "elsewhere",
                        Audiences = ["elsewhere"],
                        Jwks = new TokenKeyRing(TokenKey.Generate("f")).ToJwks(),
                    }
                ),
            connectionString: redis.ConnectionString
        );
        var now = world.Time.GetUtcNow().ToUnixTimeMilliseconds();
        var deadline = now + 60_000;

        var issuing = world.Tokens.IssueAsync(new TokenRequest { Subject = "ada", SessionId = "s" }).AsTask();
        Assert.Equal(["EVALSHA"], await script.AnswerAsync(1, $"*3\r\n$6\r\nissued\r\n$13\r\n{deadline}\r\n$13\r\n{now}\r\n"));
        var tokens = await issuing.WaitAsync(Bound);

        var verifying = world.Tokens.VerifyAsync(tokens.AccessToken).AsTask();
        Assert.Equal(["MGET"], await script.AnswerAsync(1, "*3\r\n_\r\n_\r\n_\r\n"));
        var verdict = await verifying.WaitAsync(Bound);
        Assert.True(verdict.IsValid && verdict.IsConfirmed);

        // The clock is due: it is asked for in the same flush.
        world.Time.Advance(TimeSpan.FromSeconds(61));
        verifying = world.Tokens.VerifyAsync(tokens.AccessToken).AsTask();
        var time = $"*2\r\n$10\r\n{(now / 1000) + 61}\r\n$1\r\n0\r\n";
        Assert.Equal(["TIME", "MGET"], await script.AnswerAsync(2, time, "*3\r\n_\r\n_\r\n_\r\n"));
        Assert.True((await verifying.WaitAsync(Bound)).IsValid);

        var refreshing = world.Tokens.RefreshAsync(tokens.RefreshToken).AsTask();
        Assert.Equal(["EVALSHA"], await script.AnswerAsync(1, $"*3\r\n$7\r\nrotated\r\n$13\r\n{deadline}\r\n$13\r\n{now + 61_000}\r\n"));
        Assert.Equal(RefreshOutcome.Rotated, (await refreshing.WaitAsync(Bound)).Outcome);

        var revoking = world
            .Tokens.RevokeFamilyAsync(verdict.Token!, new RevocationOptions { Unlink = ["session:1", "session:2"] })
            .AsTask();
        Assert.Equal(["EVALSHA", "UNLINK", "UNLINK"], await script.AnswerAsync(3, ":1\r\n", ":1\r\n", ":0\r\n"));
        var revoked = await revoking.WaitAsync(Bound);
        Assert.Equal((1, 1L, null), (revoked.Ended, revoked.Unlinked, revoked.UnlinkError));

        var denying = world.Tokens.RevokeAsync(verdict.Token!).AsTask();
        Assert.Equal(["EVALSHA"], await script.AnswerAsync(1, ":1\r\n"));
        await denying.WaitAsync(Bound);

        var leaving = world.Tokens.SignOutEverywhereAsync("ada").AsTask();
        Assert.Equal(["EVALSHA"], await script.AnswerAsync(1, $"*3\r\n$13\r\n{now}\r\n:2\r\n$13\r\n{now}\r\n"));
        Assert.Equal(2, (await leaving.WaitAsync(Bound)).Ended);
        Assert.Equal(
            ["TokenIssued", "TokenIssued", "TokenRevoked", "TokenRevoked", "TokenRevoked"],
            world.Events.Notified.Select(one => one.GetType().Name)
        );
        Assert.Equal(["family", "token", "user"], world.Events.Notified.OfType<TokenRevoked>().Select(one => one.Scope));
    }

    [Fact]
    public async Task A_foreign_token_is_two_reads_in_one_flush()
    {
        var script = new Script();
        await using var redis = FakeRedis.Start(script.RunAsync);
        using var end = script;
        await using var foreign = new TokenWorld(options => options.Issuer = "elsewhere");
        await using var world = new TokenWorld(
            options =>
                options.Foreign.Add(
                    new ForeignIssuer
                    {
                        Issuer = "elsewhere",
                        Audiences = ["elsewhere"],
                        Jwks = foreign.Tokens.Jwks(),
                    }
                ),
            connectionString: redis.ConnectionString
        );

        var verifying = world.Tokens.VerifyAsync(foreign.Sign()).AsTask();
        var time = $"*2\r\n$10\r\n{world.Time.GetUtcNow().ToUnixTimeSeconds()}\r\n$1\r\n0\r\n";
        Assert.Equal(["TIME", "GET", "GET"], await script.AnswerAsync(3, time, "_\r\n", "_\r\n"));
        var verdict = await verifying.WaitAsync(Bound);

        Assert.True(verdict.Token!.IsForeign);
    }

    [Fact]
    public async Task What_is_not_ours_never_reaches_Redis()
    {
        // Nobody listens there: whoever asks fails.
        await using var world = new TokenWorld();
        await using var thief = new TokenWorld(options => options.RefreshSecret = "the secret of somebody else, as long");
        var forged = RefreshToken.First(new TokenRequest { Subject = "ada" }, "shop", "family", thief.Tokens.Setup.Secret()).Text;
        foreach (var text in (string?[])[null, "", "x", forged, forged[..^1], new string('A', 9000)])
        {
            Assert.Equal(RefreshOutcome.Forged, (await world.Tokens.RefreshAsync(text)).Outcome);
            Assert.Null(await world.Tokens.RevokeRefreshTokenAsync(text));
            Assert.False((await world.Tokens.VerifyAsync(text)).IsValid);
        }

        // The control: one of ours is asked for.
        var own = RefreshToken.First(new TokenRequest { Subject = "ada" }, "shop", "family", world.Tokens.Setup.Secret()).Text;
        await Assert.ThrowsAnyAsync<RedisException>(() => world.Tokens.RefreshAsync(own).AsTask());
        await Assert.ThrowsAnyAsync<RedisException>(() => world.Tokens.VerifyAsync(world.Sign()).AsTask());
        Assert.DoesNotContain(world.Log.All, line => line.Text.Contains(own[..20], StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_Redis_a_token_is_taken_unconfirmed_only_where_the_options_say_so()
    {
        await using var world = new TokenWorld(options => options.AcceptUnconfirmed = true);

        var verdict = await world.Tokens.VerifyAsync(world.Sign());
        var expired = await world.Tokens.VerifyAsync(world.Sign(ago: TimeSpan.FromHours(1)));

        Assert.Equal((true, false), (verdict.IsValid, verdict.IsConfirmed));
        Assert.Equal(TokenRefusal.Expired, expired.Refusal);
        Assert.Single(world.Log.All, line => line.Id == 5006);
    }

    [Fact]
    public async Task A_question_that_is_late_while_another_is_answered_keeps_nobody_from_asking()
    {
        await using var redis = AskedRedis.Start();
        await using var world = new TokenWorld(
            static options => options.AcceptUnconfirmed = true,
            connectionString: redis.ConnectionString,
            patience: TimeSpan.FromSeconds(3)
        );
        await redis.ConnectAsync(world.Redis);
        var answered = world.Tokens.VerifyAsync(world.Sign()).AsTask();
        // Nobody has asked for the server's time yet.
        FakeConnection[] from = [await AskedAsync("TIME"), await AskedAsync("MGET")];
        var late = world.Tokens.VerifyAsync(world.Sign()).AsTask();
        await AskedAsync("MGET");

        // The answer comes after the late one has left.
        await from[0].SendAsync($"*2\r\n$10\r\n{world.Time.GetUtcNow().ToUnixTimeSeconds()}\r\n$1\r\n0\r\n");
        await from[1].SendAsync("*3\r\n_\r\n_\r\n_\r\n");

        Assert.True((await answered.WaitAsync(AskedRedis.Bound)).IsConfirmed);
        Assert.False((await late.WaitAsync(AskedRedis.Bound)).IsConfirmed);
        _ = world.Tokens.VerifyAsync(world.Sign()).AsTask();
        await AskedAsync("MGET");

        async Task<FakeConnection> AskedAsync(string name)
        {
            while (true)
            {
                var (command, connection) = await redis.NextAsync();
                if (command[0] == name)
                    return connection;
                Assert.Equal("TIME", command[0]);
            }
        }
    }

    [Fact]
    public async Task The_meter_tells_what_was_found()
    {
        await using var world = new TokenWorld(options => options.AcceptUnconfirmed = true);
        using var listener = new MeterListener();
        var seen = new Dictionary<string, long>();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name == "Onggi.Tokens" && instrument.Meter.Scope == world.Meters)
                listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>(
            (instrument, value, tags, _) =>
            {
                var name = instrument.Name + string.Concat(tags.ToArray().Select(tag => $" {tag.Value}"));
                lock (seen)
                    seen[name] = seen.GetValueOrDefault(name) + value;
            }
        );
        listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => seen[instrument.Name] = value);
        listener.Start();

        await world.Tokens.VerifyAsync(world.Sign());
        await world.Tokens.VerifyAsync(world.Sign(new TokenRequest { Subject = "ada", Audience = "b" }));
        await world.Tokens.RefreshAsync("x");
        var token = (await world.Tokens.InspectAsync(world.Sign())).Token!;
        await Assert.ThrowsAnyAsync<RedisException>(() => world.Tokens.RevokeAsync(token).AsTask());
        listener.RecordObservableInstruments();

        Assert.Equal(1, seen["onggi.tokens.verified unconfirmed"]);
        Assert.Equal(1, seen["onggi.tokens.verified wrong_audience"]);
        Assert.Equal(1, seen["onggi.tokens.refreshes forged"]);
        Assert.Equal(1, seen["onggi.tokens.remembered"]);
    }

    /// <summary>A server that answers nothing before everything that is asked at once has arrived.</summary>
    private sealed class Script : IDisposable
    {
        private readonly TaskCompletionSource<FakeConnection> _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task RunAsync(FakeConnection connection)
        {
            await connection.HelloAsync();
            if (!_connected.TrySetResult(connection))
                throw new InvalidOperationException("A second connection: " + string.Join(' ', await connection.ReadCommandAsync()));
            await _end.Task;
        }

        public void Dispose() => _end.TrySetResult();

        public async Task<string[]> AnswerAsync(int commands, params string[] replies)
        {
            var connection = await _connected.Task.WaitAsync(Bound);
            var names = new string[commands];
            for (var i = 0; i < commands; i++)
                names[i] = (await connection.ReadCommandAsync().WaitAsync(Bound))[0];
            await connection.SendAsync(string.Concat(replies));
            return names;
        }
    }
}
