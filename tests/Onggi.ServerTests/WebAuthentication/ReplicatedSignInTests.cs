using Onggi.AspNetCore;
using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.ServerTests.Tokens;
using Onggi.Testing;
using Onggi.Tokens;
using Xunit.Sdk;

namespace Onggi.ServerTests.WebAuthentication;

/// <summary>Where replicas are waited for, both halves of a sign-in are: session and tokens lie on different servers of a cluster.</summary>
[Collection(TokenTests.Name)]
public sealed class ReplicatedSignInTests(RedisClusterFixture fixture) : IClassFixture<RedisClusterFixture>, IDisposable
{
    private const int TooFewReplicas = 5007;

    private RedisClusterProcesses Cluster => fixture.Cluster;

    public void Dispose() => TokenMutants.NoWait = false;

    [Fact]
    public async Task A_sign_in_is_confirmed_when_replicas_have_both_halves()
    {
        await using var site = await SiteAsync(Waiting.Bound / 2);
        var (user, _) = await ApartAsync(site);

        var login = await site.SignIn.SignInAsync(new TokenRequest { Subject = user });
        var out_ = await site.SignIn.SignOutEverywhereAsync(user);

        Assert.Equal((1, 1), (login.Session.Replicas, login.Replicas));
        Assert.Equal(new SignedOut(1, 1, 1), out_);
        Assert.DoesNotContain(site.Log.All, line => line.Id == TooFewReplicas);
    }

    [Fact]
    public Task Where_the_replica_of_the_tokens_hangs_the_caller_is_told() => TokensAreWaitedForAsync();

    [Fact]
    public async Task Tokens_that_are_not_waited_for_are_noticed()
    {
        TokenMutants.NoWait = true;
        await Assert.ThrowsAnyAsync<XunitException>(TokensAreWaitedForAsync);
    }

    private async Task TokensAreWaitedForAsync()
    {
        await using var site = await SiteAsync(TimeSpan.FromMilliseconds(300));
        var (user, replica) = await ApartAsync(site);
        // Those of the session's server answer in time, sooner or later.
        async Task<SignedIn> SignInAsync()
        {
            SignedIn? login = null;
            await Until.TrueAsync(
                async () => (login = await site.SignIn.SignInAsync(new TokenRequest { Subject = user })).Session.Replicas == 1,
                "the session is confirmed"
            );
            return login!;
        }

        async Task<SignedIn> SignedOutAsync(Func<SignedIn, Task> signOut)
        {
            var login = await SignInAsync();
            var told = Told(site);
            await signOut(login);
            Assert.Equal(told + 1, Told(site));
            return login;
        }

        replica.Server.Pause();
        try
        {
            var login = await SignInAsync();
            Assert.True(login.IsSignedIn);
            Assert.Equal(0, login.Replicas);
            Assert.True(Told(site) > 0);
            var device = await SignedOutAsync(async one =>
                await site.SignIn.SignOutAsync((await site.Tokens.VerifyAsync(one.Tokens!.AccessToken)).Token!)
            );
            var listed = await SignedOutAsync(async one => Assert.True(await site.SignIn.EndSessionAsync(user, one.Session.Handle)));
            Assert.Equal(0, (await site.SignIn.SignOutEverywhereAsync(user)).Replicas);

            // Done it is all the same.
            foreach (var one in (SignedIn[])[login, device, listed])
                Assert.False((await site.Tokens.VerifyAsync(one.Tokens!.AccessToken)).IsValid);
        }
        finally
        {
            replica.Server.Resume();
        }
    }

    private static int Told(AuthSite site) => site.Log.All.Count(line => line.Id == TooFewReplicas);

    private Task<AuthSite> SiteAsync(TimeSpan timeout) =>
        AuthSite.StartAsync(
            Cluster.ConnectionString,
            onggi =>
            {
                onggi.Sessions.Limit = 0;
                onggi.Sessions.Replicas = 1;
                onggi.Sessions.ReplicaTimeout = timeout;
            }
        );

    /// <summary>A user whose tokens lie on another server than his sessions, and that server's replica.</summary>
    private async Task<(string User, RedisClusterNode Replica)> ApartAsync(AuthSite site)
    {
        for (var i = 0; ; i++)
        {
            var user = $"user-{i}";
            var tokens = await Cluster.OwnerAsync(HashSlot.Of((RedisArg)site.Tokens.Setup.Names.Of(user).Families));
            if (tokens == await Cluster.OwnerAsync(site.Sessions.Family.Keys.ShardOf(site.Keys.PseudonymOf(user)).Slot))
                continue;
            foreach (var replica in Cluster.Replicas)
                if (
                    (await replica.CommandAsync("INFO", "replication"))!.Contains($"master_port:{tokens!.Port}\r", StringComparison.Ordinal)
                )
                    return (user, replica);
        }
    }
}
