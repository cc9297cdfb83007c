using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Onggi.Keys;
using PhoneBill.Contracts;

namespace PhoneBill.Demo;

/// <summary>The steps of the story: each makes real calls and says what it expects of the answers.</summary>
public sealed class Scenes(Stage stage, CancellationToken cancellationToken)
{
    private const string User = "lee.manager";

    // The services let memory keep an entry for one second at most; an invalidation must be seen everywhere by then, and is much earlier.
    private static readonly TimeSpan MemoryTime = TimeSpan.FromSeconds(1);

    // A service hears that Redis is empty when it is connected again; the step before has waited for that. Where a warm-up could store nothing, it comes again after half a minute.
    private static readonly TimeSpan WarmUpTime = TimeSpan.FromSeconds(45);

    private static readonly LineRow[] Lines =
    [
        .. Seed.Lines().Where(line => line is { State: "active", CustomerType: "general", ProductCode: not "5G-PREMIER" }),
    ];

    // What KOS was promised: ten calls in a second, twenty at once when nothing was asked for long.
    private const int KosPerSecond = 10;
    private const int KosBurst = 20;

    // Of months that nothing else in the story asks for.
    private static readonly string[] OldBills =
    [
        .. Lines.Take(10).SelectMany(line => Enumerable.Range(1, 6).Select(month => $"/api/bills/{line.LineNumber}/2024-0{month}")),
    ];

    private readonly Ports _ports = stage.Ports;
    private readonly Caller _caller = new(stage.Http);
    private readonly string _month = Months.Current(TimeProvider.System);

    // When each warm-up had ended last in each process, before Redis was killed.
    private Dictionary<(int Port, string Name), string> _warmedBefore = [];

    private static LineRow Line => Lines[0];

    public async Task LogInAsync(Step step)
    {
        var body = new { userId = User, password = Seed.Password };
        var answer = await _caller.SendAsync(HttpMethod.Post, _ports.Auth, "/api/login", body, cancellationToken);
        step.Saw(answer);
        step.Expect(answer.IsOk, "200 and a token", answer);
        step.Note = $"{answer.Field("user.name")}, {answer.Field("user.role")}";
        _caller.Token = answer.Field("token");
    }

    public async Task WarmUpAsync(Step step)
    {
        foreach (var (port, name) in stage.WarmUps)
        {
            var answer = await _caller.SendAsync(HttpMethod.Post, port, $"/api/cache/warmup/{name}", null, cancellationToken);
            step.Expect(answer.IsOk, $"200 for the warm-up '{name}'", answer);
            var all = int.TryParse(answer.Field("stored"), out var stored) && stored > 0 && answer.Field("failed") == "0";
            step.Expect(all, $"the warm-up '{name}' to store something, and to leave nothing out", answer);
            step.Details[name] = stored;
        }

        step.Note = string.Join(", ", step.Details.Select(detail => $"{detail.Value} {detail.Key}"));
    }

    public async Task FirstBillAsync(Step step)
    {
        var calls = await KosBillCallsAsync();
        var answer = await BillAsync(_ports.BillInquiry);
        step.Saw(answer);
        step.Expect(answer.IsOk && answer.Tier == "loader", "200, tier loader", answer);
        await ExpectKosCallsAsync(step, calls, more: 1);
        step.Note = $"{answer.Field("productName")}, {answer.Field("total")} won";
    }

    public async Task BillFromRedisAsync(Step step, int port)
    {
        var calls = await KosBillCallsAsync();
        var answer = await BillAsync(port);
        var began = Stopwatch.GetTimestamp();
        while (answer.Tier == "memory" && Stopwatch.GetElapsedTime(began) < 3 * MemoryTime)
            answer = await BillAsync(port);

        step.Saw(answer);
        step.Expect(answer.IsOk && answer.Tier == "redis", "200, tier redis", answer);
        await ExpectKosCallsAsync(step, calls, more: 0);
    }

    public async Task BillFromMemoryAsync(Step step, int port)
    {
        var answer = await BillAsync(port);
        step.Saw(answer);
        step.Expect(answer.IsOk && answer.Tier == "memory", "200, tier memory", answer);
    }

