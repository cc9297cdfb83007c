using System.Globalization;
using System.Numerics;
using Microsoft.IdentityModel.Tokens;
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
    public async Task The_other_signature_that_fits_as_well_does_not_get_a_token_past_the_blacklist()
    {
        var tokens = await Auth.SignInAsync(NewUser());
        var parts = tokens.AccessToken.Split('.');
        var signature = Base64UrlEncoder.DecodeBytes(parts[2]);
        // On this curve (r, n - s) is as good a signature as (r, s): another text, the same token.
        var order = BigInteger.Parse(
            "0FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
            NumberStyles.HexNumber,
            CultureInfo.InvariantCulture
        );
        var other = (order - new BigInteger(signature.AsSpan(32), isUnsigned: true, isBigEndian: true)).ToByteArray(
            isUnsigned: true,
            isBigEndian: true
        );
        signature.AsSpan(32).Clear();
        other.CopyTo(signature.AsSpan(64 - other.Length));
        var twin = $"{parts[0]}.{parts[1]}.{Base64UrlEncoder.Encode(signature)}";
        Assert.NotEqual(tokens.AccessToken, twin);
        Assert.Equal(TokenRefusal.None, await Other.RefusalAsync(twin));

        await Auth.Tokens.RevokeAsync(await Auth.ReadAsync(tokens.AccessToken)).Within();

        Assert.Equal(TokenRefusal.Revoked, await Other.RefusalAsync(twin));
    }

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
            .Tokens.SignOutEverywhereAsync(
                tokens.Subject,
                new RevocationOptions { Replicas = 9, ReplicaTimeout = TimeSpan.FromMilliseconds(50) }
            )
            .Within();

        Assert.Equal((1, 1), (done!.Ended, done.Replicas));
        Assert.InRange(everywhere.Replicas, 0, 1);
        Assert.NotEqual(TokenRefusal.None, await Other.RefusalAsync(tokens.AccessToken));
    }
}
