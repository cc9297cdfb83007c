using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Onggi.DeployTests.Pinning;

/// <summary>A registry of images on loopback: as much of the HTTP API v2 as asks for a digest, and each way in which that can go wrong.</summary>
internal sealed class FakeRegistry : IAsyncDisposable
{
    public const string Index = "application/vnd.oci.image.index.v1+json";
    public const string ListOfDocker = "application/vnd.docker.distribution.manifest.list.v2+json";
    public const string Single = "application/vnd.docker.distribution.manifest.v2+json";
    public const string User = "kim";
    public const string Password = "Hunter2Hunter2";
    private const string Token = "token-of-the-test";

    private readonly WebApplication _app;

    private FakeRegistry(WebApplication app) => _app = app;

    /// <summary>What was asked, in order: method, path and query.</summary>
    public ConcurrentQueue<string> Asked { get; } = [];

    /// <summary>Host and port.</summary>
    public string Host { get; private set; } = "";

    /// <summary>The digest of what a repository's tag holds.</summary>
    public static string DigestOf(string repository, string tag) =>
        $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Body(repository, tag)))}";

    public static async Task<FakeRegistry> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var registry = new FakeRegistry(builder.Build());
        registry._app.Run(registry.AnswerAsync);
        await registry._app.StartAsync();
        var addresses = registry._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!;
        registry.Host = new Uri(addresses.Addresses.Single()).Authority;
        return registry;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        Asked.Enqueue($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString}");
        if (context.Request.Path == "/token")
        {
            await GiveTokenAsync(context);
            return;
        }

        // /v2/<team>/<name>/manifests/<tag>
        if (context.Request.Path.Value!.Split('/') is not ["", "v2", var team, var name, "manifests", var tag])
        {
            context.Response.StatusCode = 404;
            return;
        }

        var repository = $"{team}/{name}";
        switch (name)
        {
            case "missing":
                context.Response.StatusCode = 404;
                return;
            case "busy":
                context.Response.StatusCode = 429;
                return;
            case "broken":
                context.Response.StatusCode = 503;
                return;
            case "silent":
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
                return;
            case "stalled":
                context.Response.ContentType = Index;
                await context.Response.WriteAsync("{", context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
                return;
            case "page":
                context.Response.ContentType = "text/html";
                await context.Response.WriteAsync("<html>Please sign in</html>");
                return;
            case "locked"
            or "closed"
            or "elsewhere"
            or "nowhere"
            or "tokenless" when context.Request.Headers.Authorization != $"Bearer {Token}":
                Challenge(context, name, repository);
                return;
            case "basic"
                when context.Request.Headers.Authorization
                    != $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{User}:{Password}"))}":
                context.Response.Headers.WWWAuthenticate = "Basic realm=\"the registry\"";
                context.Response.StatusCode = 401;
                return;
        }

        var accepted = string.Join(',', context.Request.Headers.Accept.ToArray());
        context.Response.ContentType = name switch
        {
            "single" => Single,
            "list" => ListOfDocker,
            _ => Index,
        };
        if (!accepted.Contains(context.Response.ContentType, StringComparison.Ordinal))
            context.Response.StatusCode = 406;
        context.Response.Headers["Docker-Content-Digest"] = DigestOf(repository, name == "liar" ? "other" : tag);
        await context.Response.Body.WriteAsync(Body(repository, tag));
    }

    private void Challenge(HttpContext context, string name, string repository)
    {
        var realm = name == "elsewhere" ? "http://tokens.example.org/token" : $"http://{Host}/token";
        context.Response.Headers.WWWAuthenticate =
            name == "nowhere"
                ? "Bearer service=\"registry\""
                : $"Bearer realm=\"{realm}\",service=\"registry, of the test\",scope=\"repository:{repository}:pull\"";
        context.Response.StatusCode = 401;
    }

    private static async Task GiveTokenAsync(HttpContext context)
    {
        var scope = context.Request.Query["scope"].ToString();
        if (context.Request.Query["service"] != "registry, of the test" || scope.Contains("closed", StringComparison.Ordinal))
            context.Response.StatusCode = 401;
        else
            await context.Response.WriteAsync(
                scope.Contains("tokenless", StringComparison.Ordinal) ? "{}" : $$"""{ "token": "{{Token}}", "expires_in": 300 }"""
            );
    }

    private static byte[] Body(string repository, string tag) =>
        Encoding.UTF8.GetBytes($$"""{ "schemaVersion": 2, "of": "{{repository}}:{{tag}}" }""");
}
