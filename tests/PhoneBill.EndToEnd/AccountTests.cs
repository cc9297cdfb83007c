using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using PhoneBill.Contracts;

namespace PhoneBill.EndToEnd;

/// <summary>Signing in and out, as a client of the services sees it.</summary>
[Collection(Running.Name)]
public sealed class AccountTests(RunningServices services)
{
    private const int Auth = 1;
    private const int Users = 2;
    private const int Bills = 3;
    private const int Products = 4;
    private const int Replica = 103;

    private static readonly int[] Taking = [Auth, Users, Bills, Products, Replica];

    [Fact]
    public async Task A_sign_out_ends_the_tokens_at_every_service_and_the_refresh_token_with_them()
    {
        var (token, refresh, _) = await LogInAsync("park.viewer");
        foreach (var service in Taking)
            Assert.Equal(HttpStatusCode.OK, (await AskAsync(service, token)).StatusCode);

        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(HttpMethod.Post, "/api/logout", token)).StatusCode);

        foreach (var service in Taking)
        {
            var refused = await AskAsync(service, token);
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            Assert.Equal("Bearer error=\"invalid_token\"", refused.Headers.WwwAuthenticate.ToString());
        }

        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(refresh)).StatusCode);
    }

    [Fact]
    public async Task A_refresh_gives_new_tokens_and_the_same_again_to_who_asks_again()
    {
        var (token, refresh, _) = await LogInAsync("park.viewer");

        var first = await RefreshAsync(refresh);
        var second = await RefreshAsync(refresh);

        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal((await WithoutTimeLeftAsync(first)).GetRawText(), (await WithoutTimeLeftAsync(second)).GetRawText());
        var next = (await first.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString()!;
        Assert.NotEqual(token, next);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(Bills, next)).StatusCode);
        foreach (var wrong in (string[])["", "x", refresh[..^1], refresh + "A", next])
            Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(wrong)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(Bills, next)).StatusCode);
    }

    // The seconds that a token has left are one fewer now and then.
    private static async Task<JsonElement> WithoutTimeLeftAsync(HttpResponseMessage answer)
    {
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        body["expiresInSeconds"] = null;
        return JsonSerializer.SerializeToElement(body);
    }

    [Fact]
    public async Task One_sees_ones_own_sessions_and_ends_one_and_nobody_elses()
    {
        var (desk, _, deskSession) = await LogInAsync("choi.operator", "desk");
        var (phone, _, phoneSession) = await LogInAsync("choi.operator", "phone");
        var (other, _, _) = await LogInAsync("park.viewer");

        var list = await (await SendAsync(HttpMethod.Get, "/api/sessions", desk)).Content.ReadFromJsonAsync<JsonElement>();
        var mine = list.EnumerateArray().ToDictionary(one => one.GetProperty("handle").GetString()!, one => one);
        Assert.True(mine[deskSession].GetProperty("isThis").GetBoolean());
        Assert.Equal("phone", mine[phoneSession].GetProperty("device").GetString());

        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Delete, $"/api/sessions/{phoneSession}", other)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(Bills, phone)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(HttpMethod.Delete, $"/api/sessions/{phoneSession}", desk)).StatusCode);

        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(Bills, phone)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(Bills, desk)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Delete, $"/api/sessions/{phoneSession}", desk)).StatusCode);
    }

    [Fact]
    public async Task Signing_out_everywhere_ends_all_devices_and_no_other_user()
    {
        var (desk, _, _) = await LogInAsync("choi.operator", "desk");
        var (phone, _, _) = await LogInAsync("choi.operator", "phone");
        var (other, _, _) = await LogInAsync("park.viewer");

        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(HttpMethod.Post, "/api/logout/everywhere", phone)).StatusCode);

        foreach (var service in Taking)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(service, desk)).StatusCode);
            Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(service, phone)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await AskAsync(service, other)).StatusCode);
        }
    }

    [Fact]
    public async Task Whose_account_is_deleted_is_signed_out_everywhere_and_nobody_else()
    {
        var (manager, _, _) = await LogInAsync("lee.manager");
        Assert.Equal(HttpStatusCode.Created, (await AddAsync(manager, "baek.leaver")).StatusCode);
        var (desk, refresh, _) = await LogInAsync("baek.leaver", "desk");
        var (phone, _, _) = await LogInAsync("baek.leaver", "phone");

        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(HttpMethod.Delete, "/api/users/baek.leaver", manager, Users)).StatusCode);

        foreach (var token in (string[])[desk, phone])
        foreach (var service in Taking)
            Assert.True(
                await Eventually.IsTrueAsync(async () => (await AskAsync(service, token)).StatusCode == HttpStatusCode.Unauthorized),
                $"the service at {service} still takes a token of the account"
            );
        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(refresh)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(Bills, manager)).StatusCode);
    }

    [Fact]
    public async Task Of_many_who_want_one_id_at_once_one_gets_it_and_the_others_are_told()
    {
        var (manager, _, _) = await LogInAsync("lee.manager");

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => AddAsync(manager, "shin.twin")));

        Assert.Equal(
            [HttpStatusCode.Created, .. Enumerable.Repeat(HttpStatusCode.Conflict, 7)],
            answers.Select(answer => answer.StatusCode).Order()
        );
    }

    [Fact]
    public async Task Who_guesses_passwords_is_told_to_wait_and_others_are_not()
    {
        HttpResponseMessage last = null!;
        for (var guess = 0; guess < 6; guess++)
            last = await services.Http.PostAsJsonAsync(
                services.At(Auth, "/api/login"),
                new { userId = "no.such.user", password = "guess" }
            );

        Assert.Equal(HttpStatusCode.TooManyRequests, last.StatusCode);
        Assert.InRange(last.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        Assert.Equal("application/problem+json", last.Content.Headers.ContentType!.MediaType);
        await LogInAsync("park.viewer");
    }

    [Fact]
    public async Task Forged_tokens_open_nothing_and_no_secret_stands_in_a_log()
    {
        var (token, refresh, _) = await LogInAsync("park.viewer");
        var parts = token.Split('.');
        var none = Convert.ToBase64String(Encoding.UTF8.GetBytes("""{"alg":"none","typ":"at+jwt","kid":"phonebill"}""")).TrimEnd('=');

        foreach (
            var forged in (string[])
                [$"{none}.{parts[1]}.", $"{none}.{parts[1]}.{parts[2]}", token[..^4], token + "AAAA", $"{parts[0]}.{parts[1]}"]
        )
        foreach (var service in Taking)
            Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(service, forged)).StatusCode);

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(Bills, token)).StatusCode);
        var logs = services.Logs;
        Assert.NotEmpty(logs);
        Assert.DoesNotContain(parts[2], logs, StringComparison.Ordinal);
        Assert.DoesNotContain(refresh[..24], logs, StringComparison.Ordinal);
        Assert.DoesNotContain(Seed.Password, logs, StringComparison.Ordinal);
    }

    private async Task<(string Token, string Refresh, string Session)> LogInAsync(string userId, string device = "test")
    {
        var response = await services.Http.PostAsJsonAsync(
            services.At(Auth, "/api/login"),
            new
            {
                userId,
                password = Seed.Password,
                device,
            }
        );
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var body = await response.Content.ReadFromJsonAsync<JsonElement>();
        return (Text("token"), Text("refreshToken"), Text("session"));

        string Text(string name) => body.GetProperty(name).GetString()!;
    }

    private async Task<HttpResponseMessage> AddAsync(string token, string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, services.At(Users, "/api/users"))
        {
            Content = JsonContent.Create(
                new
                {
                    id,
                    name = "새 사람",
                    email = $"{id}@phonebill.example",
                    role = "viewer",
                    password = Seed.Password,
                }
            ),
        };
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        return await services.Http.SendAsync(request);
    }

    private Task<HttpResponseMessage> RefreshAsync(string refreshToken) =>
        services.Http.PostAsJsonAsync(services.At(Auth, "/api/refresh"), new { refreshToken });

    private Task<HttpResponseMessage> AskAsync(int service, string token) => SendAsync(HttpMethod.Get, "/api/cache/warmup", token, service);

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string token, int service = Auth)
    {
        using var request = new HttpRequestMessage(method, services.At(service, path));
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        return await services.Http.SendAsync(request);
    }
}
