using System.Net;
using Onggi.AspNetCore;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Tokens;
using Onggi.Sessions;
using Onggi.Testing;
using Onggi.Tokens;

namespace Onggi.ServerTests.WebAuthentication;

/// <summary>Sessions and tokens that end together.</summary>
[Collection(TokenTests.Name)]
public sealed class SignInTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_sign_in_is_a_session_with_tokens_that_name_it()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);

        var login = await site.SignIn.SignInAsync(new TokenRequest { Subject = "ann", Roles = ["clerk"] }, "Firefox on Linux");

        Assert.True(login.IsSignedIn);
        Assert.Equal(login.Session.Handle, login.Tokens!.SessionId);
        var session = Assert.Single(await site.Sessions.ListAsync("ann"));
        Assert.Equal(("Firefox on Linux", login.Session.Handle), (session.Device, session.Handle));
        Assert.Equal($"ann|clerk|{session.Handle}|True", await TextAsync(await site.GetAsync("/session", login.Tokens.AccessToken)));
    }

    [Fact]
    public async Task Ending_one_session_ends_its_tokens_also_where_nobody_looks_at_sessions_and_no_others()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var phone = await site.SignIn.SignInAsync(new TokenRequest { Subject = "bob" }, "phone");
        var desk = await site.SignIn.SignInAsync(new TokenRequest { Subject = "bob" }, "desk");

        Assert.False(await site.SignIn.EndSessionAsync("carl", phone.Session.Handle));
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/bearer", phone.Tokens!.AccessToken)).StatusCode);
        Assert.True(await site.SignIn.EndSessionAsync("bob", phone.Session.Handle));
        Assert.False(await site.SignIn.EndSessionAsync("bob", phone.Session.Handle));

        Assert.Equal(HttpStatusCode.Unauthorized, (await site.GetAsync("/bearer", phone.Tokens.AccessToken)).StatusCode);
        Assert.Equal(RefreshOutcome.Revoked, (await site.Tokens.RefreshAsync(phone.Tokens.RefreshToken)).Outcome);
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/session", desk.Tokens!.AccessToken)).StatusCode);
        Assert.Equal(["desk"], (await site.Sessions.ListAsync("bob")).Select(session => session.Device));
    }

    [Fact]
    public async Task A_refresh_needs_a_session_that_lives_and_keeps_it_alive()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var login = await site.SignIn.SignInAsync(new TokenRequest { Subject = "dora" });

        var next = await site.SignIn.RefreshAsync(login.Tokens!.RefreshToken);
        Assert.Equal(RefreshOutcome.Rotated, next.Outcome);
        Assert.Equal(login.Session.Handle, next.Tokens!.SessionId);
        // Ended by other means than this class: by the limit, by idleness, by hand.
        await site.Sessions.RevokeAllAsync("dora");

        Assert.Equal(RefreshOutcome.Revoked, (await site.SignIn.RefreshAsync(next.Tokens.RefreshToken)).Outcome);
        Assert.Equal(HttpStatusCode.Unauthorized, (await site.GetAsync("/bearer", next.Tokens.AccessToken)).StatusCode);
        Assert.Equal(RefreshOutcome.Forged, (await site.SignIn.RefreshAsync("nonsense")).Outcome);
    }

    [Fact]
    public async Task Signing_out_ends_this_device_and_signing_out_everywhere_all_of_them_cookies_too()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var one = await here.SignIn.SignInAsync(new TokenRequest { Subject = "eve" });
        var two = await here.SignIn.SignInAsync(new TokenRequest { Subject = "eve" });
        var cookie = await here.CookieAsync("eve");

        await here.SignIn.SignOutAsync((await here.Tokens.VerifyAsync(one.Tokens!.AccessToken)).Token!);
        Assert.Equal(HttpStatusCode.Unauthorized, (await there.GetAsync("/bearer", one.Tokens.AccessToken)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await there.GetAsync("/bearer", two.Tokens!.AccessToken)).StatusCode);
        Assert.Equal(2, (await here.Sessions.ListAsync("eve")).Count);

        var ended = await here.SignIn.SignOutEverywhereAsync("eve");

        Assert.Equal(new SignedOut(2, 1), ended);
        Assert.Equal(HttpStatusCode.Unauthorized, (await there.GetAsync("/bearer", two.Tokens.AccessToken)).StatusCode);
        Assert.Null(await there.WhoAsync(cookie));
        // All families of the user are gone.
        Assert.Equal(RefreshOutcome.Unknown, (await there.SignIn.RefreshAsync(two.Tokens.RefreshToken)).Outcome);
        var again = await here.SignIn.SignInAsync(new TokenRequest { Subject = "eve" });
        Assert.Equal(HttpStatusCode.OK, (await there.GetAsync("/session", again.Tokens!.AccessToken)).StatusCode);
    }

    [Fact]
    public async Task The_limit_pushes_out_the_oldest_or_refuses()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        await using var strict = await AuthSite.StartAsync(
            Server.ConnectionString,
            static onggi => (onggi.Sessions.Limit, onggi.Sessions.Policy) = (5, SessionLimitPolicy.Reject)
        );
        var first = await site.SignIn.SignInAsync(new TokenRequest { Subject = "fay" });
        for (var i = 0; i < 5; i++)
            Assert.True((await site.SignIn.SignInAsync(new TokenRequest { Subject = "fay" })).IsSignedIn);

        Assert.Equal(HttpStatusCode.Unauthorized, (await site.GetAsync("/session", first.Tokens!.AccessToken)).StatusCode);
        Assert.Equal(RefreshOutcome.Revoked, (await site.SignIn.RefreshAsync(first.Tokens.RefreshToken)).Outcome);
        var refused = await strict.SignIn.SignInAsync(new TokenRequest { Subject = "fay" });
        Assert.False(refused.IsSignedIn);
        Assert.Equal(5, refused.Session.Live);
        Assert.Null(refused.Tokens);
    }

    [Fact]
    public async Task Of_a_sign_in_at_the_moment_of_a_sign_out_everywhere_no_token_outlives_its_session()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var lived = 0;
        for (var round = 0; round < 300; round++)
        {
            var user = $"racer-{round}";
            var signIn = here.SignIn.SignInAsync(new TokenRequest { Subject = user }).AsTask();
            if (round % 3 > 0)
                await Task.Yield();
            var signOut = there.SignIn.SignOutEverywhereAsync(user).AsTask();
            var login = await signIn.Within();
            await signOut.Within();

            var session = await here.Sessions.ValidateAsync(user, login.Session.Handle);
            var isValid = login.Tokens is { } tokens && (await here.Tokens.VerifyAsync(tokens.AccessToken)).IsValid;
            lived += isValid ? 1 : 0;
            Assert.False(isValid && session is null, $"In round {round} a token outlived its session.");
            Assert.False(!login.IsSignedIn && session is not null, $"In round {round} a session was left of a sign-in that was refused.");
        }

        Assert.InRange(lived, 0, 300);
    }

    [Fact]
    public async Task When_Redis_is_gone_nobody_is_signed_in_or_out_by_mistake_and_both_halves_are_tried()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var site = await AuthSite.StartAsync(server.ConnectionString, AuthSite.Impatient);
        var login = await site.SignIn.SignInAsync(new TokenRequest { Subject = "ann" });
        server.Pause();

        await site.SignIn.SignInAsync(new TokenRequest { Subject = "ann" }).FailsWith<SignedIn, RedisException>();
        await site.SignIn.SignOutEverywhereAsync("ann").FailsWith<SignedOut, RedisException>();
        await site.SignIn.RefreshAsync(login.Tokens!.RefreshToken).FailsWith<RefreshResult, RedisException>();
        server.Resume();

        // Tokens are ended in the background, since that was asked for.
        await Until.TrueAsync(
            async () => (await site.GetAsync("/bearer", login.Tokens.AccessToken)).StatusCode == HttpStatusCode.Unauthorized,
            "the tokens are ended"
        );
    }

    [Fact]
    public async Task A_sign_out_that_failed_ends_both_halves_in_the_background()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var site = await AuthSite.StartAsync(proxy.ConnectionString, AuthSite.Impatient);
        await using var beside = await AuthSite.StartAsync(server.ConnectionString);
        var one = await site.SignIn.SignInAsync(new TokenRequest { Subject = "ann" });
        var stays = await site.SignIn.SignInAsync(new TokenRequest { Subject = "ann" });
        var all = await site.SignIn.SignInAsync(new TokenRequest { Subject = "bob" });
        var token = (await site.Tokens.VerifyAsync(one.Tokens!.AccessToken)).Token!;

        await proxy.RefuseAsync();
        proxy.CutAll();
        await site.SignIn.SignOutAsync(token).FailsWith<RedisException>();
        await site.SignIn.SignOutEverywhereAsync("bob").FailsWith<SignedOut, RedisException>();
        proxy.Accept();

        foreach (var (user, login) in (IEnumerable<(string, SignedIn)>)[("ann", one), ("bob", all)])
        {
            await Until.TrueAsync(
                async () => await beside.Sessions.ValidateAsync(user, login.Session.Handle) is null,
                $"the session of {user} is ended"
            );
            await Until.TrueAsync(
                async () => !(await beside.Tokens.VerifyAsync(login.Tokens!.AccessToken)).IsValid,
                $"the tokens of {user} are ended"
            );
        }

        Assert.Equal(HttpStatusCode.OK, (await beside.GetAsync("/session", stays.Tokens!.AccessToken)).StatusCode);
    }

    private static Task<string> TextAsync(HttpResponseMessage response) => response.Content.ReadAsStringAsync();
}
