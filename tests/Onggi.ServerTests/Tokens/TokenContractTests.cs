using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.Tokens;

namespace Onggi.ServerTests.Tokens;

/// <summary>On one server.</summary>
[Collection(TokenTests.Name)]
public sealed class TokensOnRedisTests(RedisServerFixture fixture) : TokenContract, IClassFixture<RedisServerFixture>
{
    protected override string ConnectionString => fixture.Server.ConnectionString;

    [Fact]
    public async Task A_full_Redis_refuses_to_issue_and_goes_on_to_refresh_and_to_revoke()
    {
        var user = NewUser();
        var (one, two) = (await Auth.SignInAsync(user), await Auth.SignInAsync(user));
        await fixture.Server.CommandAsync("CONFIG", "SET", "maxmemory", "1");
        try
        {
            var refused = await Assert.ThrowsAsync<RedisServerException>(() => Auth.SignInAsync(user));
            var next = (await Auth.Tokens.RefreshAsync(one.RefreshToken).Within()).Tokens!;
            await Auth.Tokens.RevokeAsync(await Auth.ReadAsync(one.AccessToken)).Within();
            await Auth.Tokens.RevokeRefreshTokenAsync(two.RefreshToken).Within();

            Assert.Equal("OOM", refused.Code);
            Assert.Equal(TokenRefusal.None, await Other.RefusalAsync(next.AccessToken));
            Assert.Equal(TokenRefusal.Revoked, await Other.RefusalAsync(one.AccessToken));
            Assert.Equal(TokenRefusal.Revoked, await Other.RefusalAsync(two.AccessToken));
            await Auth.Tokens.SignOutEverywhereAsync(user).Within();
            Assert.Equal(TokenRefusal.SignedOut, await Other.RefusalAsync(next.AccessToken));
        }
        finally
        {
            await fixture.Server.CommandAsync("CONFIG", "SET", "maxmemory", "0");
        }
    }
}

/// <summary>On three primaries with a replica each: all that belongs to a user must stand in one slot.</summary>
[Collection(TokenTests.Name)]
public sealed class TokensOnClusterTests(RedisClusterFixture fixture) : TokenContract, IClassFixture<RedisClusterFixture>
{
    protected override string ConnectionString => fixture.Cluster.ConnectionString;

    [Fact]
    public async Task A_revocation_waits_for_a_replica_where_it_is_told_to()
    {
        var tokens = await Auth.SignInAsync(NewUser());

        var done = await Auth
            .Tokens.RevokeRefreshTokenAsync(
                tokens.RefreshToken,
                new RevocationOptions { Replicas = 1, ReplicaTimeout = TimeSpan.FromSeconds(10) }
            )
            .Within();
        var everywhere = await Auth
            .Tokens.SignOutEverywhereAsync(tokens.Subject, new RevocationOptions { Replicas = 9, ReplicaTimeout = TimeSpan.FromMilliseconds(50) })
            .Within();

        Assert.Equal((1, 1), (done!.Ended, done.Replicas));
        Assert.InRange(everywhere.Replicas, 0, 1);
        Assert.NotEqual(TokenRefusal.None, await Other.RefusalAsync(tokens.AccessToken));
    }
}
