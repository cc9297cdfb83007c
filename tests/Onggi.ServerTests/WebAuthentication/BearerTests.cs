using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.WebUtilities;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Authentication;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Tokens;
using Onggi.Testing;
using Onggi.Tokens;

namespace Onggi.ServerTests.WebAuthentication;

/// <summary>Bearer tokens over HTTP.</summary>
[Collection(TokenTests.Name)]
public sealed class BearerTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_token_says_who_calls_and_what_he_may()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var clerk = await site.Tokens.IssueAsync(new TokenRequest { Subject = "ann", Roles = ["clerk", "reader"] });
        var admin = await site.Tokens.IssueAsync(new TokenRequest { Subject = "bob", Roles = ["admin"] });

        Assert.Equal("ann|clerk,reader||True", await TextAsync(await site.GetAsync("/bearer", clerk.AccessToken)));
        Assert.Equal("bob|admin||True", await TextAsync(await site.GetAsync("/admin", admin.AccessToken)));
        Assert.Equal("ann", await TextAsync(await site.GetAsync("/open", clerk.AccessToken)));
        var forbidden = await site.GetAsync("/admin", clerk.AccessToken);
        Assert.Equal(HttpStatusCode.Forbidden, forbidden.StatusCode);
        Assert.Equal("Bearer error=\"insufficient_scope\"", forbidden.Headers.WwwAuthenticate.ToString());
    }

    [Theory]
    [InlineData(null, 401, "Bearer")]
    [InlineData("Basic YTpi", 401, "Bearer")]
    [InlineData("Bearerabc", 401, "Bearer")]
    [InlineData("Bearer", 400, "Bearer error=\"invalid_request\"")]
    [InlineData("Bearer   ", 400, "Bearer error=\"invalid_request\"")]
    [InlineData("Bearer a b", 400, "Bearer error=\"invalid_request\"")]
    [InlineData("bearer abc", 401, "Bearer error=\"invalid_token\"")]
    public async Task What_is_no_token_is_told_in_the_words_of_RFC_6750(string? header, int status, string challenge)
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);

        var response = await site.SendAsync(HttpMethod.Get, "/bearer", header, null);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(challenge, response.Headers.WwwAuthenticate.ToString());
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        Assert.True(response.Headers.CacheControl!.NoStore);
    }

    [Fact]
    public async Task Two_headers_are_nobodys_request()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var tokens = await site.Tokens.IssueAsync(new TokenRequest { Subject = "ann" });
        using var request = new HttpRequestMessage(HttpMethod.Get, "/bearer");
        request.Headers.TryAddWithoutValidation("Authorization", [$"Bearer {tokens.AccessToken}", "Bearer other"]);

        using var response = await site.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Forged_changed_and_respelt_tokens_are_refused_alike_and_stand_in_no_log()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var good = (await site.Tokens.IssueAsync(new TokenRequest { Subject = "ann", Roles = ["clerk"] })).AccessToken;
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/bearer", good)).StatusCode);
        var bodies = new HashSet<string>();

        foreach (var (what, token) in Attacks(good))
        {
            var response = await site.GetAsync("/bearer", token);
            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"{what}: {(int)response.StatusCode}");
            Assert.Equal("Bearer error=\"invalid_token\"", response.Headers.WwwAuthenticate.ToString());
            bodies.Add(Untraced(await TextAsync(response)));
            Assert.Equal("nobody", await TextAsync(await site.GetAsync("/open", token)));
        }

        // Nobody learns from the answer why.
        Assert.Single(bodies);
        var parts = good.Split('.');
        foreach (var (_, text) in site.Log.All)
        {
            Assert.DoesNotContain(parts[2], text, StringComparison.Ordinal);
            Assert.DoesNotContain(parts[1][..24], text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_token_of_another_issuer_audience_or_time_is_refused()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        await using var other = await AuthSite.StartAsync(Server.ConnectionString, static onggi => onggi.Tokens.Issuer = "others");
        await using var elsewhere = await AuthSite.StartAsync(Server.ConnectionString, static onggi => onggi.Tokens.Audiences = ["mail"]);
        await using var strange = await AuthSite.StartAsync(
            Server.ConnectionString,
            static onggi => onggi.TokenKeys = new TokenKeyRing(TokenKey.Generate("shared"))
        );

        foreach (var issuer in (AuthSite[])[other, elsewhere, strange])
        {
            var token = await issuer.Tokens.IssueAsync(new TokenRequest { Subject = "ann" });
            Assert.Equal(HttpStatusCode.Unauthorized, (await site.GetAsync("/bearer", token.AccessToken)).StatusCode);
        }
    }

    [Fact]
    public async Task What_was_revoked_on_one_site_is_refused_on_the_other()
    {
        await using var here = await AuthSite.StartAsync(Server.ConnectionString);
        await using var there = await AuthSite.StartAsync(Server.ConnectionString);
        var one = (await here.Tokens.IssueAsync(new TokenRequest { Subject = "carl" })).AccessToken;
        var two = (await here.Tokens.IssueAsync(new TokenRequest { Subject = "carl" })).AccessToken;
        Assert.Equal(HttpStatusCode.OK, (await there.GetAsync("/bearer", one)).StatusCode);

        await here.Tokens.RevokeAsync((await here.Tokens.VerifyAsync(one)).Token!);
        Assert.Equal(HttpStatusCode.Unauthorized, (await there.GetAsync("/bearer", one)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await there.GetAsync("/bearer", two)).StatusCode);

        await here.Tokens.SignOutEverywhereAsync("carl");
        Assert.Equal(HttpStatusCode.Unauthorized, (await there.GetAsync("/bearer", two)).StatusCode);
    }

    [Fact]
    public async Task A_session_that_a_token_names_must_live_where_that_is_asked_for() =>
        await SessionsAreLookedAtAsync(Server.ConnectionString);

    [Fact]
    public async Task A_session_that_is_asked_for_and_not_looked_at_is_found()
    {
        WebMutants.DeadSessions = true;
        try
        {
            await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => SessionsAreLookedAtAsync(Server.ConnectionString));
        }
        finally
        {
            WebMutants.DeadSessions = false;
        }
    }

    [Fact]
    public async Task A_token_that_names_another_users_session_or_none_is_refused_where_one_is_required()
    {
        await using var site = await AuthSite.StartAsync(Server.ConnectionString);
        var session = await site.Sessions.CreateAsync("dora");
        var others = await site.Tokens.IssueAsync(new TokenRequest { Subject = "eve", SessionId = session.Handle });
        var none = await site.Tokens.IssueAsync(new TokenRequest { Subject = "dora" });
        var strange = await site.Tokens.IssueAsync(new TokenRequest { Subject = "dora", SessionId = "{no} handle" });

        foreach (var tokens in (IssuedTokens[])[others, none, strange])
            Assert.Equal(HttpStatusCode.Unauthorized, (await site.GetAsync("/session", tokens.AccessToken)).StatusCode);
    }

    [Fact]
    public async Task While_Redis_is_gone_a_token_gets_503_and_not_401_and_open_doors_stay_open()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var site = await AuthSite.StartAsync(server.ConnectionString, AuthSite.Impatient);
        var token = (await site.Tokens.IssueAsync(new TokenRequest { Subject = "ann" })).AccessToken;
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/bearer", token)).StatusCode);
        await server.KillAsync();

        foreach (var path in (string[])["/bearer", "/strict", "/session"])
        {
            var response = await site.GetAsync(path, path == "/session" ? await NamingAsync(site) : token);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter!.Delta);
            Assert.Empty(response.Headers.WwwAuthenticate);
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        }

        Assert.Equal("nobody", await TextAsync(await site.GetAsync("/open", token)));
        // What is out of order by itself needs no Redis to be refused.
        Assert.Equal(HttpStatusCode.Unauthorized, (await site.GetAsync("/bearer", token[..^2])).StatusCode);
        Assert.Contains(site.Log.All, line => line.Id == 8300);
        Assert.DoesNotContain(site.Log.All, line => line.Text.Contains(token.Split('.')[2], StringComparison.Ordinal));

        await server.RestartAsync();
        await Until.TrueAsync(
            async () => (await site.GetAsync("/bearer", token)).StatusCode == HttpStatusCode.OK,
            "the token is taken again"
        );
    }

    [Fact]
    public async Task Where_unconfirmed_tokens_are_taken_one_can_tell_and_a_strict_scheme_does_not()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var site = await AuthSite.StartAsync(
            server.ConnectionString,
            static onggi =>
            {
                AuthSite.Impatient(onggi);
                onggi.Tokens.AcceptUnconfirmed = true;
            }
        );
        var token = (await site.Tokens.IssueAsync(new TokenRequest { Subject = "ann" })).AccessToken;
        var naming = await NamingAsync(site);
        Assert.Equal("ann|||True", await TextAsync(await site.GetAsync("/strict", token)));
        server.Pause();

        Assert.Equal("ann|||False", await TextAsync(await site.GetAsync("/bearer", token)));
        Assert.Equal("ann|||False", await TextAsync(await site.GetAsync("/session", naming)));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await site.GetAsync("/strict", token)).StatusCode);
        server.Resume();
    }

    [Fact]
    public async Task While_Redis_hangs_and_unconfirmed_tokens_are_taken_one_caller_a_second_waits_and_the_others_do_not()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var site = await AuthSite.StartAsync(
            server.ConnectionString,
            static onggi =>
            {
                onggi.CommandTimeout = TimeSpan.FromSeconds(3);
                onggi.Tokens.AcceptUnconfirmed = true;
            }
        );
        var naming = await NamingAsync(site);
        var issued = await site.Tokens.IssueAsync(new TokenRequest { Subject = "ann" });
        Assert.True((await site.Tokens.VerifyAsync(issued.AccessToken)).IsConfirmed);
        server.Pause();
        await site.GetAsync("/bearer", issued.AccessToken);

        var watch = System.Diagnostics.Stopwatch.StartNew();
        var slow = 0;
        for (var asked = 0; asked < 30; asked++)
        {
            var began = watch.Elapsed;
            Assert.Equal("ann|||False", await TextAsync(await site.GetAsync("/session", naming)));
            slow += watch.Elapsed - began > TimeSpan.FromSeconds(2) ? 1 : 0;
        }

        server.Resume();
        // Thirty who wait would take a minute and a half.
        Assert.True(slow <= 10, $"{slow} of 30 waited, {watch.Elapsed.TotalSeconds:0} s in all.");
        // And what was revoked is looked at again.
        await site.Tokens.RevokeFamilyAsync((await site.Tokens.InspectAsync(issued.AccessToken)).Token!);
        await Until.TrueAsync(
            async () => (await site.GetAsync("/bearer", issued.AccessToken)).StatusCode == HttpStatusCode.Unauthorized,
            "the revoked token is refused"
        );
    }

    [Fact]
    public async Task A_host_without_what_its_schemes_need_does_not_start_and_says_why()
    {
        var noIssuer = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            AuthSite.StartAsync(Server.ConnectionString, static onggi => onggi.Tokens.Issuer = "")
        );
        var noKeys = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            AuthSite.StartAsync(Server.ConnectionString, static onggi => onggi.TokenKeys = null)
        );

        Assert.Contains("Tokens:Issuer", noIssuer.Message, StringComparison.Ordinal);
        Assert.Contains("options.TokenKeys", noKeys.Message, StringComparison.Ordinal);
    }

    private static async Task SessionsAreLookedAtAsync(string address)
    {
        await using var site = await AuthSite.StartAsync(address);
        var user = $"user {Guid.NewGuid()}";
        var session = await site.Sessions.CreateAsync(user);
        var token = (await site.Tokens.IssueAsync(new TokenRequest { Subject = user, SessionId = session.Handle })).AccessToken;
        var began = (await site.Sessions.ListAsync(user)).Single();

        Assert.Equal($"{user}||{session.Handle}|True", await TextAsync(await site.GetAsync("/session", token)));
        Assert.Equal($"{user}|||True", await TextAsync(await site.GetAsync("/bearer", token)));
        // It was used, so it lives longer.
        Assert.True((await site.Sessions.ListAsync(user)).Single().LastSeenAt >= began.LastSeenAt);

        await site.Sessions.RevokeAsync(user, session.Handle);

        Assert.Equal(HttpStatusCode.Unauthorized, (await site.GetAsync("/session", token)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/bearer", token)).StatusCode);
    }

    private static async Task<string> NamingAsync(AuthSite site)
    {
        // A handle of the right form need not have been given out: Redis is asked, and that is what fails.
        var id = Onggi.Sessions.SessionId.New(site.Keys.PseudonymOf("ann"));
        var named = new TokenRequest { Subject = "ann", SessionId = site.Sessions.HandleOf(id) };
        var access = site.Tokens.Setup.Access;
        var refresh = RefreshToken.First(named, access.Audiences[0], "family", site.Tokens.Setup.Secret());
        await Task.CompletedTask;
        return access
            .Sign(refresh, "an-id", withFamily: false, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), TimeSpan.FromMinutes(5))
            .Text;
    }

    /// <summary>What somebody makes of a good token who has not the key.</summary>
    private static IEnumerable<(string What, string Token)> Attacks(string good)
    {
        var parts = good.Split('.');
        var (head, body, signature) = (parts[0], parts[1], parts[2]);
        var claims = Encoding.UTF8.GetString(WebEncoders.Base64UrlDecode(body));
        yield return ("no signature, alg none", $"{Json("""{"alg":"none","typ":"at+jwt"}""")}.{body}.");
        yield return ("alg none with the signature", $"{Json("""{"alg":"none","typ":"at+jwt"}""")}.{body}.{signature}");
        yield return ("alg none with the key's name", $"{Json("""{"alg":"none","typ":"at+jwt","kid":"shared"}""")}.{body}.{signature}");
        foreach (var algorithm in (string[])["HS256", "HS512", "RS256", "ES384"])
        {
            var other = Json($$"""{"alg":"{{algorithm}}","typ":"at+jwt","kid":"shared"}""");
            yield return ($"the signature under {algorithm}", $"{other}.{body}.{signature}");
            // The public key is no secret: signed with it as one.
            var secret = Encoding.UTF8.GetBytes(new TokenKeyRing(AuthSite.Key).ToJwks());
            var mac = HMACSHA256.HashData(secret, Encoding.ASCII.GetBytes($"{other}.{body}"));
            yield return ($"{algorithm} with the public key as secret", $"{other}.{body}.{WebEncoders.Base64UrlEncode(mac)}");
        }

        yield return ("another subject", $"{head}.{Json(claims.Replace("ann", "eve", StringComparison.Ordinal))}.{signature}");
        yield return ("another role", $"{head}.{Json(claims.Replace("clerk", "admin", StringComparison.Ordinal))}.{signature}");
        for (var i = 0; i < 3; i++)
        {
            yield return ($"part {i} cut", Changed(parts, i, parts[i][..^1]));
            yield return ($"part {i} cut by four", Changed(parts, i, parts[i][..^4]));
            yield return ($"part {i} gone", Changed(parts, i, ""));
            yield return ($"part {i} lengthened", Changed(parts, i, parts[i] + "A"));
            yield return ($"part {i} padded", Changed(parts, i, parts[i] + "="));
            yield return ($"part {i} with a line break", Changed(parts, i, parts[i].Insert(4, "%0A")));
            yield return ($"part {i} respelt", Changed(parts, i, Respelt(parts[i])));
        }

        yield return ("a fourth part", $"{good}.{signature}");
        yield return ("two parts", $"{head}.{body}");
        yield return ("twice", good + good);
        yield return ("in the other alphabet", good.Replace('-', '+').Replace('_', '/') + "+");
        yield return ("very long", good + new string('A', 6_000));
        yield return ("nothing of it", "x");
    }

    private static string Json(string text) => WebEncoders.Base64UrlEncode(Encoding.UTF8.GetBytes(text));

    private static string Changed(string[] parts, int at, string part) =>
        string.Join('.', parts.Select((old, index) => index == at ? part : old));

    /// <summary>The same bytes in another spelling, where the last character has bits to spare; otherwise other bytes.</summary>
    private static string Respelt(string part)
    {
        const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        var last = Alphabet.IndexOf(part[^1], StringComparison.Ordinal);
        return part[..^1] + Alphabet[last ^ 1];
    }

    /// <summary>An answer without the request's own number.</summary>
    private static string Untraced(string problem)
    {
        var fields = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(problem)!;
        fields.Remove("traceId");
        return JsonSerializer.Serialize(fields);
    }

    private static Task<string> TextAsync(HttpResponseMessage response) => response.Content.ReadAsStringAsync();
}
