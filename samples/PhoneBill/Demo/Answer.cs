using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace PhoneBill.Demo;

/// <summary>What a service answered: status, where it had the answer from, how long it took, and the body as it came.</summary>
public sealed record Answer(int Status, string Tier, double Milliseconds, string Text)
{
    /// <summary>After how many seconds it is worth while to ask again; 0 where the answer does not say.</summary>
    public int RetryAfter { get; init; }

    public bool IsOk => Status is >= 200 and < 300;

    /// <summary>A field of the answer, dots lead inwards: <c>user.email</c>.</summary>
    public string Field(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(Text);
            var element = json.RootElement;
            foreach (var name in path.Split('.'))
                element = element.GetProperty(name);
            return element.ToString();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return "";
        }
    }

    public override string ToString() =>
        IsOk ? $"{Status}, tier {(Tier.Length == 0 ? "none" : Tier)}" : $"{Status} {Field("title")}: {Field("detail")}";
}

/// <summary>Calls services as any client would: HTTP, JSON, a bearer token.</summary>
public sealed class Caller(HttpClient http)
{
    public string? Token { get; set; }

    public Task<Answer> GetAsync(int port, string path, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, port, path, null, cancellationToken);

    public async Task<Answer> SendAsync(HttpMethod method, int port, string path, object? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, $"http://127.0.0.1:{port}{path}");
        request.Content = body is null ? null : JsonContent.Create(body);
        request.Headers.Authorization = Token is null ? null : new AuthenticationHeaderValue("Bearer", Token);
        var began = Stopwatch.GetTimestamp();
        using var response = await http.SendAsync(request, cancellationToken);
        var text = await response.Content.ReadAsStringAsync(cancellationToken);
        var tier = response.Headers.TryGetValues("X-Cache-Tier", out var values) ? values.First() : "";
        return new Answer((int)response.StatusCode, tier, Stopwatch.GetElapsedTime(began).TotalMilliseconds, text)
        {
            RetryAfter = (int)(response.Headers.RetryAfter?.Delta?.TotalSeconds ?? 0),
        };
    }
}
