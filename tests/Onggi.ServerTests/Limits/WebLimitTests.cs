using System.Net;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Limits;

/// <summary>Limits of requests, over HTTP.</summary>
public sealed class WebLimitTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task Over_the_limit_the_answer_is_429_and_says_when_and_how_much_there_is()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);
        var first = await site.GetAsync("/login");
        var second = await site.GetAsync("/login");
        var third = await site.GetAsync("/login");

        Assert.Equal(
            (HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.TooManyRequests),
            (first.StatusCode, second.StatusCode, third.StatusCode)
        );
        Assert.Equal("\"login\";q=2;w=60", first.Headers.GetValues("RateLimit-Policy").Single());
        Assert.Matches("^\"login\";r=1;t=\\d+$", first.Headers.GetValues("RateLimit").Single());
        Assert.Matches("^\"login\";r=0;t=\\d+$", third.Headers.GetValues("RateLimit").Single());
        Assert.InRange(third.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 30);
        Assert.Equal("application/problem+json", third.Content.Headers.ContentType!.MediaType);
        Assert.Contains("The limit \\u0022login\\u0022 is reached", await third.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        // Personal or not, the address stands in the key as the catalog says.
        Assert.Equal("1", await Server.CommandAsync("EXISTS", "test:rate_limit:login:ip-127.0.0.1"));
        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/free")).StatusCode);
    }

    [Fact]
    public async Task Of_several_rules_the_answer_tells_of_the_nearest_and_when_that_one_is_full_again()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);

        var answer = await site.GetAsync("/rules");

        Assert.Equal("\"rules.1\";q=2;w=1, \"rules.2\";q=1000;w=86400", answer.Headers.GetValues("RateLimit-Policy").Single());
        // The day's window lasts for hours, and nobody need wait for it.
        Assert.Equal("\"rules.1\";r=1;t=1", answer.Headers.GetValues("RateLimit").Single());
    }

    [Fact]
    public async Task A_caller_with_a_key_has_a_budget_of_its_own_and_the_key_stands_nowhere()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);

        foreach (var key in (string[])["secret-one", "secret-two"])
        {
            for (var i = 0; i < 3; i++)
                Assert.Equal(i < 2 ? HttpStatusCode.OK : HttpStatusCode.TooManyRequests, (await site.GetAsync("/api", key)).StatusCode);
        }

        Assert.Equal("", await Server.CommandAsync("KEYS", "*secret*"));
        Assert.Equal(2, (await Server.CommandAsync("KEYS", "test:rate_limit:api:key-*"))!.Split('\n').Length);
    }

    [Fact]
    public async Task A_limit_that_is_denied_costs_nothing_of_the_other_limits()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);

        Assert.Equal(HttpStatusCode.OK, (await site.GetAsync("/two")).StatusCode);
        for (var i = 0; i < 5; i++)
            Assert.Equal(HttpStatusCode.TooManyRequests, (await site.GetAsync("/two")).StatusCode);

        Assert.Equal(9, (await site.Limits.PeekAsync(Site.Key("wide", "both"))).Remaining);
    }

    [Fact]
    public async Task A_place_is_taken_for_as_long_as_the_request_takes()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);
        var slow = site.GetAsync("/slow");
        await site.Entered.Within();

        var denied = await site.GetAsync("/slow");
        site.Leave();

        Assert.Equal(HttpStatusCode.TooManyRequests, denied.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await slow).StatusCode);
        await Until.TrueAsync(async () => (await site.GetAsync("/slow")).StatusCode == HttpStatusCode.OK, "the place is free");
    }

    [Fact]
    public async Task The_limiter_of_NET_spends_from_the_same_budget_whether_it_waits_or_blocks()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);
        await using var limiter = new OnggiRateLimiter(site.Limits, Site.Key("login", "limiter"));

        using var one = await limiter.AcquireAsync();
        using var two = limiter.AttemptAcquire();
        using var three = await limiter.AcquireAsync();
        using var four = limiter.AttemptAcquire();

        Assert.Equal((true, true, false, false), (one.IsAcquired, two.IsAcquired, three.IsAcquired, four.IsAcquired));
        Assert.True(three.TryGetMetadata(MetadataName.RetryAfter, out var retry));
        Assert.InRange(retry, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
        Assert.Equal(2, limiter.GetStatistics()!.TotalSuccessfulLeases);
        Assert.Throws<ArgumentOutOfRangeException>(() => limiter.AttemptAcquire(3));
        Assert.Equal(0, (await site.Limits.PeekAsync(Site.Key("login", "limiter"))).Remaining);
    }

    [Fact]
    public async Task Looking_at_the_limiter_of_NET_changes_nothing_of_what_it_knows()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);
        await using var limiter = new OnggiRateLimiter(site.Limits, Site.Key("wide", "looked at"));
        using (await limiter.AcquireAsync()) { }

        using var one = limiter.AttemptAcquire(0);
        using var two = limiter.AttemptAcquire(0);

        Assert.Equal((true, true), (one.IsAcquired, two.IsAcquired));
        Assert.Equal(9, limiter.GetStatistics()!.CurrentAvailablePermits);
        using (await limiter.AcquireAsync(9)) { }
        using var none = limiter.AttemptAcquire(0);
        Assert.False(none.IsAcquired);
        // Nobody has asked Redis when there will be more.
        Assert.Empty(none.MetadataNames);
        Assert.False(none.TryGetMetadata(MetadataName.RetryAfter, out _));
    }

    [Fact]
    public async Task A_limiter_of_places_that_must_be_asked_asynchronously_has_denied_nobody()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);
        await using var limiter = new OnggiRateLimiter(site.Limits, Site.Key("place", "asked first"));

        // As ASP.NET's middleware does.
        using var attempted = limiter.AttemptAcquire();
        using var acquired = await limiter.AcquireAsync();

        var statistics = limiter.GetStatistics()!;
        Assert.Equal((false, true), (attempted.IsAcquired, acquired.IsAcquired));
        Assert.Equal((1, 0), (statistics.TotalSuccessfulLeases, statistics.TotalFailedLeases));
        Assert.Empty(attempted.MetadataNames);
    }

    [Fact]
    public async Task The_partitions_of_NET_are_the_subjects()
    {
        await using var site = await Site.StartAsync(Server.ConnectionString);
        await using var limiter = PartitionedRateLimiter.Create<string, LimitKey>(who =>
            OnggiRateLimiter.Partition(site.Limits, Site.Key("place", who))
        );

        var mine = await limiter.AcquireAsync("partition a");
        using var other = await limiter.AcquireAsync("partition b");
        using var second = await limiter.AcquireAsync("partition a");
        mine.Dispose();

        Assert.Equal((true, true, false), (mine.IsAcquired, other.IsAcquired, second.IsAcquired));
        await Until.TrueAsync(
            async () =>
            {
                using var third = await limiter.AcquireAsync("partition a");
                return third.IsAcquired;
            },
            "the place was given back"
        );
    }

    [Fact]
    public void A_caller_of_IPv6_is_its_network_and_a_mapped_address_is_that_of_IPv4()
    {
        var context = new DefaultHttpContext();
        string Of(string address)
        {
            context.Connection.RemoteIpAddress = IPAddress.Parse(address);
            return LimitSubject.Address.Find(context)!;
        }

        Assert.Equal("ip-2001:db8:1:2::/64", Of("2001:db8:1:2:3:4:5:6"));
        Assert.Equal("ip-10.1.2.3", Of("::ffff:10.1.2.3"));
        Assert.Equal("ip-10.1.2.3", LimitSubject.User.Find(context));
        context.User = new(new System.Security.Claims.ClaimsIdentity([new("sub", "42")], "test"));
        Assert.Equal("user-42", LimitSubject.User.Find(context));
    }

    /// <summary>A web service with limits.</summary>
    private sealed class Site : IAsyncDisposable
    {
        private const string CatalogJson = """
            {
              "system": "shop", "environment": "test", "prefix": "{environment}:",
              "services": { "web": {} },
              "families": {
                "login": { "key": "rate_limit:login:{who}", "kind": "limit", "ttl": "1m" },
                "api": { "key": "rate_limit:api:{who}", "kind": "limit", "ttl": "1m" },
                "rules": { "key": "rate_limit:rules:{who}", "kind": "limit", "ttl": "1d" },
                "wide": { "key": "rate_limit:wide:{who}", "kind": "limit", "ttl": "1h" },
                "narrow": { "key": "rate_limit:narrow:{who}", "kind": "limit", "ttl": "1h" },
                "place": { "key": "rate_limit:place:{who}", "kind": "limit", "ttl": "10s" }
              }
            }
            """;

        private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly WebApplication _app;
        private readonly HttpClient _client;

        private Site(WebApplication app)
        {
            _app = app;
            app.UseRouting();
            app.UseOnggiLimits();
            app.MapGet("/free", () => "free");
            app.MapGet("/login", () => "in").RequireLimit(who => Key("login", who), LimitSubject.Address);
            app.MapGet("/api", () => "data").RequireLimit(who => Key("api", who), LimitSubject.ApiKey());
            app.MapGet("/rules", () => "rules").RequireLimit(who => Key("rules", who), LimitSubject.Address);
            app.MapGet("/two", () => "two")
                .RequireLimit(who => Key("wide", who), LimitSubject.Of(_ => "both"))
                .RequireLimit(who => Key("narrow", who), LimitSubject.Of(_ => "both"));
            app.MapGet(
                    "/slow",
                    async () =>
                    {
                        _entered.TrySetResult();
                        await _leave.Task;
                        return "done";
                    }
                )
                .RequireLimit(who => Key("place", who), LimitSubject.Address);
            _client = new HttpClient();
        }

        public OnggiLimits Limits => _app.Services.GetRequiredService<OnggiLimits>();

        public Task Entered => _entered.Task;

        public static LimitKey Key(string family, string who) => new(new EntryKey(new KeyFamily(family, "who"), who));

        public static async Task<Site> StartAsync(string connectionString)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseSetting("urls", "http://127.0.0.1:0");
            builder.Logging.SetMinimumLevel(LogLevel.None);
            builder.Services.AddOnggi(onggi =>
            {
                onggi.ConnectionString = connectionString;
                onggi.Service = "web";
                onggi.Catalog = CatalogJson;
                onggi.RequireRedisAtStart = true;
                onggi.ConnectTimeout = onggi.CommandTimeout = TimeSpan.FromSeconds(15);
                var minute = TimeSpan.FromMinutes(1);
                onggi
                    .Limits.ForFamily("login", policy => Patient(policy).With(LimitRule.Even(2, minute)))
                    .ForFamily("api", policy => Patient(policy).With(LimitRule.Even(2, minute)))
                    .ForFamily(
                        "rules",
                        policy =>
                            Patient(policy)
                                .With(LimitRule.Even(2, TimeSpan.FromSeconds(1)))
                                .With(LimitRule.Fixed(1_000, TimeSpan.FromDays(1)))
                    )
                    .ForFamily("wide", policy => Patient(policy).With(LimitRule.Fixed(10, TimeSpan.FromHours(1))))
                    .ForFamily("narrow", policy => Patient(policy).With(LimitRule.Even(1, TimeSpan.FromHours(1))))
                    .ForFamily("place", policy => Patient(policy).With(LimitRule.Concurrent(1)));
            });
            var site = new Site(builder.Build());
            await site._app.StartAsync();
            site._client.BaseAddress = new Uri(site._app.Urls.Single());
            return site;
        }

        public async Task<HttpResponseMessage> GetAsync(string path, string? apiKey = null)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            if (apiKey is not null)
                request.Headers.Add("X-Api-Key", apiKey);
            return await _client.SendAsync(request).Within();
        }

        public void Leave() => _leave.TrySetResult();

        public async ValueTask DisposeAsync()
        {
            _client.Dispose();
            await _app.DisposeAsync();
        }

        private static LimitPolicy Patient(LimitPolicy policy)
        {
            policy.Timeout = TimeSpan.FromSeconds(15);
            return policy;
        }
    }
}
