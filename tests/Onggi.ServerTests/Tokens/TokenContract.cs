using System.Globalization;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;
using Onggi.Tokens;

namespace Onggi.ServerTests.Tokens;

/// <summary>What tokens promise, on one server and on a cluster.</summary>
public abstract class TokenContract : IAsyncLifetime
{
    private TokenNode? _auth;
    private TokenNode? _other;

    protected abstract string ConnectionString { get; }

    internal TokenNode Auth => _auth!;

    internal TokenNode Other => _other!;

    public async Task InitializeAsync()
    {
        await BeginAsync();
        _auth = await TokenNode.StartAsync(ConnectionString);
        _other = await TokenNode.StartAsync(ConnectionString);
    }

    public async Task DisposeAsync()
    {
        TokenMutants.NoMac = TokenMutants.FamilyNotDenied = TokenMutants.OwnSuccessor = false;
        TokenMutants.DeniedUntilExpiry = TokenMutants.LocalClock = TokenMutants.ForeignIdAlone = TokenMutants.SignOutAnew = false;
        await Auth.DisposeAsync();
        await Other.DisposeAsync();
    }

    [Fact]
    public async Task A_token_lives_until_it_is_revoked_and_nothing_else_dies_with_it()
    {
        var user = NewUser();
        var (one, two) = (await Auth.SignInAsync(user, session: "s1"), await Auth.SignInAsync(user));
        Assert.Equal(TokenRefusal.None, await Other.RefusalAsync(one.AccessToken));

        var revoked = await Auth
            .Tokens.RevokeAsync(await Auth.ReadAsync(one.AccessToken), new RevocationOptions { Reason = "lost" })
            .Within();

        Assert.Equal((1, 0), (revoked.Ended, revoked.Replicas));
        Assert.Equal(TokenRefusal.Revoked, await Other.RefusalAsync(one.AccessToken));
        Assert.Equal(TokenRefusal.None, await Other.RefusalAsync(two.AccessToken));
        Assert.Equal("lost", await Auth.Redis.GetStringAsync($"test:auth:token:blacklist:{one.TokenId}").Within());
        // Its family goes on.
        var next = (await Other.Tokens.RefreshAsync(one.RefreshToken).Within()).Tokens!;
        Assert.Equal(TokenRefusal.None, await Auth.RefusalAsync(next.AccessToken));
        Assert.Equal(("s1", one.FamilyId), (next.SessionId, next.FamilyId));
        Assert.Contains(new TokenRevoked(user, one.TokenId, one.FamilyId, "s1", "token", "lost"), Auth.Told);
        Assert.Equal(2, Auth.Told.OfType<TokenIssued>().Count());
    }

