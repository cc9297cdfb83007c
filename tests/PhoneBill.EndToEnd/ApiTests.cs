using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using PhoneBill.Contracts;

namespace PhoneBill.EndToEnd;

/// <summary>Everything is up for several classes of tests.</summary>
[CollectionDefinition(Name)]
public sealed class Running : ICollectionFixture<RunningServices>
{
    internal const string Name = "running services";
}

/// <summary>Everything is up, and Ctrl-C ends it after the last fact.</summary>
public sealed class RunningServices : IAsyncLifetime
{
    private readonly DemoProcess _demo = DemoProcess.Start("--no-story");

    public HttpClient Http { get; } = new();

    public Uri At(int offset, string path) => new($"http://127.0.0.1:{_demo.PortBase + offset}{path}");

    /// <summary>Where Redis listens.</summary>
    public int RedisPort => _demo.RedisPort;

    /// <summary>The folder of the run: settings, passwords, logs.</summary>
    public string RunDirectory => _demo.RunDirectory;

    /// <summary>What all services have logged so far.</summary>
    public string Logs => string.Concat(Directory.GetFiles(_demo.RunDirectory, "*.log").Select(ReadShared));

    public async Task InitializeAsync()
    {
        await _demo.Up;
        var login = await Http.PostAsJsonAsync(At(1, "/api/login"), new { userId = "kim.counselor", password = Seed.Password });
        var body = await login.Content.ReadFromJsonAsync<JsonElement>();
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", body.GetProperty("token").GetString());
    }

    public async Task DisposeAsync()
    {
        Http.Dispose();
        _demo.Interrupt();
        var code = await _demo.ExitAsync();
        var left = _demo.Children();
        var files = Directory.GetFileSystemEntries(_demo.Temp, "phonebill-*");
        await _demo.DisposeAsync();
        Assert.Equal(130, code);
        Assert.Empty(left);
        Assert.Empty(files);
    }

    private static string ReadShared(string file)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }
}

[Collection(Running.Name)]
public sealed class ApiTests(RunningServices services)
{
    private const int Auth = 1;
    private const int Users = 2;
    private const int Bills = 3;
    private const int Products = 4;

    private static readonly string[] Pages = ["/openapi/v1.json", "/health", "/metrics"];

    private static readonly LineRow Line = Seed.Lines()[0];

    [Theory]
    [InlineData(Bills, "/api/bills/01012345678/2026-10", 400, "010-NNNN-NNNN")]
    [InlineData(Bills, "/api/bills/010-1000-1234/2026-13", 400, "yyyy-MM")]
    [InlineData(Bills, "/api/bills/010-0000-0000/2026-10", 404, "010-0000-0000")]
    [InlineData(Bills, "/api/customers/010-0000-0000", 404, "010-0000-0000")]
    [InlineData(Products, "/api/products/NO-SUCH", 404, "NO-SUCH")]
    [InlineData(Products, "/api/products/available/martian", 400, "general, youth, senior, business")]
    [InlineData(Users, "/api/users/nobody", 404, "nobody")]
    [InlineData(Auth, "/api/cache/warmup/nothing", 405, "")]
    public async Task What_cannot_be_answered_is_told_in_problem_details(int service, string path, int status, string detail)
    {
        var response = await services.Http.GetAsync(services.At(service, path));

        await IsProblemAsync(response, status, detail);
    }

    [Fact]
    public async Task A_product_that_the_customer_cannot_have_is_refused_with_those_that_can_be_had()
    {
        var response = await services.Http.PostAsJsonAsync(
            services.At(Products, $"/api/lines/{Line.LineNumber}/product"),
            new { productCode = "BIZ-IOT" }
        );

        await IsProblemAsync(response, 400, "5G-STANDARD");
    }

    [Fact]
    public async Task A_body_that_lacks_a_field_is_told_which()
    {
        var response = await services.Http.PostAsJsonAsync(services.At(Products, $"/api/lines/{Line.LineNumber}/product"), new { });

        await IsProblemAsync(response, 400, "productCode");
    }

