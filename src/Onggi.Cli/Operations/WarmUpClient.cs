using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Onggi.Cli.Output;

namespace Onggi.Cli.Operations;

/// <summary>How a warm-up of a service ended.</summary>
/// <param name="Service">Where.</param>
/// <param name="Name">Which; <c>null</c> where the service could not even be asked.</param>
internal sealed record WarmUpResult(Uri Service, string? Name)
{
    /// <summary>How many entries are in the cache now.</summary>
    public long Stored { get; init; }

    /// <summary>How many Redis did not take.</summary>
    public long Failed { get; init; }

    public double Seconds { get; init; }

    /// <summary>It ran already, and this is how that one ended.</summary>
    public bool Joined { get; init; }

    /// <summary>Why it failed; <c>null</c> when it did not.</summary>
    public string? Problem { get; init; }

    /// <summary>Whether there was anybody at all.</summary>
    public bool IsReached { get; init; } = true;

    public bool IsWell => Problem is null && Failed == 0;
}

/// <summary>Asks services to fill their caches, over the endpoints of <c>MapOnggiWarmUp</c>.</summary>
/// <param name="http">Follows no redirects: the token is for this service alone.</param>
/// <param name="path">Where the endpoints stand.</param>
/// <param name="token">The bearer token; <c>null</c> for none.</param>
/// <param name="timeout">How long one warm-up may take.</param>
/// <param name="time">The clock of that.</param>
internal sealed class WarmUpClient(HttpClient http, string path, string? token, TimeSpan timeout, TimeProvider time)
{
    private const string Lines = "application/x-ndjson";

    /// <summary>Runs the named warm-ups of a service, or all that it has, one after another.</summary>
    /// <returns>One result each; failures are results, too.</returns>
    public async Task<IReadOnlyList<WarmUpResult>> RunAsync(
        Uri service,
        IReadOnlyList<string> names,
        ToolProgress progress,
        CancellationToken cancellationToken
    )
    {
        var results = new List<WarmUpResult>();
        if (names.Count == 0)
        {
            var (known, problem) = await TryAsync(service, name: null, token => ListAsync(service, token), cancellationToken)
                .ConfigureAwait(false);
            if (problem is not null)
                return [problem];
            names = known!;
        }

        foreach (var name in names)
        {
            progress.Note = $"{service.Authority} {name}";
            var (result, problem) = await TryAsync(service, name, token => RunAsync(service, name, progress, token), cancellationToken)
                .ConfigureAwait(false);
            results.Add(result ?? problem!);
        }

        return results;
    }

    private async Task<IReadOnlyList<string>> ListAsync(Uri service, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Get, service, path);
        using var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
            throw new ToolException(Explain(response.StatusCode, body));
        var list = JsonElement.Parse(body);
        return [.. list.GetProperty("warmUps").EnumerateArray().Select(one => one.GetProperty("name").GetString()!)];
    }

    private async Task<WarmUpResult> RunAsync(Uri service, string name, ToolProgress progress, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Post, service, $"{path}/{Uri.EscapeDataString(name)}");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(Lines));
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken)
            .ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
            throw new ToolException(
                Explain(response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false))
            );
        var before = progress.Done;
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false));
        while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } text)
        {
            if (string.IsNullOrWhiteSpace(text))
                continue;
            var line = JsonElement.Parse(text);
            if (Member(line, "progress") is { } step)
                progress.Set(before + step.GetProperty("done").GetInt64());
            else if (Member(line, "problem") is { } problem)
                throw new ToolException(Explain(problem));
            else if (Member(line, "report") is { } report)
                return Report(service, name, report);
        }

        throw new ToolException("the service hung up before it was done: it was stopped, or something between cut the connection.");
    }

    private static WarmUpResult Report(Uri service, string name, JsonElement report) =>
        new(service, name)
        {
            Stored = report.GetProperty("stored").GetInt64(),
            Failed = report.GetProperty("failed").GetInt64(),
            Seconds = report.GetProperty("seconds").GetDouble(),
            Joined = report.GetProperty("joined").GetBoolean(),
        };

    private HttpRequestMessage Request(HttpMethod method, Uri service, string relative)
    {
        var request = new HttpRequestMessage(method, new Uri($"{service.AbsoluteUri.TrimEnd('/')}/{relative.TrimStart('/')}"));
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    private async Task<(T? Result, WarmUpResult? Problem)> TryAsync<T>(
        Uri service,
        string? name,
        Func<CancellationToken, Task<T>> ask,
        CancellationToken cancellationToken
    )
        where T : class
    {
        using var late = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return (await ask(either.Token).ConfigureAwait(false), null);
        }
        catch (ToolException problem)
        {
            return (null, new WarmUpResult(service, name) { Problem = problem.Message });
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (
                null,
                new WarmUpResult(service, name)
                {
                    Problem = $"it was not done after {Words.Time(timeout)}; it may go on. --timeout waits longer.",
                }
            );
        }
        catch (HttpRequestException problem)
        {
            return (null, new WarmUpResult(service, name) { Problem = $"it cannot be reached: {problem.Message}", IsReached = false });
        }
        catch (Exception problem) when (problem is JsonException or KeyNotFoundException or InvalidOperationException or IOException)
        {
            return (
                null,
                new WarmUpResult(service, name)
                {
                    Problem = $"its answer is not one of warm-up endpoints ({problem.Message}): is {path} right?",
                }
            );
        }
    }

    private static JsonElement? Member(JsonElement line, string name) =>
        line.ValueKind == JsonValueKind.Object && line.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.Object
            ? member
            : null;

    private string Explain(HttpStatusCode status, string body)
    {
        var said = status switch
        {
            HttpStatusCode.Unauthorized => token is null ? "it wants a token: --token-file" : "it does not take the token: has it ended?",
            HttpStatusCode.Forbidden => "the token is good, but may not warm up",
            _ when (int)status is >= 300 and < 400 => "it leads elsewhere, and a token is not taken along: name that address",
            _ => null,
        };
        var details = Details(body);
        return $"{((int)status).ToString(CultureInfo.InvariantCulture)}{(said is null ? "" : $", {said}")}{(details is null ? "" : $": {details}")}";
    }

    private static string? Details(string body)
    {
        try
        {
            return Explain(JsonElement.Parse(body));
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // Problem details: https://www.rfc-editor.org/rfc/rfc9457
    private static string Explain(JsonElement problem)
    {
        var title = Text(problem, "title");
        var detail = Text(problem, "detail");
        return Words.Key(
            detail is null ? title ?? "it does not say why"
            : title is null ? detail
            : $"{title}. {detail}"
        );
    }

    private static string? Text(JsonElement problem, string name) =>
        problem.ValueKind == JsonValueKind.Object && problem.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String
            ? text.GetString()
            : null;
}
