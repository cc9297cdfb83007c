using System.Net;
using System.Net.Http.Headers;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore;
using Onggi.Client;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi.ServerTests.WebAuthentication;

/// <summary>One replica of a web service that takes bearer tokens and cookies, and has web sessions.</summary>
internal sealed class AuthSite : IAsyncDisposable
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "auth": {} },
          "families": {
            "session": {
              "key": "auth:session:{sessionId}", "kind": "session", "owner": "auth",
              "idle": "30m", "absolute": "24h", "limit": "5", "policy": "oldest"
            },
            "blacklist": { "kind": "token", "key": "auth:token:blacklist:{jti}", "owner": "auth", "ttl": "15m" },
            "refresh": { "kind": "token", "key": "auth:token:refresh:{userId}", "owner": "auth", "ttl": "30d" },
            "web_session": { "key": "cache:web-session:{key}", "kind": "cache", "ttl": "20m" }
          }
        }
        """;

    /// <summary>The keys that all sites share.</summary>
    public static readonly TokenKey Key = TokenKey.Generate("shared");

    private readonly TaskCompletionSource _held = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly WebApplication _app;

    private AuthSite(WebApplication app, LogLines log)
    {
        (_app, Log) = (app, log);
        app.UseExceptionHandler();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseSession();
        MapBearer();
        MapCookies();
        MapWebSession();
    }

    public HttpClient Client { get; private set; } = null!;

    public LogLines Log { get; }

    public IServiceProvider Services => _app.Services;

    public OnggiSessions Sessions => Services.GetRequiredService<OnggiSessions>();

    public OnggiTokens Tokens => Services.GetRequiredService<OnggiTokens>();

    public OnggiSignIn SignIn => Services.GetRequiredService<OnggiSignIn>();

    public RedisClient Redis => Services.GetRequiredService<RedisClient>();

    public Keyspace Keys => Services.GetRequiredService<Keyspace>();

    public IDataProtector Protector => Services.GetRequiredService<IDataProtectionProvider>().CreateProtector("test");

    /// <summary>Done when a request is in the middle.</summary>
    public Task Held => _held.Task.Within();

    public static async Task<AuthSite> StartAsync(
        string connectionString,
        Action<OnggiOptions>? configure = null,
        Action<OnggiBearerOptions>? bearer = null,
        Action<OnggiTicketStoreOptions>? tickets = null
    )
    {
        var log = new LogLines();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseSetting("urls", "http://127.0.0.1:0");
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Trace);
        builder.Services.AddSingleton<ILoggerFactory>(log);
        builder.Services.AddOnggi(onggi =>
        {
            onggi.ConnectionString = connectionString;
            onggi.Service = "auth";
            onggi.Catalog = CatalogJson;
            onggi.TokenKeys = new TokenKeyRing(Key);
            onggi.Tokens.Issuer = "shop";
            onggi.Tokens.RefreshSecret = "a secret of refresh tokens, long enough";
            onggi.Sessions.TouchEvery = TimeSpan.Zero;
            // Where no test waits for it, it is far longer than anything takes on a busy machine.
            onggi.CommandTimeout = TimeSpan.FromSeconds(15);
            configure?.Invoke(onggi);
        });
        builder.Services.AddProblemDetails();
        builder.Services.AddAuthorization();
        builder.Services.AddDataProtection().SetApplicationName("shop").PersistKeysToOnggi();
        builder.Services.AddOnggiWebSession();
        builder
            .Services.AddAuthentication(OnggiBearerDefaults.AuthenticationScheme)
            .AddOnggiBearer(bearer)
            .AddOnggiBearer("Strict", static options => options.RequireConfirmed = true)
            .AddOnggiBearer("Session", static options => options.Session = SessionCheck.Required)
            .AddCookie(static cookies =>
            {
                cookies.Events.OnCheckSlidingExpiration = static check =>
                {
                    check.ShouldRenew = check.Request.Query.ContainsKey("renew");
                    return Task.CompletedTask;
                };
                cookies.Events.OnRedirectToLogin = static redirect =>
                {
                    redirect.Response.StatusCode = StatusCodes.Status401Unauthorized;
                    return Task.CompletedTask;
                };
            })
            .AddOnggiTicketStore(tickets);
        var site = new AuthSite(builder.Build(), log);
        await site._app.StartAsync().Within();
        site.Client = new HttpClient(new HttpClientHandler { UseCookies = false, AllowAutoRedirect = false })
        {
            BaseAddress = new Uri(site._app.Urls.Single()),
        };
        return site;
    }

    public static void Impatient(OnggiOptions options) => options.CommandTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Lets the request that is in the middle go on.</summary>
    public void Release() => _release.TrySetResult();

    public Task<HttpResponseMessage> GetAsync(string path, string? bearer = null, string? cookie = null) =>
        SendAsync(HttpMethod.Get, path, bearer is null ? null : $"Bearer {bearer}", cookie);

    public Task<HttpResponseMessage> PostAsync(string path, string? cookie = null) => SendAsync(HttpMethod.Post, path, null, cookie);

    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? authorization, string? cookie)
    {
        using var request = new HttpRequestMessage(method, path);
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        if (cookie is not null)
            request.Headers.Add("Cookie", cookie);
        return await Client.SendAsync(request).Within();
    }

    /// <summary>Signs in by cookie; the cookie as a browser would send it.</summary>
    public async Task<string> CookieAsync(string user, string role = "user", string? shown = null)
    {
        var response = await PostAsync($"/cookie/in?user={user}&role={role}", shown);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return CookieOf(response)!;
    }

    public static string? CookieOf(HttpResponseMessage response, string begin = ".AspNetCore.Cookies=") =>
        response.Headers.TryGetValues("Set-Cookie", out var cookies)
            ? cookies.LastOrDefault(cookie => cookie.StartsWith(begin, StringComparison.Ordinal))?.Split(';')[0]
            : null;

    /// <summary>Whom the site takes a cookie for; <c>null</c> for nobody.</summary>
    public async Task<string?> WhoAsync(string cookie)
    {
        var response = await GetAsync("/cookie/who", cookie: cookie);
        return response.StatusCode == HttpStatusCode.OK ? await response.Content.ReadAsStringAsync() : null;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }

    private void MapBearer()
    {
        static string Say(HttpContext http)
        {
            var caller = http.GetOnggiCaller()!;
            var roles = string.Join(',', http.User.FindAll("role").Select(claim => claim.Value));
            return $"{http.User.Identity!.Name}|{roles}|{caller.Session?.Handle}|{caller.IsConfirmed}";
        }

        _app.MapGet("/bearer", Say).RequireAuthorization();
        _app.MapGet("/strict", Say).RequireAuthorization(policy => policy.AddAuthenticationSchemes("Strict").RequireAuthenticatedUser());
        _app.MapGet("/session", Say).RequireAuthorization(policy => policy.AddAuthenticationSchemes("Session").RequireAuthenticatedUser());
        _app.MapGet("/admin", Say).RequireAuthorization(policy => policy.RequireRole("admin"));
        _app.MapGet("/open", (HttpContext http) => http.User.Identity?.Name ?? "nobody");
    }

    private void MapCookies()
    {
        const string Scheme = CookieAuthenticationDefaults.AuthenticationScheme;
        _app.MapPost(
            "/cookie/in",
            (string user, string role, HttpContext http) =>
                http.SignInAsync(
                    Scheme,
                    new ClaimsPrincipal(
                        new ClaimsIdentity([new("sub", user), new(ClaimTypes.Role, role)], "password", "sub", ClaimTypes.Role)
                    )
                )
        );
        _app.MapPost("/cookie/out", (HttpContext http) => http.SignOutAsync(Scheme));
        _app.MapPost(
            "/cookie/out-in",
            async (string user, HttpContext http) =>
            {
                await http.SignOutAsync(Scheme);
                await http.SignInAsync(Scheme, new ClaimsPrincipal(new ClaimsIdentity([new("sub", user)], "password", "sub", "role")));
            }
        );
        // Changed rights: the same ticket, with another principal.
        _app.MapPost(
            "/cookie/grant",
            async (string role, HttpContext http) =>
            {
                var now = await http.AuthenticateAsync(Scheme);
                var identity = new ClaimsIdentity(now.Principal!.Identity);
                identity.AddClaim(new Claim(ClaimTypes.Role, role));
                await http.SignInAsync(Scheme, new ClaimsPrincipal(identity), now.Properties);
            }
        );
        _app.MapGet(
                "/cookie/who",
                (HttpContext http) =>
                    $"{http.User.Identity!.Name}|{string.Join(',', http.User.FindAll(ClaimTypes.Role).Select(claim => claim.Value))}"
            )
            .RequireAuthorization(policy => policy.AddAuthenticationSchemes(Scheme).RequireAuthenticatedUser());
        _app.MapGet(
                "/cookie/held",
                async (HttpContext http) =>
                {
                    _held.TrySetResult();
                    await _release.Task;
                    return http.User.Identity!.Name;
                }
            )
            .RequireAuthorization(policy => policy.AddAuthenticationSchemes(Scheme).RequireAuthenticatedUser());
    }

    private void MapWebSession()
    {
        _app.MapPost("/cart/add", (string item, HttpContext http) => http.Session.SetString(item, "1"));
        _app.MapGet("/cart", (HttpContext http) => string.Join(',', http.Session.Keys.Order(StringComparer.Ordinal)));
        _app.MapPost("/cart/clear", (HttpContext http) => http.Session.Clear());
        _app.MapPost(
            "/cart/clear-add",
            (string item, HttpContext http) =>
            {
                http.Session.Clear();
                http.Session.SetString(item, "1");
            }
        );
        _app.MapPost(
            "/cart/held",
            async (string item, HttpContext http) =>
            {
                await http.Session.LoadAsync();
                _held.TrySetResult();
                await _release.Task;
                http.Session.SetString(item, "1");
            }
        );
    }
}