    [Fact]
    public async Task Without_a_token_one_is_told_where_to_get_it()
    {
        using var stranger = new HttpClient();

        var response = await stranger.GetAsync(services.At(Bills, $"/api/customers/{Line.LineNumber}"));

        await IsProblemAsync(response, 401, "/api/login");
    }

    [Fact]
    public async Task A_wrong_password_opens_nothing()
    {
        var response = await services.Http.PostAsJsonAsync(
            services.At(Auth, "/api/login"),
            new { userId = "kim.counselor", password = "guess" }
        );

        await IsProblemAsync(response, 401, "wrong password");
    }

    [Fact]
    public async Task What_a_user_may_not_do_is_named()
    {
        var response = await services.Http.DeleteAsync(services.At(Users, "/api/users/park.viewer"));

        await IsProblemAsync(response, 403, "user.write");
    }

    [Theory]
    [InlineData(Auth)]
    [InlineData(Users)]
    [InlineData(Bills)]
    [InlineData(Products)]
    public async Task Every_service_shows_its_API_its_health_and_its_metrics(int service)
    {
        foreach (var page in Pages)
        {
            var response = await services.Http.GetAsync(services.At(service, page));
            Assert.True(response.IsSuccessStatusCode, $"{page}: {(int)response.StatusCode}");
        }
    }

    [Fact]
    public async Task Answers_say_where_they_come_from_and_how_long_they_took()
    {
        var response = await services.Http.GetAsync(services.At(Bills, $"/api/customers/{Line.LineNumber}"));

        Assert.Matches("^(memory|redis|loader)$", Assert.Single(response.Headers.GetValues("X-Cache-Tier")));
        Assert.Contains("total;dur=", Assert.Single(response.Headers.GetValues("Server-Timing")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bill_has_the_name_that_its_product_has_now()
    {
        var line = Seed.Lines().First(line => line.ProductCode == "LTE-33");
        var bill = services.At(Bills, $"/api/bills/{line.LineNumber}/2026-10");
        Assert.Equal("LTE 데이터 33", await ProductNameAsync(bill));

        var renamed = await services.Http.PutAsJsonAsync(
            services.At(Products, "/api/products/LTE-33"),
            new { name = "LTE 서른셋", monthlyFee = 33_000 }
        );

        Assert.True(renamed.IsSuccessStatusCode);
        Assert.True(await Eventually.IsTrueAsync(async () => await ProductNameAsync(bill) == "LTE 서른셋"), "the bill has the old name");
    }

    [Fact]
    public async Task A_line_s_status_is_put_anew_when_it_changes_and_is_never_missing()
    {
        var line = Seed.Lines().First(line => line is { State: "active", CustomerType: "youth", ProductCode: not "5G-YOUTH" });
        var status = services.At(Bills, $"/api/lines/{line.LineNumber}/status");
        Assert.Equal(line.ProductCode, (await StatusAsync(status)).ProductCode);

        var changed = await services.Http.PostAsJsonAsync(
            services.At(Products, $"/api/lines/{line.LineNumber}/product"),
            new { productCode = "5G-YOUTH" }
        );

        Assert.True(changed.IsSuccessStatusCode);
        var tiers = new List<string>();
        Assert.True(
            await Eventually.IsTrueAsync(async () =>
            {
                var (tier, productCode) = await StatusAsync(status);
                tiers.Add(tier);
                return productCode == "5G-YOUTH";
            }),
            "the status names the old product"
        );
        Assert.DoesNotContain("loader", tiers);
    }

    private async Task<(string Tier, string? ProductCode)> StatusAsync(Uri status)
    {
        var response = await services.Http.GetAsync(status);
        var body = await response.Content.ReadFromJsonAsync<JsonElement>();
        return (response.Headers.GetValues("X-Cache-Tier").Single(), body.GetProperty("productCode").GetString());
    }

    private async Task<string?> ProductNameAsync(Uri bill) =>
        (await services.Http.GetFromJsonAsync<JsonElement>(bill)).GetProperty("productName").GetString();

    private static async Task IsProblemAsync(HttpResponseMessage response, int status, string detail)
    {
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        if (detail.Length > 0)
            Assert.Contains(detail, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }
}