    [Fact]
    public async Task Every_key_ends_by_itself_and_stands_where_the_catalog_says()
    {
        var user = NewUser();
        var tokens = await Auth.SignInAsync(user);
        await Auth.Tokens.RefreshAsync(tokens.RefreshToken).Within();
        await Auth.Tokens.RevokeAsync(await Auth.ReadAsync(tokens.AccessToken)).Within();
        var keyspace = Keyspace.Load(TokenNode.CatalogJson, service: "auth");
        var names = Auth.Tokens.Setup.Names.Of(user);
        string[] all = [names.Families, names.Deadlines, names.Sealed(tokens.FamilyId!), names.Denied(tokens.TokenId)];
        foreach (var name in all)
        {
            var left = await Auth.Redis.TimeToLiveAsync(name).Within();
            Assert.True(left is not null && left <= keyspace.FamilyOf(name)!.Ttl + TimeSpan.FromMinutes(6), $"{name} lives for {left}");
        }

        await Auth.Tokens.SignOutEverywhereAsync(user).Within();
        var epoch = await Auth.Redis.TimeToLiveAsync(names.Epoch).Within();
        Assert.InRange(epoch!.Value, TimeSpan.FromMinutes(15), TimeSpan.FromMinutes(21));
        // Redis has nothing with which somebody could go on.
        var dump = await Auth.Redis.SendAsync(["HGETALL", names.Families], ReplyParsers.TextArray).Within();
        Assert.DoesNotContain(dump, field => field!.Contains(tokens.RefreshToken![..20], StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Of_fifty_refreshes_with_one_token_one_rotates_and_all_get_the_same(bool ownSuccessor)
    {
        TokenMutants.OwnSuccessor = ownSuccessor;
        var tokens = await Auth.SignInAsync(NewUser());
        await using var third = await TokenNode.StartAsync(ConnectionString);
        await using var fourth = await TokenNode.StartAsync(ConnectionString);
        TokenNode[] nodes = [Auth, Other, third, fourth];

        var results = await Task.WhenAll(
                Enumerable.Range(0, 50).Select(i => nodes[i % 4].Tokens.RefreshAsync(tokens.RefreshToken).AsTask())
            )
            .Within();

        Assert.Equal(1, results.Count(result => result.Outcome == RefreshOutcome.Rotated));
        if (ownSuccessor)
        {
            Assert.True(results.Select(result => result.Tokens?.AccessToken).Distinct().Count() > 1);
            return;
        }

        Assert.Equal(49, results.Count(result => result.Outcome == RefreshOutcome.Retried));
        Assert.Single(
            results.Select(result => (result.Tokens!.AccessToken, result.Tokens.RefreshToken, result.Tokens.RefreshExpiresAt)).Distinct()
        );
        Assert.Equal(TokenRefusal.None, await Auth.RefusalAsync(results[0].Tokens!.AccessToken));
        Assert.Equal(RefreshOutcome.Rotated, (await Auth.Tokens.RefreshAsync(results[7].Tokens!.RefreshToken).Within()).Outcome);
    }

    [Fact]
    public async Task An_older_token_ends_its_family_and_no_other()
    {
        var user = NewUser();
        var (stolen, phone) = (await Auth.SignInAsync(user), await Auth.SignInAsync(user));
        var second = (await Auth.Tokens.RefreshAsync(stolen.RefreshToken).Within()).Tokens!;
        var third = (await Other.Tokens.RefreshAsync(second.RefreshToken).Within()).Tokens!;

        var replayed = await Other.Tokens.RefreshAsync(stolen.RefreshToken).Within();

        Assert.Equal((RefreshOutcome.Reused, null), (replayed.Outcome, replayed.Tokens));
        Assert.Equal(RefreshOutcome.Revoked, (await Auth.Tokens.RefreshAsync(third.RefreshToken).Within()).Outcome);
        foreach (var access in (string[])[stolen.AccessToken, second.AccessToken, third.AccessToken])
            Assert.Equal(TokenRefusal.Revoked, await Auth.RefusalAsync(access));
        Assert.Equal(TokenRefusal.None, await Auth.RefusalAsync(phone.AccessToken));
        Assert.Equal(RefreshOutcome.Rotated, (await Auth.Tokens.RefreshAsync(phone.RefreshToken).Within()).Outcome);
        Assert.Contains(new TokenRevoked(user, null, stolen.FamilyId, null, "family", "reuse"), Other.Told);
        Assert.Contains(Other.Log.All, line => line.Id == 5001);
    }

    [Fact]
    public async Task A_token_that_was_just_used_is_answered_again_only_within_the_grace()
    {
        await using var quick = await TokenNode.StartAsync(ConnectionString, options => options.RefreshGrace = TimeSpan.FromSeconds(1));
        var tokens = await quick.SignInAsync(NewUser());
        var first = (await quick.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Tokens!;
        var sealedName = quick.Tokens.Setup.Names.Of(tokens.Subject).Sealed(tokens.FamilyId!);
        await Until.TrueAsync(async () => !await quick.Redis.ExistsAsync(sealedName), "the grace is over");

        Assert.Equal(RefreshOutcome.Reused, (await quick.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Outcome);
        Assert.Equal(TokenRefusal.Revoked, await quick.RefusalAsync(first.AccessToken));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_forged_token_never_ends_a_family(bool noMac)
    {
        TokenMutants.NoMac = noMac;
        var user = NewUser();
        var tokens = await Auth.SignInAsync(user);
        await Auth.Tokens.RefreshAsync(tokens.RefreshToken).Within();
        // All that can be known of it is right, but for the secret.
        var forged = RefreshToken.First(
            new TokenRequest { Subject = user },
            "shop",
            tokens.FamilyId!,
            System.Security.Cryptography.SHA256.HashData("guessed"u8)
        );

        var outcome = (await Other.Tokens.RefreshAsync(forged.Text).Within()).Outcome;

        Assert.Equal(noMac ? RefreshOutcome.Reused : RefreshOutcome.Forged, outcome);
        Assert.Equal(noMac ? TokenRefusal.Revoked : TokenRefusal.None, await Auth.RefusalAsync(tokens.AccessToken));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task When_a_revocation_has_returned_no_token_lives_however_close_a_refresh_came(bool familyNotDenied)
    {
        TokenMutants.FamilyNotDenied = familyNotDenied;
        // ONGGI_TOKEN_RACES=100000 for the long form.
        var races =
            familyNotDenied ? 240
            : int.TryParse(Environment.GetEnvironmentVariable("ONGGI_TOKEN_RACES"), CultureInfo.InvariantCulture, out var asked) ? asked
            : 1000;
        var random = Seed.For(nameof(When_a_revocation_has_returned_no_token_lives_however_close_a_refresh_came));
        var plans = Enumerable.Range(0, races).Select(_ => (Everywhere: random.Next(2) == 0, Turns: random.Next(4))).ToArray();
        var at = -1;
        var live = 0;
        var refreshed = 0;

        async Task RaceAsync()
        {
            for (int i; (i = Interlocked.Increment(ref at)) < plans.Length; )
            {
                var (found, turns) = await OneRaceAsync(plans[i].Everywhere && !familyNotDenied, plans[i].Turns);
                Interlocked.Add(ref live, found);
                Interlocked.Add(ref refreshed, turns);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => RaceAsync()));

        Assert.True(refreshed > races / 10, $"{Seed.Line}: only {refreshed} refreshes came through, so nothing raced.");
        Assert.True(familyNotDenied == live > 0, $"{Seed.Line}: {live} tokens lived after {races} revocations.");
    }

    [Fact]
    public async Task Signed_out_everywhere_all_is_over_and_what_begins_after_it_lives()
    {
        var user = NewUser();
        var before = new List<IssuedTokens>
        {
            await Auth.SignInAsync(user),
            await Other.SignInAsync(user),
            await Auth.SignInAsync(user, withRefresh: false),
        };
        before.Add((await Other.Tokens.RefreshAsync(before[0].RefreshToken).Within()).Tokens!);
        var stranger = await Auth.SignInAsync(NewUser());

        var done = await Auth.Tokens.SignOutEverywhereAsync(user).Within();
        var after = await Other.SignInAsync(user);

        Assert.Equal(2, done.Ended);
        foreach (var tokens in before)
        {
            Assert.Equal(TokenRefusal.SignedOut, await Other.RefusalAsync(tokens.AccessToken));
            if (tokens.RefreshToken is not null)
                Assert.Equal(RefreshOutcome.Unknown, (await Other.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Outcome);
        }

        Assert.Equal(TokenRefusal.None, await Auth.RefusalAsync(after.AccessToken));
        Assert.Equal(RefreshOutcome.Rotated, (await Auth.Tokens.RefreshAsync(after.RefreshToken).Within()).Outcome);
        Assert.Equal(TokenRefusal.None, await Auth.RefusalAsync(stranger.AccessToken));
        Assert.Contains(new TokenRevoked(user, null, null, null, "user", "signed_out"), Auth.Told);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public async Task A_machine_whose_clock_is_an_hour_off_issues_checks_and_revokes_like_any_other(int hours)
    {
        await using var wrong = await TokenNode.StartAsync(ConnectionString, time: new WrongClock(TimeSpan.FromHours(hours)));
        var user = NewUser();
        var (here, there) = (await Auth.SignInAsync(user), await wrong.SignInAsync(user));

        Assert.Equal(TokenRefusal.None, await wrong.RefusalAsync(here.AccessToken));
        Assert.Equal(TokenRefusal.None, await Auth.RefusalAsync(there.AccessToken));
        Assert.Equal(RefreshOutcome.Rotated, (await wrong.Tokens.RefreshAsync(here.RefreshToken).Within()).Outcome);
        await Auth.Tokens.SignOutEverywhereAsync(user).Within();
        Assert.Equal(TokenRefusal.SignedOut, await Auth.RefusalAsync(there.AccessToken));
        var again = await wrong.SignInAsync(user);
        Assert.Equal(TokenRefusal.None, await Auth.RefusalAsync(again.AccessToken));
    }

    [Fact]
    public async Task With_the_clock_of_the_machine_the_hour_would_show()
    {
        var tokens = await Auth.SignInAsync(NewUser());
        TokenMutants.LocalClock = true;
        await using var wrong = await TokenNode.StartAsync(ConnectionString, time: new WrongClock(TimeSpan.FromHours(1)));

        Assert.Equal(TokenRefusal.Expired, await wrong.RefusalAsync(tokens.AccessToken));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_revoked_token_stays_revoked_for_as_long_as_anybody_may_take_it(bool untilExpiry)
    {
        TokenMutants.DeniedUntilExpiry = untilExpiry;
        var tokens = await Auth.SignInAsync(NewUser(), withRefresh: false, lifetime: TimeSpan.FromSeconds(2));
        await Auth.Tokens.RevokeAsync(await Auth.ReadAsync(tokens.AccessToken)).Within();
        Assert.Equal(TokenRefusal.Revoked, await Other.RefusalAsync(tokens.AccessToken));

        // Past its expiry, and within the 30 s that are allowed.
        await Until.TrueAsync(
            async () =>
                (await Auth.Redis.SendAsync(["TIME"], ReplyParsers.TextArray))[0] is { } seconds
                && long.Parse(seconds, CultureInfo.InvariantCulture) > tokens.AccessExpiresAt.ToUnixTimeSeconds(),
            "its time is over"
        );

        Assert.Equal(untilExpiry ? TokenRefusal.None : TokenRefusal.Revoked, await Other.RefusalAsync(tokens.AccessToken));
    }

    [Fact]
    public async Task A_family_that_is_not_used_ends_and_so_does_one_whose_user_has_too_many()
    {
        await using var brief = await TokenNode.StartAsync(
            ConnectionString,
            options =>
            {
                options.RefreshIdle = TimeSpan.FromSeconds(1);
                options.MaxFamilies = 3;
            }
        );
        var user = NewUser();
        var idle = await brief.SignInAsync(user);
        await Until.TrueAsync(
            async () =>
                (await brief.Redis.SendAsync(["TIME"], ReplyParsers.TextArray))[0] is { } seconds
                && long.Parse(seconds, CultureInfo.InvariantCulture) > idle.RefreshExpiresAt!.Value.ToUnixTimeSeconds() + 1,
            "its time is over"
        );
        Assert.Null((await brief.Tokens.RefreshAsync(idle.RefreshToken).Within()).Tokens);

        await using var few = await TokenNode.StartAsync(ConnectionString, options => options.MaxFamilies = 3);
        var all = new List<IssuedTokens>();
        for (var i = 0; i < 4; i++)
            all.Add(await few.SignInAsync(user));
        var outcomes = new List<RefreshOutcome>();
        foreach (var tokens in all)
            outcomes.Add((await few.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Outcome);
        Assert.Equal(1, outcomes.Count(outcome => outcome == RefreshOutcome.Unknown));
        Assert.Equal(RefreshOutcome.Rotated, outcomes[3]);
    }

    [Fact]
    public async Task What_a_failover_made_Redis_forget_does_not_sign_the_user_out_and_still_catches_a_thief()
    {
        var tokens = await Auth.SignInAsync(NewUser());
        var names = Auth.Tokens.Setup.Names.Of(tokens.Subject);
        var state = await Auth.Redis.SendAsync(["HGET", names.Families, tokens.FamilyId!], ReplyParsers.Text).Within();
        var second = (await Auth.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Tokens!;
        var third = (await Auth.Tokens.RefreshAsync(second.RefreshToken).Within()).Tokens!;
        // The replica that took over knew nothing of the two.
        await Auth.Redis.SendAsync(["HSET", names.Families, tokens.FamilyId!, state!], ReplyParsers.Int64).Within();

        var fourth = await Other.Tokens.RefreshAsync(third.RefreshToken).Within();

        Assert.Equal(RefreshOutcome.Rotated, fourth.Outcome);
        Assert.Equal(RefreshOutcome.Reused, (await Other.Tokens.RefreshAsync(second.RefreshToken).Within()).Outcome);
        Assert.Equal(RefreshOutcome.Revoked, (await Auth.Tokens.RefreshAsync(fourth.Tokens!.RefreshToken).Within()).Outcome);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_foreign_token_can_be_revoked_and_meets_nobody_else_s_ids(bool idAlone)
    {
        TokenMutants.ForeignIdAlone = idAlone;
        var keys = new TokenKeyRing(TokenKey.Generate("theirs"));
        var victim = await Auth.SignInAsync(NewUser());
        await using var abroad = await TokenNode.StartAsync(ConnectionString, options => options.Issuer = "elsewhere", keys);
        await using var node = await TokenNode.StartAsync(
            ConnectionString,
            options =>
                options.Foreign.Add(
                    new ForeignIssuer
                    {
                        Issuer = "elsewhere",
                        Audiences = ["elsewhere"],
                        Jwks = keys.ToJwks(),
                    }
                )
        );
        // They may choose their ids: one of ours, for example.
        var setup = abroad.Tokens.Setup;
        var first = RefreshToken.First(new TokenRequest { Subject = victim.Subject }, "elsewhere", "f", setup.Secret());
        var text = setup
            .Access.Sign(first, victim.TokenId, withFamily: false, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), TimeSpan.FromMinutes(5))
            .Text;
        Assert.Equal(TokenRefusal.None, await node.RefusalAsync(text));

        await node.Tokens.RevokeAsync(await node.ReadAsync(text)).Within();

        Assert.Equal(TokenRefusal.Revoked, await node.RefusalAsync(text));
        Assert.Equal(idAlone ? TokenRefusal.Revoked : TokenRefusal.None, await Auth.RefusalAsync(victim.AccessToken));
    }

    [Fact]
    public async Task A_foreign_issuer_with_the_same_users_shares_their_sign_out()
    {
        var keys = new TokenKeyRing(TokenKey.Generate("theirs"));
        await using var abroad = await TokenNode.StartAsync(ConnectionString, options => options.Issuer = "elsewhere", keys);
        var user = NewUser();
        var token = (await abroad.SignInAsync(user, withRefresh: false)).AccessToken;
        Task<TokenNode> ReaderAsync(bool shares) =>
            TokenNode.StartAsync(
                ConnectionString,
                options =>
                    options.Foreign.Add(
                        new ForeignIssuer
                        {
                            Issuer = "elsewhere",
                            Audiences = ["elsewhere"],
                            Jwks = keys.ToJwks(),
                            SharesSubjects = shares,
                        }
                    )
            );
        await using var same = await ReaderAsync(shares: true);
        await using var others = await ReaderAsync(shares: false);

        await Auth.Tokens.SignOutEverywhereAsync(user).Within();

        Assert.Equal(TokenRefusal.SignedOut, await same.RefusalAsync(token));
        Assert.Equal(TokenRefusal.None, await others.RefusalAsync(token));
    }

    [Fact]
    public async Task Asked_again_after_a_lost_reply_a_sign_in_takes_no_other_device_s_place()
    {
        var names = Auth.Tokens.Setup.Names.Of(NewUser());
        var store = new TokenStore(Auth.Redis, TimeProvider.System);
        async Task IssueAsync(string family)
        {
            var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
            RedisArg[] args = [family, "hash", 60_000, 120_000, now, 60_000, 30_000, 2];
            var answer = await store
                .RunAsync(TokenStore.IssueScript, [names.Families, names.Deadlines, names.Epoch], args, default)
                .AsTask()
                .Within();
            Assert.Equal("issued", answer.Word);
        }

        foreach (var family in (string[])["one", "two", "three"])
            await IssueAsync(family);
        await IssueAsync("three");

        Assert.True(await Auth.Redis.SendAsync(["HEXISTS", names.Families, "two"], ReplyParsers.Int64) == 1);
        Assert.Equal(2, await Auth.Redis.SendAsync(["ZCARD", names.Deadlines], ReplyParsers.Int64));
    }

    [Fact]
    public async Task What_goes_with_a_revocation_is_gone_when_it_returns()
    {
        var tokens = await Auth.SignInAsync(NewUser(), session: "s1");
        string[] keys = [.. Enumerable.Range(0, 5).Select(i => $"test:auth:session:{tokens.TokenId}-{i}")];
        foreach (var key in keys)
            await Auth.Redis.SetAsync(key, "data", TimeSpan.FromMinutes(1)).Within();

        var done = await Auth.Tokens.RevokeRefreshTokenAsync(tokens.RefreshToken, new RevocationOptions { Unlink = keys }).Within();

        Assert.Equal((1, 5L, null), (done!.Ended, done.Unlinked, done.UnlinkError));
        foreach (var key in keys)
            Assert.False(await Auth.Redis.ExistsAsync(key).Within());
        Assert.Equal(TokenRefusal.Revoked, await Other.RefusalAsync(tokens.AccessToken));
        Assert.Equal(0, (await Auth.Tokens.RevokeRefreshTokenAsync(tokens.RefreshToken).Within())!.Ended);
    }

    [Fact]
    public async Task New_roles_at_a_refresh_are_in_the_new_tokens_from_then_on()
    {
        var tokens = await Auth.SignInAsync(NewUser());

        var changed = (await Auth.Tokens.RefreshAsync(tokens.RefreshToken, new TokenChanges { Roles = ["boss"] }).Within()).Tokens!;
        var next = (await Other.Tokens.RefreshAsync(changed.RefreshToken).Within()).Tokens!;

        foreach (var text in (string[])[changed.AccessToken, next.AccessToken])
            Assert.Equal(["boss"], (await Auth.ReadAsync(text)).Identity.FindAll("role").Select(claim => claim.Value));
    }

    /// <summary>A test begins.</summary>
    protected virtual Task BeginAsync() => Task.CompletedTask;

    protected static string NewUser() => $"user-{Guid.CreateVersion7()}";

    // A thief's tab and a device refresh on while somebody revokes; what lives afterwards is counted.
    private async Task<(int Live, int Refreshed)> OneRaceAsync(bool everywhere, int turns)
    {
        var tokens = await Auth.SignInAsync(NewUser());
        var access = new List<string> { tokens.AccessToken };
        var refresh = new List<string> { tokens.RefreshToken! };
        async Task GoOnAsync(TokenNode node)
        {
            var mine = tokens.RefreshToken;
            for (var i = 0; i < 4; i++)
            {
                if ((await node.Tokens.RefreshAsync(mine)).Tokens is not { } next)
                    return;
                mine = next.RefreshToken;
                lock (access)
                {
                    access.Add(next.AccessToken);
                    refresh.Add(next.RefreshToken!);
                }
            }
        }

        async Task RevokeAsync()
        {
            for (var i = 0; i < turns; i++)
                await Auth.Redis.PingAsync();
            if (everywhere)
                await Auth.Tokens.SignOutEverywhereAsync(tokens.Subject);
            else
                await Auth.Tokens.RevokeRefreshTokenAsync(tokens.RefreshToken);
        }

        await Task.WhenAll(GoOnAsync(Other), GoOnAsync(Auth), RevokeAsync()).Within();
        var live = 0;
        foreach (var text in access.Distinct())
            live += (await Other.Tokens.VerifyAsync(text)).IsValid ? 1 : 0;
        foreach (var text in refresh.Distinct())
            live += (await Other.Tokens.RefreshAsync(text)).Tokens is not null ? 1 : 0;
        return (live, access.Count - 1);
    }
}
