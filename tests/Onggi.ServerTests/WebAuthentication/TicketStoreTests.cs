using System.Net;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Authentication;
using Onggi.AspNetCore.Sessions;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Tokens;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.WebAuthentication;

/// <summary>Cookies whose tickets stand in sessions, over HTTP.</summary>
[Collection(TokenTests.Name)]
public sealed class TicketStoreTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_cookie_opens_its_session_on_every_host_and_the_session_is_in_the_users_list()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var user = NewUser();

        var cookie = await here.CookieAsync(user, "clerk");

        Assert.Equal($"{user}|clerk", await here.WhoAsync(cookie));
        Assert.Equal($"{user}|clerk", await there.WhoAsync(cookie));
        var session = (await there.Sessions.ListAsync(user)).Single();
        Assert.Equal(["clerk"], (await there.Sessions.ValidateAsync(user, session.Handle))!.Roles);
        Assert.True(cookie.Length < 600, $"The cookie has {cookie.Length} characters: it is to hold an id, not the ticket.");
    }

    [Fact]
    public async Task A_sign_out_ends_the_session_everywhere()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var user = NewUser();
        var cookie = await here.CookieAsync(user);

        await there.PostAsync("/cookie/out", cookie);

        Assert.Null(await here.WhoAsync(cookie));
        Assert.Empty(await here.Sessions.ListAsync(user));
    }

    [Fact]
    public Task A_ticket_that_was_removed_is_not_brought_back_by_a_request_that_ends_late() => LateRenewalsDoNotReviveAsync();

    [Fact]
    public async Task A_renewal_that_stores_anew_is_found()
    {
        WebMutants.RecreateOnRenew = true;
        try
        {
            await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(LateRenewalsDoNotReviveAsync);
        }
        finally
        {
            WebMutants.RecreateOnRenew = false;
        }
    }

    [Fact]
    public Task Who_signs_in_over_a_planted_cookie_gets_another_id() => PlantedCookiesAreWorthNothingAsync();

    [Fact]
    public async Task A_sign_in_that_keeps_the_id_is_found()
    {
        WebMutants.KeepIdAtSignIn = true;
        try
        {
            await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(PlantedCookiesAreWorthNothingAsync);
        }
        finally
        {
            WebMutants.KeepIdAtSignIn = false;
        }
    }

    [Fact]
    public async Task Signing_out_and_in_again_in_one_request_signs_in()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var (first, second) = (NewUser(), NewUser());
        var cookie = await site.CookieAsync(first);

        var response = await site.PostAsync($"/cookie/out-in?user={second}", cookie);

        Assert.Equal($"{second}|", await site.WhoAsync(AuthSite.CookieOf(response)!));
        Assert.Null(await site.WhoAsync(cookie));
        Assert.Single(await site.Sessions.ListAsync(second));
    }

    [Fact]
    public async Task A_renewal_lengthens_the_ticket_and_a_later_one_of_two_changes_nothing()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var user = NewUser();
        var cookie = await site.CookieAsync(user);
        var handle = (await site.Sessions.ListAsync(user)).Single().Handle;
        var held = site.GetAsync("/cookie/held?renew", cookie: cookie);
        await site.Held;

        // Rights are granted while the other request is under way.
        Assert.Equal(HttpStatusCode.OK, (await site.PostAsync("/cookie/grant?role=admin", cookie)).StatusCode);
        site.Release();
        Assert.Equal(HttpStatusCode.OK, (await held).StatusCode);

        Assert.Equal($"{user}|user,admin", await site.WhoAsync(cookie));
        var session = (await site.Sessions.ValidateAsync(user, handle))!;
        Assert.Equal(["user", "admin"], session.Roles);
        Assert.Equal(2, session.Version);
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/cookie/who?renew", cookie: cookie)).StatusCode);
        Assert.Equal(3, (await site.Sessions.ValidateAsync(user, handle))!.Version);
    }

    [Fact]
    public Task A_ticket_copied_into_another_session_opens_nothing() => CopiedTicketsAreWorthNothingAsync();

    [Fact]
    public async Task A_ticket_that_is_taken_for_whatever_session_is_found()
    {
        WebMutants.AnybodysTicket = true;
        try
        {
            await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(CopiedTicketsAreWorthNothingAsync);
        }
        finally
        {
            WebMutants.AnybodysTicket = false;
        }
    }

    [Fact]
    public async Task Of_a_ticket_nothing_can_be_read_in_Redis()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var user = NewUser();
        await site.CookieAsync(user, "a-role-of-its-own");
        var handle = (await site.Sessions.ListAsync(user)).Single().Handle;

        var data = await Server.CommandAsync("HGET", $"test:auth:session:{handle}", "data");

        Assert.DoesNotContain("a-role-of-its-own", data, StringComparison.Ordinal);
        Assert.DoesNotContain(user, data, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cookie_that_is_cut_lengthened_or_changed_is_nobodys_and_stands_in_no_log()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var cookie = await site.CookieAsync(NewUser());
        var name = ".AspNetCore.Cookies=".Length;

        foreach (var attack in (string[])[cookie[..^1], cookie[..^8], cookie + "A", cookie + "AAAA", cookie[..name]])
            Assert.Null(await site.WhoAsync(attack));
        for (var at = name; at < cookie.Length; at += 7)
            Assert.Null(await site.WhoAsync($"{cookie[..at]}{(cookie[at] == 'x' ? 'y' : 'x')}{cookie[(at + 1)..]}"));

        Assert.NotNull(await site.WhoAsync(cookie));
        Assert.DoesNotContain(site.Log.All, line => line.Text.Contains(cookie[(name + 8)..(name + 40)], StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_limit_ends_the_oldest_or_refuses_with_a_word()
    {
        await using var site = await AuthSite.StartAsync(
            Server.ConnectionString,
            tickets: static options => options.Limit = new SessionLimit(1, SessionLimitPolicy.Reject)
        );
        var user = NewUser();
        var store = site
            .Services.GetRequiredService<IOptionsMonitor<CookieAuthenticationOptions>>()
            .Get(CookieAuthenticationDefaults.AuthenticationScheme)
            .SessionStore!;
        var ticket = TicketOf(user);

        await store.StoreAsync(ticket);
        var refused = await Assert.ThrowsAsync<TooManySessionsException>(() => store.StoreAsync(ticket));

        Assert.Equal(1, refused.Live);
    }

    [Fact]
    public async Task While_Redis_is_gone_a_visitor_is_unknown_not_signed_out()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var site = await AuthSite.StartAsync(server.ConnectionString, AuthSite.Impatient);
        await using var open = await AuthSite.StartAsync(
            server.ConnectionString,
            AuthSite.Impatient,
            tickets: static options => options.AnonymousWhileAway = true
        );
        var cookie = await site.CookieAsync(NewUser());
        Assert.NotNull(await open.WhoAsync(cookie));
        server.Pause();

        var response = await site.GetAsync("/cookie/who", cookie: cookie);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter!.Delta);
        Assert.Null(AuthSite.CookieOf(response));
        Assert.Equal(HttpStatusCode.Unauthorized, (await open.GetAsync("/cookie/who", cookie: cookie)).StatusCode);
        // A sign-out that is not done must not look like one.
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await site.PostAsync("/cookie/out", cookie)).StatusCode);
        Assert.Contains(site.Log.All, line => line.Id == 8400);

        server.Resume();
        await Until.TrueAsync(async () => await site.WhoAsync(cookie) is not null, "the visitor is known again");
    }

    [Fact]
    public async Task A_renewal_that_fails_does_not_spoil_the_answer()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var site = await AuthSite.StartAsync(server.ConnectionString, AuthSite.Impatient);
        var cookie = await site.CookieAsync(NewUser());
        var held = site.GetAsync("/cookie/held?renew", cookie: cookie);
        await site.Held;
        server.Pause();

        site.Release();
        var response = await held;
        server.Resume();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains(site.Log.All, line => line.Id == 8402);
    }

    [Theory]
    [InlineData("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux")]
    [InlineData(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
        "Edge on Windows"
    )]
    [InlineData(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1",
        "Safari on iPhone"
    )]
    [InlineData("curl/8.5.0", "curl")]
    [InlineData("", "")]
    public void A_device_is_named_in_words_that_its_owner_knows(string userAgent, string name) =>
        Assert.Equal(name, DeviceName.Of(userAgent));

    private async Task LateRenewalsDoNotReviveAsync()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var user = NewUser();
        var cookie = await here.CookieAsync(user);
        var held = here.GetAsync("/cookie/held?renew", cookie: cookie);
        await here.Held;

        await there.PostAsync("/cookie/out", cookie);
        here.Release();
        var response = await held;

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(await here.Sessions.ListAsync(user));
        Assert.Null(await here.WhoAsync(AuthSite.CookieOf(response) ?? cookie));
        Assert.Null(await here.WhoAsync(cookie));
    }

    private async Task PlantedCookiesAreWorthNothingAsync()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var (thief, victim) = (NewUser(), NewUser());
        var planted = await site.CookieAsync(thief);

        var own = await site.CookieAsync(victim, shown: planted);
        var again = await site.CookieAsync(victim, shown: own);

        Assert.Null(await site.WhoAsync(planted));
        Assert.Null(await site.WhoAsync(own));
        Assert.Equal($"{victim}|user", await site.WhoAsync(again));
        Assert.Empty(await site.Sessions.ListAsync(thief));
        Assert.Single(await site.Sessions.ListAsync(victim));
    }

    private async Task CopiedTicketsAreWorthNothingAsync()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var (thief, victim) = (NewUser(), NewUser());
        await site.CookieAsync(victim);
        var cookie = await site.CookieAsync(thief);
        var from = (await site.Sessions.ListAsync(victim)).Single().Handle;
        var to = (await site.Sessions.ListAsync(thief)).Single().Handle;

        var ticket = await site.Redis.SendAsync(["HGET", $"test:auth:session:{from}", "data"], Onggi.Client.ReplyParsers.Bytes);
        await site.Redis.SendAsync(["HSET", $"test:auth:session:{to}", "data", ticket!, "user", victim], Onggi.Client.ReplyParsers.Ignore);

        Assert.Null(await site.WhoAsync(cookie));
        Assert.Contains(site.Log.All, line => line.Id == 8403);
    }

    private static AuthenticationTicket TicketOf(string user) =>
        new(
            new System.Security.Claims.ClaimsPrincipal(new System.Security.Claims.ClaimsIdentity([new("sub", user)], "password")),
            new AuthenticationProperties(),
            CookieAuthenticationDefaults.AuthenticationScheme
        );

    private static string NewUser() => $"user-{Guid.NewGuid():N}";
}
