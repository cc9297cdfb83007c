using System.Text.Json;
using Onggi.Cli;
using Onggi.Client;
using Xunit.Abstractions;

namespace Onggi.DeployTests.Production;

/// <summary>The running set by <c>onggi verify</c>, through the Sentinels, as in production.</summary>
[Collection(ProductionSetTests.Name)]
public sealed class ProductionVerifyTests(ProductionSetFixture fixture, ITestOutputHelper output)
{
    // They need what is not here: a place outside, metrics of services, the word of people; or they break something.
    private static readonly string[] Skipped =
    [
        "ONG021",
        "ONG024",
        "ONG027",
        "ONG028",
        "ONG066",
        "ONG070",
        "ONG071",
        "ONG072",
        "ONG073",
        "ONG074",
        "ONG075",
        "ONG076",
        "ONG077",
    ];

    private ReplicatedSet Set => fixture.Set;

    [Fact]
    public async Task The_set_is_well_in_every_check_that_can_be_asked()
    {
        await using var services = await ConnectAsync();

        var (code, checks, text) = await VerifyAsync("--secrets", Set.Folder.Passwords, "--probe-writes");

        output.WriteLine(text);
        Assert.True(code == OnggiTool.Ok, text);
        Assert.All(checks, check => Assert.True(check.State is "ok" or "skipped", $"{check.Code}: {check.State}, {check.Observed}"));
        Assert.Equal(Skipped, checks.Where(check => check.State == "skipped").Select(check => check.Code).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Each_replica_is_well_too_and_says_that_it_is_one()
    {
        foreach (var replica in await Set.ReplicasAsync())
        {
            var (_, checks, text) = await VerifyOneAsync(replica);

            var bad = checks.Where(check => check.State is not ("ok" or "skipped")).Select(check => check.Code).ToList();
            Assert.True(bad is ["ONG002"] or ["ONG002", "ONG065"] or ["ONG002", "ONG019"] or ["ONG002", "ONG065", "ONG019"], text);
        }
    }

    [Fact]
    public async Task The_users_are_as_the_catalog_says()
    {
        using var text = new StringWriter();

        var code = await OnggiTool.RunAsync(
            ["acl", "check", "-e", "production", "--catalog", SetFolder.Catalog, "--redis", Set.ConnectionOf("operator")],
            text,
            text
        );

        Assert.True(code == OnggiTool.Ok, text.ToString());
    }

    [Fact]
    public async Task A_service_may_ask_the_Sentinels_and_start_no_failover()
    {
        var port = Set.SentinelPorts[0];

        Assert.Equal(2, (await Set.AskAsync(port, "sentinel-client", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", ReplicatedSet.Master)).Count);
        foreach (
            var command in (string[][])
                [
                    ["SENTINEL", "FAILOVER", ReplicatedSet.Master],
                    ["SENTINEL", "REMOVE", ReplicatedSet.Master],
                    ["SHUTDOWN"],
                    ["SENTINEL", "RESET", "*"],
                ]
        )
            Assert.StartsWith(
                "NOPERM",
                Assert.Single(await Set.AskAsync(port, "sentinel-client", command), line => line.Length > 0),
                StringComparison.Ordinal
            );
        Assert.Equal(["PONG"], await Set.AskAsync(port, "probe", "PING"));
        Assert.Contains(await Set.AskAsync(port, "exporter", "SENTINEL", "MASTERS"), line => line == ReplicatedSet.Master);
    }

    [Fact]
    public async Task Nobody_comes_in_without_TLS_or_without_a_user()
    {
        var primary = await Set.PrimaryAsync();

        var plain = RedisClientOptions.Parse(
            $"127.0.0.1:{primary.Port},user=operator,password={Set.Folder.PasswordOf("operator")},connectTimeout=3000"
        );
        await Assert.ThrowsAnyAsync<RedisException>(async () => await RedisClient.ConnectAsync(plain));
        var nobody = RedisClientOptions.Parse($"127.0.0.1:{primary.Port},tlsCa={Set.Folder.Authority},connectTimeout=3000");
        var refusal = await Assert.ThrowsAnyAsync<RedisException>(async () => await RedisClient.ConnectAsync(nobody));
        Assert.False(refusal.IsTransient);
    }

    // Each service is there, as itself.
    private async Task<Connections> ConnectAsync()
    {
        var clients = new Connections();
        foreach (var service in (string[])["auth", "users", "bill-inquiry", "product-change"])
        {
            var options = Set.Options(service);
            options.ClientName = service;
            var client = await RedisClient.ConnectAsync(options);
            clients.Add(client);
            await client.PingAsync();
        }

        return clients;
    }

    private Task<(int Code, IReadOnlyList<Check> Checks, string Text)> VerifyAsync(params string[] more) =>
        RunAsync(Set.ConnectionOf("operator"), more);

    private Task<(int Code, IReadOnlyList<Check> Checks, string Text)> VerifyOneAsync(SetServer server) =>
        RunAsync($"127.0.0.1:{server.Port},user=operator,password={Set.Folder.PasswordOf("operator")},tlsCa={Set.Folder.Authority}");

    private static async Task<(int Code, IReadOnlyList<Check> Checks, string Text)> RunAsync(string connection, params string[] more)
    {
        using var text = new StringWriter();
        using var error = new StringWriter();
        var code = await OnggiTool.RunAsync(
            [
                "verify",
                "--live",
                "--production",
                "-e",
                "production",
                "--catalog",
                SetFolder.Catalog,
                "--redis",
                connection,
                "--container",
                "10gb",
                "--json",
                .. more,
            ],
            text,
            error
        );
        Assert.True(text.ToString().Length > 0, error.ToString());
        var checks = JsonElement
            .Parse(text.ToString())
            .GetProperty("checks")
            .EnumerateArray()
            .Select(check => new Check(
                check.GetProperty("code").GetString()!,
                check.GetProperty("state").GetString()!,
                check.GetProperty("observed").GetString()!
            ))
            .ToList();
        return (code, checks, text.ToString());
    }

    private sealed record Check(string Code, string State, string Observed);

    private sealed class Connections : IAsyncDisposable
    {
        private readonly List<RedisClient> _all = [];

        public void Add(RedisClient client) => _all.Add(client);

        public async ValueTask DisposeAsync()
        {
            foreach (var client in _all)
                await client.DisposeAsync();
        }
    }
}
