using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.AspNetCaches;

/// <summary>ASP.NET's own <c>AddSession</c> and <c>UseSession</c> over our distributed cache, through HTTP, on two nodes.</summary>
public sealed class SessionOverCacheTests : IAsyncLifetime
{
    private readonly HttpClient _browser = Browser();
    private RedisServerProcess? _server;
    private string? _cookie;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync()
    {
        _browser.Dispose();
        await Server.DisposeAsync();
    }

    [Fact]
    public async Task What_one_node_puts_into_a_session_another_one_finds_and_each_request_lengthens_its_life()
    {
        await using var here = await new Shop().StartAsync(Server.ConnectionString);
        await using var there = await new Shop().StartAsync(Server.ConnectionString);

        await AskAsync(here, "/cart/add?item=salt");
        Assert.NotNull(_cookie);
        await AskAsync(there, "/cart/add?item=rice");

        Assert.Equal("rice,salt", await AskAsync(here, "/cart"));
        var key = Assert.Single(await here.KeysAsync(), static key => key.StartsWith("test:cache:distributed:", StringComparison.Ordinal));
        Assert.InRange(await Server.NumberAsync("PTTL", key), 1_140_000, 1_200_000);
        // As if nineteen of the twenty minutes had passed; both keys end at the same time, to the millisecond.
        var end = await Server.NumberAsync("PEXPIRETIME", key) - 1_140_000;
        await Server.CommandAsync("PEXPIREAT", key, $"{end}");
        await Server.CommandAsync("PEXPIREAT", $"{{{key}}}:s", $"{end}");
        Assert.Equal("rice,salt", await AskAsync(there, "/cart"));
        Assert.InRange(await Server.NumberAsync("PTTL", key), 1_140_000, 1_200_000);

        await AskAsync(there, "/cart/clear");
        Assert.Equal("", await AskAsync(here, "/cart"));
        await Server.CommandAsync("UNLINK", key);
        Assert.Equal("", await AskAsync(here, "/cart"));
    }

    [Fact]
    public async Task While_Redis_is_gone_pages_are_served_without_a_session()
    {
        await using var shop = await new Shop().StartAsync(Server.ConnectionString, WebNode.Impatient);
        await AskAsync(shop, "/cart/add?item=salt");

        await Server.KillAsync();

        Assert.Equal("away", await AskAsync(shop, "/cart"));
    }

    /// <summary>Why there is <c>AddOnggiWebSession</c>: WebSessionTests shows that it does not.</summary>
    [Fact]
    public async Task A_cache_overwrites_so_a_late_request_brings_back_what_was_cleared()
    {
        var held = new Shop();
        await using var here = await held.StartAsync(Server.ConnectionString);
        await AskAsync(here, "/cart/add?item=salt");

        var late = AskAsync(here, "/cart/held?item=rice");
        await held.InTheMiddle.Task.Within();
        await AskAsync(here, "/cart/clear");
        held.GoOn.TrySetResult();
        await late;

        Assert.Equal("rice,salt", await AskAsync(here, "/cart"));
    }

    private static HttpClient Browser() => new(new HttpClientHandler { UseCookies = false });

    private async Task<string> AskAsync(WebNode node, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(node.Client.BaseAddress!, path));
        if (_cookie is not null)
            request.Headers.Add("Cookie", _cookie);
        using var response = await _browser.SendAsync(request).Within();
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        if (response.Headers.TryGetValues("Set-Cookie", out var cookies))
            _cookie = cookies.Single().Split(';')[0];
        return await response.Content.ReadAsStringAsync();
    }

    private sealed class Shop
    {
        public TaskCompletionSource InTheMiddle { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource GoOn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<WebNode> StartAsync(string connectionString, Action<OnggiOptions>? configure = null) =>
            WebNode.StartAsync(
                connectionString,
                configure,
                static services =>
                {
                    services.AddDataProtection().SetApplicationName("shop").PersistKeysToOnggi();
                    services.AddSession();
                },
                app =>
                {
                    app.UseSession();
                    app.MapGet("/cart/add", static (string item, HttpContext http) => http.Session.SetString(item, "1"));
                    app.MapGet("/cart/clear", static (HttpContext http) => http.Session.Clear());
                    app.MapGet(
                        "/cart",
                        // Not loaded beforehand: then ASP.NET loads it at its first use, by a call that blocks.
                        static (HttpContext http) =>
                            http.Session.IsAvailable ? string.Join(',', http.Session.Keys.Order(StringComparer.Ordinal)) : "away"
                    );
                    app.MapGet(
                        "/cart/held",
                        async (string item, HttpContext http) =>
                        {
                            await http.Session.LoadAsync();
                            InTheMiddle.TrySetResult();
                            await GoOn.Task;
                            http.Session.SetString(item, "1");
                        }
                    );
                }
            );
    }
}
