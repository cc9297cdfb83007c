using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.DependencyInjection;
using Onggi.AspNetCore.Authentication;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Tokens;
using Onggi.Testing;

namespace Onggi.ServerTests.WebAuthentication;

/// <summary>ASP.NET's key ring in Redis.</summary>
[Collection(TokenTests.Name)]
public sealed class KeyRingTests : IAsyncLifetime
{
    private const string Ring = "test:onggi:data-protection:shared";

    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Fact]
    public async Task What_one_host_seals_another_opens_and_the_ring_has_no_end()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        var text = here.Protector.Protect("between us");
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);

        Assert.Equal("between us", there.Protector.Unprotect(text));
        Assert.Equal("between us", here.Protector.Unprotect(there.Protector.Protect("between us")));
        Assert.Equal("1", await Server.CommandAsync("HLEN", Ring));
        Assert.Equal("-1", await Server.CommandAsync("PTTL", Ring));
        Assert.Equal("onggi", here.Keys.FamilyOf(Ring)!.Family.Name);
    }

    [Fact]
    public async Task A_host_that_has_its_ring_goes_on_without_Redis_and_one_that_has_none_begins_when_Redis_is_there()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString, AuthSite.Impatient);
        var text = here.Protector.Protect("between us");
        await Server.KillAsync();

        Assert.Equal("between us", here.Protector.Unprotect(text));
        Assert.Equal("more", here.Protector.Unprotect(here.Protector.Protect("more")));
        await using var late = await AuthSite.StartAsync(
            Server.ConnectionString,
            static onggi =>
            {
                AuthSite.Impatient(onggi);
                onggi.ConnectTimeout = TimeSpan.FromSeconds(1);
            }
        );
        Assert.ThrowsAny<Exception>(() => late.Protector.Protect("too early"));

        await Server.RestartAsync();
        // By then the other one has put its keys back, or is found to have them.
        await Until.TrueAsync(() => Task.FromResult(Opens(late, text)), "the late host opens what the first sealed");
    }

    [Fact]
    public Task A_ring_that_Redis_has_lost_is_put_back_by_who_knows_it() => LostRingsComeBackAsync(Waiting.Bound);

    [Fact]
    public async Task A_ring_that_stays_lost_is_found()
    {
        WebMutants.ForgetKeys = true;
        try
        {
            await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => LostRingsComeBackAsync(TimeSpan.FromSeconds(4)));
        }
        finally
        {
            WebMutants.ForgetKeys = false;
        }
    }

    [Fact]
    public async Task What_an_eviction_takes_is_put_back_when_the_ring_is_read()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        var text = here.Protector.Protect("between us");
        await Server.CommandAsync("DEL", Ring);

        var keys = here.Services.GetRequiredService<IKeyManager>().GetAllKeys();

        Assert.Single(keys);
        Assert.Equal("1", await Server.CommandAsync("HLEN", Ring));
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        Assert.Equal("between us", there.Protector.Unprotect(text));
        Assert.Contains(here.Log.All, line => line.Id == 8501);
    }

    [Fact]
    public async Task Rubbish_in_the_ring_is_left_out_and_said()
    {
        await Server.CommandAsync("HSET", Ring, "rubbish", "<key");
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);

        Assert.Equal("x", site.Protector.Unprotect(site.Protector.Protect("x")));
        Assert.Contains(site.Log.All, line => line.Id == 8500 && line.Text.Contains("rubbish", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_revocation_of_keys_reaches_other_hosts()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        here.Protector.Protect("x");
        here.Services.GetRequiredService<IKeyManager>().RevokeAllKeys(DateTimeOffset.UtcNow, "stolen");
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);

        var keys = there.Services.GetRequiredService<IKeyManager>().GetAllKeys();

        Assert.NotEmpty(keys);
        Assert.Contains(keys, key => key.IsRevoked);
    }

    [Fact]
    public async Task A_Redis_that_may_throw_the_ring_away_is_said()
    {
        await Server.CommandAsync("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        site.Protector.Protect("x");

        Assert.Contains(site.Log.All, line => line.Id == 8504);
        Assert.DoesNotContain(site.Log.All, line => line.Text.Contains("masterKey", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Shared")]
    [InlineData("a:b")]
    [InlineData("{x}")]
    public void A_rings_name_is_part_of_a_key(string ring) =>
        Assert.Throws<ArgumentException>(() => new ServiceCollection().AddDataProtection().PersistKeysToOnggi(ring));

    private static bool Opens(AuthSite site, string text)
    {
        try
        {
            return site.Protector.Unprotect(text) == "between us";
        }
        catch (Exception early) when (early is System.Security.Cryptography.CryptographicException or RedisException)
        {
            return false;
        }
    }

    private async Task LostRingsComeBackAsync(TimeSpan bound)
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        var text = here.Protector.Protect("between us");
        await Server.RestartAsync(kill: true);

        await Until.TrueAsync(async () => await Server.CommandAsync("HLEN", Ring) == "1", "the ring came back", bound);

        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        Assert.Equal("between us", there.Protector.Unprotect(text));
    }
}
