using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Onggi.DeployTests.Monitoring;

/// <summary>An alert as somebody is told of it.</summary>
/// <param name="IsFiring">Whether it begins; it is over otherwise.</param>
/// <param name="Receiver">Who is told.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Annotations">What is said.</param>
internal sealed record ToldAlert(
    bool IsFiring,
    string Receiver,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlyDictionary<string, string> Annotations
)
{
    public string Name => Labels["alertname"];

    public string Instance => Labels.GetValueOrDefault("instance", "");
}

/// <summary>Whoever the alert manager tells.</summary>
internal sealed class Webhook : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ToldAlert> _told = new();

    private Webhook(WebApplication app) => _app = app;

    public string Address => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/";

    /// <summary>All that was told so far.</summary>
    public IReadOnlyCollection<ToldAlert> Told => _told;

    public static async Task<Webhook> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.None);
        var app = builder.Build();
        var webhook = new Webhook(app);
        app.MapPost("/", webhook.TakeAsync);
        await app.StartAsync();
        return webhook;
    }

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(soon.Token);
        await _app.DisposeAsync();
    }

    private async Task TakeAsync(HttpContext context)
    {
        using var body = await JsonDocument.ParseAsync(context.Request.Body);
        var receiver = body.RootElement.GetProperty("receiver").GetString()!;
        foreach (var alert in body.RootElement.GetProperty("alerts").EnumerateArray())
            _told.Enqueue(
                new ToldAlert(
                    alert.GetProperty("status").GetString() == "firing",
                    receiver,
                    Words(alert.GetProperty("labels")),
                    Words(alert.GetProperty("annotations"))
                )
            );
    }

    private static Dictionary<string, string> Words(JsonElement words) =>
        words.EnumerateObject().ToDictionary(word => word.Name, word => word.Value.GetString()!, StringComparer.Ordinal);
}
