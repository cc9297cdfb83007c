using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Caching;
using Onggi.Client;

namespace Onggi.Tests.Web;

public class WarmUpTests
{
    private static readonly WarmReport Report = new("products", 3, 0, TimeSpan.FromMilliseconds(1_500));

    [Fact]
    public async Task A_warm_up_answers_with_its_report()
    {
        await using var host = await HostAsync(services => services.AddOnggiWarmUp("products", (_, _, _) => new(Report)));

        using var answer = await host.Client.PostAsync("/api/cache/warmup/products", null);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(
            """{"name":"products","stored":3,"failed":0,"seconds":1.5,"joined":false}""",
            await answer.Content.ReadAsStringAsync()
        );
    }

    [Fact]
    public async Task An_unknown_name_is_not_found_and_the_known_ones_are_named()
    {
        await using var host = await HostAsync(services =>
            services.AddOnggiWarmUp("products", (_, _, _) => new(Report)).AddOnggiWarmUp("codes", (_, _, _) => new(Report))
        );

        using var answer = await host.Client.PostAsync("/api/cache/warmup/product", null);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal(
            "There is no warm-up named 'product'. Known are: codes, products.",
            problem.RootElement.GetProperty("detail").GetString()
        );
    }

    [Fact]
    public async Task The_application_s_own_problem_details_are_used_where_it_has_them()
    {
        await using var host = await HostAsync(services =>
            services.AddProblemDetails(options =>
                options.CustomizeProblemDetails = context => context.ProblemDetails.Extensions["service"] = "shop"
            )
        );

        using var answer = await host.Client.PostAsync("/api/cache/warmup/x", null);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Contains("\"service\":\"shop\"", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Who_asks_for_one_that_runs_joins_it()
    {
        var gate = new TaskCompletionSource();
        var runs = 0;
        await using var host = await HostAsync(services =>
            services.AddOnggiWarmUp(
                "products",
                async (_, progress, _) =>
                {
                    runs++;
                    progress.Report(new WarmProgress("products", 1, 0, 3));
                    await gate.Task;
                    return Report;
                }
            )
        );
        var first = host.Client.PostAsync("/api/cache/warmup/products", null);
        await UntilRunningAsync(host);
        using var ask = Streamed();
        using var second = await host.Client.SendAsync(ask, HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await second.Content.ReadAsStreamAsync());
        // The line that the first heard before: who joins is told how far it is.
        Assert.Equal("""{"progress":{"name":"products","done":1,"failed":0,"total":3}}""", await lines.ReadLineAsync());
        gate.SetResult();

        using var one = await first;
        Assert.Contains("\"joined\":false", await one.Content.ReadAsStringAsync());
        Assert.Contains("\"joined\":true", await lines.ReadLineAsync());
        Assert.Equal(1, runs);
    }

    [Fact]
    public async Task A_caller_that_leaves_does_not_end_the_run()
    {
        var gate = new TaskCompletionSource();
        var seen = new TaskCompletionSource<CancellationToken>();
        await using var host = await HostAsync(services =>
            services.AddOnggiWarmUp(
                "products",
                async (_, _, cancellation) =>
                {
                    seen.SetResult(cancellation);
                    await gate.Task;
                    return Report;
                }
            )
        );
        using var leaving = new CancellationTokenSource();
        var call = host.Client.PostAsync("/api/cache/warmup/products", null, leaving.Token);
        var token = await seen.Task;
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);

        Assert.False(token.IsCancellationRequested);
        Assert.True((await StateAsync(host)).GetProperty("running").GetBoolean());
        gate.SetResult();
    }

    [Fact]
    public async Task The_list_tells_how_the_last_run_ended()
    {
        await using var host = await HostAsync(services => services.AddOnggiWarmUp("products", (_, _, _) => new(Report)));
        using var answer = await host.Client.PostAsync("/api/cache/warmup/products", null);

        var state = await StateAsync(host);

        Assert.False(state.GetProperty("running").GetBoolean());
        Assert.Equal(3, state.GetProperty("last").GetProperty("stored").GetInt64());
        Assert.True(state.TryGetProperty("lastEnded", out _));
    }

    [Fact]
    public async Task Progress_is_streamed_line_by_line_to_who_asks_for_it()
    {
        var gate = new TaskCompletionSource();
        await using var host = await HostAsync(services =>
            services.AddOnggiWarmUp(
                "products",
                async (_, progress, _) =>
                {
                    progress.Report(new WarmProgress("products", 1, 0, null));
                    await gate.Task;
                    progress.Report(new WarmProgress("products", 3, 0, null));
                    return Report;
                }
            )
        );
        using var ask = Streamed();
        using var answer = await host.Client.SendAsync(ask, HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync());

        Assert.Equal("application/x-ndjson", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal("""{"progress":{"name":"products","done":1,"failed":0}}""", await lines.ReadLineAsync());
        gate.SetResult();
        Assert.Equal("""{"progress":{"name":"products","done":3,"failed":0}}""", await lines.ReadLineAsync());
        Assert.Equal("""{"report":{"name":"products","stored":3,"failed":0,"seconds":1.5,"joined":false}}""", await lines.ReadLineAsync());
        Assert.Null(await lines.ReadLineAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Redis_away_is_503_and_says_when_to_come_back(bool told)
    {
        await using var host = await HostAsync(services =>
            services.AddOnggiWarmUp(
                "products",
                (_, _, _) =>
                    told
                        ? throw new RedisConnectionException("The link was lost.", Sent.Maybe)
                        : new(new WarmReport("products", 0, 500, TimeSpan.FromSeconds(1)))
            )
        );

        using var answer = await host.Client.PostAsync("/api/cache/warmup/products", null);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("5", answer.Headers.GetValues("Retry-After").Single());
        Assert.Contains(told ? "The link was lost." : "None of 500 entries", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Without_a_connection_the_source_is_not_even_read()
    {
        var read = false;
        await using var redis = new RedisClient(RedisClientOptions.Parse("127.0.0.1:1"));
        await using var host = await HostAsync(services =>
            services
                .AddSingleton(redis)
                .AddOnggiWarmUp(
                    "products",
                    (_, _, _) =>
                    {
                        read = true;
                        return new(Report);
                    }
                )
        );

        using var answer = await host.Client.PostAsync("/api/cache/warmup/products", null);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.False(read);
    }

    [Fact]
    public async Task A_failing_warm_up_is_500_without_what_the_failure_said_and_can_be_started_again()
    {
        var fail = true;
        await using var host = await HostAsync(services =>
            services.AddOnggiWarmUp(
                "products",
                (_, _, _) => fail ? throw new InvalidOperationException("customer 010-1234-5678") : new(Report)
            )
        );

        using (var answer = await host.Client.PostAsync("/api/cache/warmup/products", null))
        {
            Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
            Assert.DoesNotContain("010-1234", await answer.Content.ReadAsStringAsync());
        }
        fail = false;
        using var again = await host.Client.PostAsync("/api/cache/warmup/products", null);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Fact]
    public async Task Each_run_has_a_scope_of_services_of_its_own()
    {
        var seen = new List<object>();
        await using var host = await HostAsync(services =>
            services
                .AddScoped<object>(_ => new())
                .AddOnggiWarmUp(
                    "products",
                    (provider, _, _) =>
                    {
                        seen.Add(provider.GetRequiredService<object>());
                        return new(Report);
                    }
                )
        );
        (await host.Client.PostAsync("/api/cache/warmup/products", null)).Dispose();
        (await host.Client.PostAsync("/api/cache/warmup/products", null)).Dispose();

        Assert.Equal(2, seen.Distinct().Count());
    }

    [Fact]
    public async Task A_host_without_warm_ups_has_an_empty_list()
    {
        await using var host = await HostAsync(_ => { });

        Assert.Equal("""{"warmUps":[]}""", await host.Client.GetStringAsync("/api/cache/warmup"));
    }

    [Fact]
    public async Task Both_endpoints_are_in_API_descriptions_with_the_name_as_parameter()
    {
        await using var host = await HostAsync(services => services.AddEndpointsApiExplorer());

        var described = host
            .Services.GetRequiredService<IApiDescriptionGroupCollectionProvider>()
            .ApiDescriptionGroups.Items.Single()
            .Items;

        Assert.Equal(
            ["GET api/cache/warmup/ ", "POST api/cache/warmup/{name} name"],
            described
                .Select(one =>
                    $"{one.HttpMethod} {one.RelativePath} {string.Join(' ', one.ParameterDescriptions.Select(parameter => parameter.Name))}"
                )
                .Order()
        );
    }

    [Fact]
    public async Task Two_warm_ups_of_one_name_are_a_mistake_that_is_told_at_start()
    {
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            HostAsync(services => services.AddOnggiWarmUp("a", (_, _, _) => new(Report)).AddOnggiWarmUp("a", (_, _, _) => new(Report)))
        );
        Assert.Contains("two warm-ups named 'a'", failure.Message);
    }

    [Fact]
    public void A_name_that_does_not_fit_into_an_address_is_refused() =>
        Assert.Throws<ArgumentException>(() => new ServiceCollection().AddOnggiWarmUp("a/b", (_, _, _) => new(Report)));

    private static Task<WebHost> HostAsync(Action<IServiceCollection> services) =>
        WebHost.StartAsync(services, app => app.MapOnggiWarmUp());

    private static HttpRequestMessage Streamed() =>
        new(HttpMethod.Post, "/api/cache/warmup/products")
        {
            Headers = { Accept = { new MediaTypeWithQualityHeaderValue("application/x-ndjson") } },
        };

    private static async Task<JsonElement> StateAsync(WebHost host)
    {
        using var list = JsonDocument.Parse(await host.Client.GetStringAsync("/api/cache/warmup"));
        return list.RootElement.GetProperty("warmUps")[0].Clone();
    }

    private static async Task UntilRunningAsync(WebHost host)
    {
        while (!(await StateAsync(host)).GetProperty("running").GetBoolean())
            await Task.Yield();
    }
}