    public async Task ChangeProductAsync(Step step)
    {
        // Both replicas have the old bill in memory when the change is made.
        await Task.WhenAll(FreshInMemoryAsync(_ports.BillInquiry), FreshInMemoryAsync(_ports.BillInquiryReplica));

        int[] replicas = [_ports.BillInquiry, _ports.BillInquiryReplica];
        var heard = await Task.WhenAll(replicas.Select(BillsLetGoAsync));
        var path = $"/api/lines/{Line.LineNumber}/product";
        var answer = await _caller.SendAsync(
            HttpMethod.Post,
            _ports.ProductChange,
            path,
            new { productCode = "5G-PREMIER" },
            cancellationToken
        );
        step.Saw(answer);
        step.Expect(answer.IsOk, "200", answer);

        // A replica that asked KOS before it heard of the change would not keep what it got: the next steps would tell of that race.
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < replicas.Length; i++)
            await HeardAsync(replicas[i], heard[i]);
        var waited = Stopwatch.GetElapsedTime(began);
        step.Expect(waited <= MemoryTime, "both replicas to hear of it within 1 s", $"{waited.TotalMilliseconds:0} ms");
        step.Note =
            $"{Line.ProductCode} → 5G-PREMIER, KOS receipt {answer.Field("receiptNo")}; both replicas knew after {waited.TotalMilliseconds:0} ms";
    }

    public async Task NewBillAsync(Step step, int port, string tier)
    {
        var calls = await KosBillCallsAsync();
        var (answer, waited) = await UntilAsync(() => BillAsync(port), bill => bill.Field("productCode") == "5G-PREMIER");
        step.Saw(answer);
        step.Expect(answer.Field("productCode") == "5G-PREMIER", "the new product on the bill", answer.Field("productCode"));
        step.Expect(answer.Tier == tier, $"tier {tier}", answer);
        await ExpectKosCallsAsync(step, calls, more: tier == "loader" ? 1 : 0);
        Told(step, waited);
        step.Note = $"{answer.Field("productName")}, {answer.Field("total")} won; {step.Note}";
    }

    public async Task UpdateUserAsync(Step step)
    {
        var email = $"lee.{Random.Shared.Next(100_000)}@phonebill.example";
        var (before, _) = await UntilAsync(MeAsync, user => user.Tier == "memory");
        step.Expect(before.Tier == "memory", "Auth to have the user in memory", before);

        var body = new
        {
            name = "이매니저",
            email,
            role = "manager",
        };
        var change = await _caller.SendAsync(HttpMethod.Put, _ports.Users, $"/api/users/{User}", body, cancellationToken);
        step.Expect(change.IsOk, "200 for the change", change);

        var (answer, waited) = await UntilAsync(MeAsync, user => user.Field("email") == email);
        step.Saw(answer);
        step.Expect(answer.Field("email") == email, $"the address {email} at Auth", answer.Field("email"));
        step.Expect(answer.Tier is "loader" or "redis", "tier loader or redis", answer);
        var list = await _caller.GetAsync(_ports.Users, "/api/users", cancellationToken);
        step.Expect(list.Text.Contains(email, StringComparison.Ordinal), "the new address in the list of users too", list);
        Told(step, waited);
    }

    public async Task CachedWithoutKosAsync(Step step)
    {
        await KosModeAsync("fail");
        var answer = await BillAsync(_ports.BillInquiry);
        step.Saw(answer);
        step.Expect(answer is { IsOk: true, Tier: "memory" or "redis" }, "200, tier memory or redis", answer);
    }

    public Task UncachedWhileKosFailsAsync(Step step) => UncachedAsync(step, "fail", Lines[1], within: TimeSpan.FromSeconds(1));

    public Task UncachedWhileKosHangsAsync(Step step) => UncachedAsync(step, "hang", Lines[2], within: TimeSpan.FromSeconds(4));

    public async Task KosIsBackAsync(Step step)
    {
        await KosModeAsync("ok");
        var answer = await BillAsync(_ports.BillInquiry, Lines[1]);
        step.Saw(answer);
        step.Expect(answer.IsOk && answer.Tier == "loader", "200, tier loader", answer);
    }

    /// <summary>Sixty bills that nobody has, at once, of two replicas: the budget is one for both, and who is too many is told when to come back.</summary>
    public async Task KosBudgetAsync(Step step)
    {
        var calls = await KosBillCallsAsync();
        var began = Stopwatch.GetTimestamp();
        var answers = await Task.WhenAll(
            OldBills.Select(
                (path, i) => _caller.GetAsync(i % 2 == 0 ? _ports.BillInquiry : _ports.BillInquiryReplica, path, cancellationToken)
            )
        );
        var got = await KosBillCallsAsync() - calls;
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        step.Milliseconds = seconds * 1000;

        var denied = answers
            .Where(answer => answer.Status == 503 && answer.Field("detail").Contains("promised", StringComparison.Ordinal))
            .ToList();
        var most = KosBurst + (int)Math.Ceiling(KosPerSecond * seconds);
        step.Expect(got <= most, $"at most {most} calls of KOS in {seconds:0.0} s", got);
        step.Expect(
            got > 0 && answers.Count(answer => answer.IsOk) == got,
            "a bill for each of these calls",
            answers.Count(answer => answer.IsOk)
        );
        step.Expect(denied.Count > 0, "503 for those that were too many", "none");
        step.Expect(
            denied.TrueForAll(answer => answer.RetryAfter == 1),
            "Retry-After: 1",
            denied.Find(answer => answer.RetryAfter != 1)?.RetryAfter ?? 0
        );

        // Who comes back when they were told to, alone, is served.
        await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
        var again = await _caller.GetAsync(_ports.BillInquiry, OldBills[Array.FindIndex(answers, denied.Contains)], cancellationToken);
        step.Expect(again.IsOk, "the bill, a second later", again);
        step.Details["asked"] = answers.Length;
        step.Details["kosCalls"] = got;
        step.Details["denied"] = denied.Count;
        step.Note = $"{answers.Length} bills asked for, {got} calls of KOS in {seconds:0.0} s, {denied.Count} told to come back in 1 s";
    }

    public async Task RedisOutageAsync(Step step)
    {
        string[] paths = [.. Lines.Take(3).Select(PathOf)];
        _warmedBefore = (await WarmUpStatesAsync()).ToDictionary(one => one.Key, one => one.Value.Ended);
        await new Outage(stage, _caller, paths).RunAsync(step, cancellationToken);
    }

    public async Task LogInAgainAsync(Step step)
    {
        var lost = await MeAsync();
        step.Expect(lost.Status == 401, "401 at Auth, which looks at the session", lost);
        await LogInAsync(step);
        step.Note = $"{step.Note}; until then the other services took the token, which nobody has revoked, for its quarter of an hour";
    }

    public async Task WarmedByThemselvesAsync(Step step)
    {
        string[] names = [.. stage.WarmUps.Select(one => one.Name)];
        var began = Stopwatch.GetTimestamp();
        var warmed = await WarmedSinceAsync();
        while (!names.All(name => warmed.Any(one => one.Name == name)) && Stopwatch.GetElapsedTime(began) < WarmUpTime)
        {
            await Task.Delay(50, cancellationToken);
            warmed = await WarmedSinceAsync();
        }

        foreach (var name in names)
        {
            var runs = warmed.Where(one => one.Name == name).ToList();
            step.Expect(runs.Count == 1, $"one process to have warmed '{name}'", runs.Count);
            step.Details[name] = runs.Sum(one => one.Stored);
            step.Expect(runs.Sum(one => one.Stored) > 0, $"the warm-up '{name}' to store something", 0);
        }

        step.Note =
            string.Join(", ", step.Details.Select(detail => $"{detail.Value} {detail.Key}"))
            + "; nobody asked for it, and of the two replicas that have 'config' one did it";
    }

    public async Task ForeignReaderAsync(Step step)
    {
        // Right after the outage memory may still answer with a bill that was loaded while there was no Redis to store it in.
        var (bill, _) = await UntilAsync(() => BillAsync(_ports.BillInquiry), answer => answer.Tier == "redis");
        step.Expect(bill.IsOk && bill.Tier == "redis", "200, tier redis", bill);
        var keyspace = Keyspace.Load(Catalog.Json, personalSecret: stage.PersonalSecret);
        var key = keyspace.WireName(Keys.Bill(Line.LineNumber, _month).Entry);
        var began = Stopwatch.GetTimestamp();
        var json = await RedisCli.GetAsync(_ports.Redis, stage.Redis.PasswordOf(RedisServer.Operator), key, cancellationToken);
        step.Milliseconds = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        // The service adds the product's name, from the product's own entry.
        var answered = Parse(bill.Text);
        answered?.Remove("productName");
        step.Expect(JsonNode.DeepEquals(Parse(json), answered), $"the bill as the service answers it: {bill.Text}", json);
        step.Note = $"GET {key} → {json}";
    }

    // One that found no Redis to store in has ended too, and has warmed nothing.
    private async Task<List<(string Name, int Stored)>> WarmedSinceAsync() =>
        [
            .. (await WarmUpStatesAsync())
                .Where(one => one.Value.Stored > 0 && one.Value.Ended != _warmedBefore.GetValueOrDefault(one.Key, ""))
                .Select(one => (one.Key.Name, one.Value.Stored)),
        ];

    /// <summary>What each process says of each of its warm-ups.</summary>
    private async Task<Dictionary<(int Port, string Name), (string Ended, int Stored)>> WarmUpStatesAsync()
    {
        var states = new Dictionary<(int, string), (string, int)>();
        foreach (var (port, name) in stage.WarmUpReplicas)
        {
            var list = await _caller.GetAsync(port, "/api/cache/warmup", cancellationToken);
            var state = Parse(list.Text)?["warmUps"]?.AsArray().FirstOrDefault(one => (string?)one?["name"] == name);
            if (state?["lastEnded"] is { } ended)
                states[(port, name)] = ((string)ended!, (int?)state["last"]?["stored"] ?? 0);
        }

        return states;
    }

    private static JsonObject? Parse(string json) => json.StartsWith('{') ? JsonNode.Parse(json)!.AsObject() : null;

    private static string Seen(TimeSpan waited) =>
        waited == TimeSpan.Zero ? "at once" : $"{waited.TotalMilliseconds:0} ms after the change was answered";

    private static void Told(Step step, TimeSpan waited)
    {
        step.Expect(waited <= MemoryTime, "no old answer later than 1 s after the change", $"one after {waited.TotalMilliseconds:0} ms");
        step.Details["oldAnswersForMs"] = Math.Round(waited.TotalMilliseconds);
        step.Note = $"new value seen {Seen(waited)}";
    }

    /// <summary>Asks until the answer is the new one; how long that took, zero when the first one was.</summary>
    private static async Task<(Answer Answer, TimeSpan Waited)> UntilAsync(Func<Task<Answer>> ask, Predicate<Answer> isNew)
    {
        var began = Stopwatch.GetTimestamp();
        var answer = await ask();
        if (isNew(answer))
            return (answer, TimeSpan.Zero);
        while (!isNew(answer) && Stopwatch.GetElapsedTime(began) < 3 * MemoryTime)
            answer = await ask();
        return (answer, Stopwatch.GetElapsedTime(began));
    }

    /// <summary>Waits until memory has just taken the bill from Redis, so that it would keep it for the longest time.</summary>
    private async Task FreshInMemoryAsync(int port)
    {
        var began = Stopwatch.GetTimestamp();
        while ((await BillAsync(port)).Tier == "memory" && Stopwatch.GetElapsedTime(began) < 3 * MemoryTime)
            await Task.Delay(20, cancellationToken);
    }

    private async Task HeardAsync(int port, double before)
    {
        var began = Stopwatch.GetTimestamp();
        while (await BillsLetGoAsync(port) <= before && Stopwatch.GetElapsedTime(began) < 3 * MemoryTime)
            await Task.Delay(5, cancellationToken);
    }

    /// <summary>How many bills a replica has let go of on the word of others, as its metrics tell.</summary>
    private async Task<double> BillsLetGoAsync(int port)
    {
        const string Counter = "onggi_cache_invalidations_total{onggi_family=\"bill\"} ";
        var metrics = await _caller.GetAsync(port, "/metrics", cancellationToken);
        var line = metrics.Text.Split('\n').FirstOrDefault(text => text.StartsWith(Counter, StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line.AsSpan(Counter.Length), CultureInfo.InvariantCulture);
    }

    private async Task UncachedAsync(Step step, string mode, LineRow line, TimeSpan within)
    {
        await KosModeAsync(mode);
        var answer = await BillAsync(_ports.BillInquiry, line);
        step.Saw(answer);
        step.Expect(answer.Status == 503 && answer.Field("detail").Contains("KOS", StringComparison.Ordinal), "503 that names KOS", answer);
        step.Expect(
            answer.Milliseconds < within.TotalMilliseconds,
            $"an answer within {within.TotalSeconds} s",
            $"{answer.Milliseconds:0} ms"
        );
        step.Note = answer.Field("detail");
    }

    private Task<Answer> BillAsync(int port, LineRow? line = null) => _caller.GetAsync(port, PathOf(line ?? Line), cancellationToken);

    private Task<Answer> MeAsync() => _caller.GetAsync(_ports.Auth, "/api/me", cancellationToken);

    private string PathOf(LineRow line) => $"/api/bills/{line.LineNumber}/{_month}";

    private Task<Answer> KosModeAsync(string mode) =>
        _caller.SendAsync(HttpMethod.Post, _ports.Kos, $"/admin/mode/{mode}", null, cancellationToken);

    private async Task<int> KosBillCallsAsync()
    {
        var answer = await _caller.GetAsync(_ports.Kos, "/admin/calls", cancellationToken);
        return int.TryParse(answer.Field("byOperation.bill"), out var calls) ? calls : 0;
    }

    private async Task ExpectKosCallsAsync(Step step, int before, int more)
    {
        var calls = await KosBillCallsAsync() - before;
        step.Details["kosCalls"] = calls;
        step.Expect(calls == more, $"{more} calls of KOS", calls);
    }
}
