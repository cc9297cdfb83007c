using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;
using Onggi.Tokens;

namespace Onggi.ServerTests.Tokens;

/// <summary>The bad day: what was revoked stays revoked, though the server that acknowledged it is gone.</summary>
[Collection(TokenTests.Name)]
public sealed class TokenFailoverTests : IDisposable
{
    public void Dispose() => TokenMutants.NoReassertion = TokenMutants.SignOutAnew = false;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_a_failover_lost_is_asserted_again_by_who_revoked_it(bool noReassertion)
    {
        TokenMutants.NoReassertion = noReassertion;
        await using var all = await SentinelProcesses.StartAsync(replicas: 1, sentinels: 1);
        var (old, replica) = (all.Servers[0], all.Servers[1]);
        await using var auth = TokenNode.Over(await SentinelFailoverTests.ConnectAsync(all));
        await using var orders = TokenNode.Over(await SentinelFailoverTests.ConnectAsync(all));
        var (one, device, stolen) = (await auth.SignInAsync("ada"), await auth.SignInAsync("ada"), await auth.SignInAsync("ada"));
        var everywhere = await orders.SignInAsync("bob");
        await orders.Tokens.RefreshAsync(stolen.RefreshToken).Within();
        await Until.TrueAsync(
            async () =>
                (await replica.CommandAsync("HLEN", "test:auth:token:refresh:bob")) == "2"
                && await replica.CommandAsync("EXISTS", auth.Tokens.Setup.Names.Of("ada").Sealed(stolen.FamilyId!)) == "1",
            "the replica has all that was issued"
        );

        // From here on the replica lags for ever, and the Sentinel does not interfere.
        await all.Sentinels[0].CommandAsync("SENTINEL", "REMOVE", SentinelProcesses.Service);
        await replica.CommandAsync("REPLICAOF", "NO", "ONE");
        await auth.Tokens.RevokeAsync(await auth.ReadAsync(one.AccessToken)).Within();
        await auth.Tokens.RevokeRefreshTokenAsync(device.RefreshToken).Within();
        await auth.Tokens.SignOutEverywhereAsync("bob").Within();
        Assert.Equal(3, auth.Tokens.Recent.Count);
        var (lostAuth, lostOrders) = (auth.Redis.Change(connected: true), orders.Redis.Change(connected: true));
        await all.Sentinels[0].CommandAsync("SENTINEL", "MONITOR", SentinelProcesses.Service, "127.0.0.1", $"{replica.Port}", "1");
        await old.KillAsync();
        await Task.WhenAll(lostAuth, lostOrders);

        (string, TokenRefusal)[] expected =
        [
            (one.AccessToken, TokenRefusal.Revoked),
            (device.AccessToken, TokenRefusal.Revoked),
            (everywhere.AccessToken, TokenRefusal.SignedOut),
        ];
        if (noReassertion)
        {
            // This is what a failover does without it.
            foreach (var (text, _) in expected)
                Assert.Equal(TokenRefusal.None, await orders.RefusalAsync(text));
            return;
        }

        foreach (var (text, refusal) in expected)
            await Until.TrueAsync(async () => await orders.RefusalAsync(text) == refusal, $"it is {refusal} again");
        Assert.Null((await orders.Tokens.RefreshAsync(device.RefreshToken).Within()).Tokens);
        Assert.Null((await orders.Tokens.RefreshAsync(everywhere.RefreshToken).Within()).Tokens);
        // What was not revoked goes on.
        Assert.Equal(TokenRefusal.None, await orders.RefusalAsync(stolen.AccessToken));
        Assert.Contains(auth.Log.All, line => line.Id == 5003);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Asserted_again_a_sign_out_ends_what_was_before_it_and_not_what_came_since(bool anew)
    {
        TokenMutants.SignOutAnew = anew;
        await using var server = await RedisServerProcess.StartAsync();
        await using var auth = await TokenNode.StartAsync(server.ConnectionString);
        await using var other = await TokenNode.StartAsync(server.ConnectionString);
        var before = await auth.SignInAsync("ada");
        await auth.Tokens.SignOutEverywhereAsync("ada").Within();
        var after = await auth.SignInAsync("ada");
        Assert.Equal(TokenRefusal.None, await other.RefusalAsync(after.AccessToken));

        // The link is lost and comes back: it could be another server.
        var back = auth.Redis.Change(connected: true);
        await server.CommandAsync("CLIENT", "KILL", "TYPE", "normal");
        await back;
        await Until.TrueAsync(() => Task.FromResult(auth.Log.All.Any(line => line.Id == 5003)), "it was asserted again");

        Assert.Equal(TokenRefusal.SignedOut, await other.RefusalAsync(before.AccessToken));
        Assert.Equal(anew ? TokenRefusal.SignedOut : TokenRefusal.None, await other.RefusalAsync(after.AccessToken));
        Assert.Equal(
            anew ? RefreshOutcome.Unknown : RefreshOutcome.Rotated,
            (await other.Tokens.RefreshAsync(after.RefreshToken).Within()).Outcome
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_loss_that_nobody_noticed_is_made_up_for_after_as_long_as_it_had_been_there(bool noReassertion)
    {
        TokenMutants.NoReassertion = noReassertion;
        await using var server = await RedisServerProcess.StartAsync();
        await using var auth = await TokenNode.StartAsync(server.ConnectionString);
        var tokens = await auth.SignInAsync("ada");
        await auth.Tokens.RevokeAsync(await auth.ReadAsync(tokens.AccessToken)).Within();

        await auth.Redis.UnlinkAsync([$"test:auth:token:blacklist:{tokens.TokenId}"]).Within();
        Assert.Equal(TokenRefusal.None, await auth.RefusalAsync(tokens.AccessToken));
        var back = Until.TrueAsync(async () => await auth.RefusalAsync(tokens.AccessToken) == TokenRefusal.Revoked, "it is revoked again");

        if (noReassertion)
            await Assert.ThrowsAsync<TimeoutException>(() => back.WaitAsync(TimeSpan.FromSeconds(3)));
        else
            await back;
    }

    [Fact]
    public async Task A_revocation_that_failed_is_told_and_made_as_soon_as_Redis_is_back()
    {
        await using var server = await RedisServerProcess.StartAsync("--appendonly", "yes");
        await using var auth = await TokenNode.StartAsync(
            server.ConnectionString,
            client: options => options.CommandTimeout = TimeSpan.FromSeconds(1)
        );
        var (one, two) = (await auth.SignInAsync("ada"), await auth.SignInAsync("bob"));
        var token = await auth.ReadAsync(one.AccessToken);
        await server.StopAsync();

        await auth.Tokens.RevokeFamilyAsync(token).FailsWith<Revocation, RedisException>();
        await auth.Tokens.SignOutEverywhereAsync("bob").FailsWith<Revocation, RedisException>();
        await auth.Tokens.VerifyAsync(one.AccessToken).FailsWith<TokenVerdict, RedisException>();
        var back = auth.Redis.Change(connected: true);
        await server.RestartAsync();
        await back;

        await Until.TrueAsync(async () => await auth.RefusalAsync(one.AccessToken) == TokenRefusal.Revoked, "the family is revoked");
        await Until.TrueAsync(async () => await auth.RefusalAsync(two.AccessToken) == TokenRefusal.SignedOut, "the user is signed out");
        Assert.Null((await auth.Tokens.RefreshAsync(one.RefreshToken).Within()).Tokens);
        Assert.Null((await auth.Tokens.RefreshAsync(two.RefreshToken).Within()).Tokens);
        Assert.Equal(TokenRefusal.None, await auth.RefusalAsync((await auth.SignInAsync("bob")).AccessToken));
    }

    [Fact]
    public async Task A_Redis_that_came_back_empty_hears_of_revocations_and_knows_no_refresh_token()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var auth = await TokenNode.StartAsync(server.ConnectionString);
        var (one, two) = (await auth.SignInAsync("ada"), await auth.SignInAsync("ada"));
        await auth.Tokens.RevokeAsync(await auth.ReadAsync(one.AccessToken)).Within();
        var back = auth.Redis.Change(connected: true);
        await server.RestartAsync(kill: true);
        await back;

        await Until.TrueAsync(async () => await auth.RefusalAsync(one.AccessToken) == TokenRefusal.Revoked, "it is revoked again");
        Assert.Equal(TokenRefusal.None, await auth.RefusalAsync(two.AccessToken));
        Assert.Equal(RefreshOutcome.Unknown, (await auth.Tokens.RefreshAsync(two.RefreshToken).Within()).Outcome);
    }

    [Fact]
    public async Task In_the_middle_of_a_failover_nothing_that_was_revoked_lives_afterwards()
    {
        await using var all = await SentinelProcesses.StartAsync();
        await using var auth = TokenNode.Over(await SentinelFailoverTests.ConnectAsync(all));
        var issued = new List<IssuedTokens>();
        for (var i = 0; i < 60; i++)
            issued.Add(await auth.SignInAsync($"user-{i}"));
        var switched = all.NextAsync("+switch-master");
        var half = new TaskCompletionSource();
        var revoked = new List<IssuedTokens>();

        async Task RevokeAsync()
        {
            foreach (var tokens in issued)
            {
                var options = new RevocationOptions { Replicas = revoked.Count % 2 };
                try
                {
                    await auth.Tokens.RevokeRefreshTokenAsync(tokens.RefreshToken, options).Within();
                }
                catch (RedisException)
                {
                    // Told; and it is tried on.
                }

                revoked.Add(tokens);
                if (revoked.Count == 20)
                    half.SetResult();
            }
        }

        var revoking = RevokeAsync();
        await await Task.WhenAny(half.Task, revoking).Within();
        await (await all.MasterAsync()).KillAsync();
        await switched;
        await revoking.WaitAsync(TimeSpan.FromMinutes(1));

        Assert.Equal(60, revoked.Count);
        foreach (var tokens in revoked)
            await Until.TrueAsync(async () => await auth.RefusalAsync(tokens.AccessToken) == TokenRefusal.Revoked, "it is revoked");
        foreach (var tokens in revoked)
            Assert.Null((await auth.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Tokens);
    }
}
