using PhoneBill.Contracts;

namespace PhoneBill.Demo;

/// <summary>Who is signed in, and until when: sessions and tokens, asked of Auth and of the services that take the tokens.</summary>
public sealed class SignInScenes(Stage stage, CancellationToken cancellationToken)
{
    private const string User = "park.viewer";
    private const int Guesses = 5;

    private readonly Ports _ports = stage.Ports;
    private readonly Caller _desk = new(stage.Http);
    private readonly Caller _phone = new(stage.Http);
    private string _refreshToken = "";
    private string _session = "";

    /// <summary>One token for all services; none, or a changed one, for none.</summary>
    public async Task BearerAsync(Step step)
    {
        var login = await LogInAsync(_desk, "desk");
        step.Saw(login);
        step.Expect(login.IsOk, "200 and tokens", login);
        foreach (var port in TakingPorts)
        {
            var answer = await AskAsync(_desk, port);
            step.Expect(answer.IsOk, $"the token to be taken at {port}", answer);
            var stranger = await AskAsync(new Caller(stage.Http), port);
            step.Expect(stranger.Status == 401, $"401 without a token at {port}", stranger);
            var forger = await AskAsync(new Caller(stage.Http) { Token = Forged(_desk.Token!) }, port);
            step.Expect(forger.Status == 401, $"401 with a changed token at {port}", forger);
        }

        step.Note = "the same token at all services; without one, or with one letter changed, 401";
    }

    /// <summary>Two tabs refresh at once with the same token: neither is signed out.</summary>
    public async Task RefreshAsync(Step step)
    {
        var body = new { refreshToken = _refreshToken };
        var tabs = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => PostAsync(_desk, "/api/refresh", body)));
        step.Saw(tabs[0]);
        step.Expect(tabs.All(tab => tab.IsOk), "200 for both tabs", string.Join(", ", tabs.Select(tab => tab.Status)));
        step.Expect(tabs[0].Field("token") == tabs[1].Field("token"), "the same token for both", "two");
        step.Expect(tabs[0].Field("token") != _desk.Token, "another token than before", "the same");
        _desk.Token = tabs[0].Field("token");
        var taken = await AskAsync(_desk, _ports.BillInquiry);
        step.Expect(taken.IsOk, "the new token to be taken", taken);
        step.Note = "both got the same successor, byte by byte";
    }

    /// <summary>A second device, seen in the list, and ended from the first.</summary>
    public async Task EndOneAsync(Step step)
    {
        var login = await LogInAsync(_phone, "phone");
        var phone = login.Field("session");
        step.Expect((await AskAsync(_phone, _ports.BillInquiry)).IsOk, "the phone to be signed in", login);
        var list = await _desk.GetAsync(_ports.Auth, "/api/sessions", cancellationToken);
        step.Expect(
            list.Text.Contains("\"device\":\"phone\"", StringComparison.Ordinal) && list.Text.Contains(_session, StringComparison.Ordinal),
            "both devices in the list",
            list.Text
        );

        var ended = await _desk.SendAsync(HttpMethod.Delete, _ports.Auth, $"/api/sessions/{phone}", null, cancellationToken);
        step.Saw(ended);
        step.Expect(ended.Status == 204, "204", ended);
        foreach (var port in TakingPorts)
        {
            var refused = await AskAsync(_phone, port);
            step.Expect(refused.Status == 401, $"401 for the phone at {port}", refused);
        }

        var refreshed = await PostAsync(_phone, "/api/refresh", new { refreshToken = login.Field("refreshToken") });
        step.Expect(refreshed.Status == 401, "401 for the phone's refresh token", refreshed);
        step.Expect((await AskAsync(_desk, _ports.BillInquiry)).IsOk, "the desk to go on", "it does not");
        step.Note = "the phone's token is refused by the next request, at every service; the desk goes on";
    }

    /// <summary>Everything at once; and one can come back.</summary>
    public async Task EverywhereAsync(Step step)
    {
        await LogInAsync(_phone, "phone");
        var answer = await PostAsync(_phone, "/api/logout/everywhere", null);
        step.Saw(answer);
        step.Expect(answer.Status == 204, "204", answer);
        foreach (var caller in (Caller[])[_desk, _phone])
        foreach (var port in TakingPorts)
        {
            var refused = await AskAsync(caller, port);
            step.Expect(refused.Status == 401, $"401 at {port}", refused);
        }

        await LogInAsync(_desk, "desk");
        step.Expect((await AskAsync(_desk, _ports.BillInquiry)).IsOk, "a new login to be good", "it is not");
        var out1 = await PostAsync(_desk, "/api/logout", null);
        step.Expect(out1.Status == 204, "204 for a plain logout", out1);
        var gone = await AskAsync(_desk, _ports.BillInquiry);
        step.Expect(gone.Status == 401, "401 after it", gone);
        step.Note = "all tokens of the user are dead at every service; who logs in again is in";
    }

    /// <summary>Somebody guesses passwords.</summary>
    public async Task GuessAsync(Step step)
    {
        var guesser = new Caller(stage.Http);
        Answer last = new(0, "", 0, "");
        for (var i = 0; i <= Guesses; i++)
        {
            last = await PostAsync(guesser, "/api/login", new { userId = "choi.operator", password = $"guess {i}" });
            var expected = i < Guesses ? 401 : 429;
            step.Expect(last.Status == expected, $"{expected} for guess {i + 1}", last);
        }

        step.Saw(last);
        // Others are not kept out.
        var other = await LogInAsync(_desk, "desk");
        step.Expect(other.IsOk, "200 for another user", other);
        step.Note = last.Field("detail");
    }

    private int[] TakingPorts => [_ports.Users, _ports.BillInquiry, _ports.BillInquiryReplica, _ports.ProductChange];

    private async Task<Answer> LogInAsync(Caller caller, string device)
    {
        var body = new
        {
            userId = User,
            password = Seed.Password,
            device,
        };
        var answer = await PostAsync(caller, "/api/login", body);
        caller.Token = answer.Field("token");
        if (device == "desk")
            (_refreshToken, _session) = (answer.Field("refreshToken"), answer.Field("session"));
        return answer;
    }

    private Task<Answer> PostAsync(Caller caller, string path, object? body) =>
        caller.SendAsync(HttpMethod.Post, _ports.Auth, path, body, cancellationToken);

    /// <summary>What the service answers to anybody who is signed in.</summary>
    private Task<Answer> AskAsync(Caller caller, int port) => caller.GetAsync(port, "/api/cache/warmup", cancellationToken);

    private static string Forged(string token) => token[..^6] + (token[^6] == 'A' ? 'B' : 'A') + token[^5..];
}
