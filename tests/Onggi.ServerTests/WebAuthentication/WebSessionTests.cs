using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Onggi.AspNetCore.Authentication;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Tokens;
using Onggi.Testing;

namespace Onggi.ServerTests.WebAuthentication;

/// <summary><c>HttpContext.Session</c> over HTTP.</summary>
[Collection(TokenTests.Name)]
public sealed class WebSessionTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private const string CookieName = ".AspNetCore.Session=";

    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_session_is_the_same_on_every_host_and_has_an_end()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var cookie = await BeginAsync(here, "book");

        await there.PostAsync("/cart/add?item=pen", cookie);

        Assert.Equal("book,pen", await CartAsync(here, cookie));
        var keys = (await Server.CommandAsync("KEYS", "test:cache:web-session:*"))!.Split('\n');
        foreach (var key in keys)
        {
            Assert.Equal("web_session", here.Keys.FamilyOf(key)!.Family.Name);
            Assert.InRange(int.Parse((await Server.CommandAsync("TTL", key))!), 1, 20 * 60);
        }
    }

    [Fact]
    public Task A_session_that_was_cleared_is_not_brought_back_by_a_request_that_ends_late() => LateCommitsDoNotReviveAsync();

    [Fact]
    public async Task A_commit_that_does_not_look_is_found()
    {
        WebMutants.CommitBlindly = true;
        try
        {
            await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(LateCommitsDoNotReviveAsync);
        }
        finally
        {
            WebMutants.CommitBlindly = false;
        }
    }

    [Fact]
    public async Task Who_comes_after_a_clear_is_not_overwritten_by_what_was_read_before_it()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var cookie = await BeginAsync(here, "secret-of-the-first");
        var held = here.PostAsync("/cart/held?item=late", cookie);
        await here.Held;

        var cleared = await there.PostAsync("/cart/clear-add?item=of-the-second", cookie);
        Assert.True(cleared.IsSuccessStatusCode, string.Join('\n', there.Log.All.Select(line => line.Text).TakeLast(12)));
        Assert.Equal("of-the-second", await CartAsync(there, cookie));
        here.Release();

        Assert.Equal(HttpStatusCode.OK, (await held).StatusCode);
        Assert.Equal("of-the-second", await CartAsync(there, cookie));
    }

    [Fact]
    public async Task Of_two_requests_at_the_same_time_the_last_one_wins_as_with_ASPNETs_own()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var cookie = await BeginAsync(here, "book");
        var held = here.PostAsync("/cart/held?item=late", cookie);
        await here.Held;

        await there.PostAsync("/cart/add?item=early", cookie);
        here.Release();
        await held;

        Assert.Equal("book,late", await CartAsync(there, cookie));
        await there.PostAsync("/cart/add?item=pen", cookie);
        Assert.Equal("book,late,pen", await CartAsync(there, cookie));
    }

    [Fact]
    public async Task A_request_that_does_not_use_its_session_only_lengthens_its_life()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var site = await AuthSite.StartAsync(server.ConnectionString);
        var cookie = await BeginAsync(site, "book");
        var key = (await server.CommandAsync("KEYS", "test:cache:web-session:*"))!;
        await server.CommandAsync("PEXPIRE", key, "60000");
        await server.CommandAsync("CONFIG", "RESETSTAT");

        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/open", cookie: cookie)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/open")).StatusCode);

        var statistics = await server.CommandAsync("INFO", "commandstats");
        Assert.DoesNotContain("cmdstat_getex", statistics, StringComparison.Ordinal);
        Assert.Contains("cmdstat_pexpire:calls=1,", statistics, StringComparison.Ordinal);
        Assert.True(int.Parse((await server.CommandAsync("TTL", key))!) > 60);
    }

    [Fact]
    public async Task A_session_that_is_emptied_leaves_nothing_also_when_Redis_is_full()
    {
        await using var server = await RedisServerProcess.StartAsync("--maxmemory-policy", "noeviction");
        await using var site = await AuthSite.StartAsync(server.ConnectionString);
        var cookie = await BeginAsync(site, "book");
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1mb");

        await site.PostAsync("/cart/add?item=pen", cookie);
        Assert.Equal("book", await CartAsync(site, cookie));
        await site.PostAsync("/cart/clear", cookie);

        Assert.Equal("", await server.CommandAsync("KEYS", "test:cache:web-session:*"));
        Assert.Equal("", await CartAsync(site, cookie));
    }

    [Fact]
    public async Task A_catalog_without_the_family_stops_the_host_with_the_lines_to_add()
    {
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            AuthSite.StartAsync(
                Server.ConnectionString,
                static onggi => onggi.Catalog = AuthSite.CatalogJson.Replace("\"web_session\"", "\"carts\"", StringComparison.Ordinal)
            )
        );

        Assert.Contains("cache:web-session:{key}", failure.Message, StringComparison.Ordinal);
    }

    private async Task LateCommitsDoNotReviveAsync()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var cookie = await BeginAsync(here, "secret");
        var held = here.PostAsync("/cart/held?item=late", cookie);
        await here.Held;

        await there.PostAsync("/cart/clear", cookie);
        here.Release();

        Assert.Equal(HttpStatusCode.OK, (await held).StatusCode);
        Assert.Equal("", await CartAsync(there, cookie));
        Assert.Contains(here.Log.All, line => line.Id == 8404);
    }

    private static async Task<string> BeginAsync(AuthSite site, string item) =>
        AuthSite.CookieOf(await site.PostAsync($"/cart/add?item={item}"), CookieName)!;

    private static async Task<string> CartAsync(AuthSite site, string cookie) =>
        await (await site.GetAsync("/cart", cookie: cookie)).Content.ReadAsStringAsync();
}
