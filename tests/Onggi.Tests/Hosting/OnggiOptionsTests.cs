using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Onggi.Tests.Events;

namespace Onggi.Tests.Hosting;

public sealed class OnggiOptionsTests
{
    [Fact]
    public void Options_with_a_service_and_a_catalog_are_enough() => Assert.Empty(MistakesOf(static _ => { }));

    [Fact]
    public void Configuration_sets_everything_but_what_only_code_can()
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(
                new Dictionary<string, string?>
                {
                    ["Onggi:ConnectionString"] = "redis.example:6380,password=hush",
                    ["Onggi:Service"] = "users",
                    ["Onggi:Environment"] = "test",
                    ["Onggi:CommandTimeout"] = "00:00:01.5",
                    ["Onggi:RequireRedisAtStart"] = "true",
                    ["Onggi:Events:QueueLength"] = "7",
                    ["Onggi:Cache:MemoryMaxEntries"] = "12",
                    ["Onggi:Health:SlowerThan"] = "00:00:00.010",
                }
            )
            .Build();
        using var services = new ServiceCollection()
            .AddOnggi(
                configuration.GetSection("Onggi"),
                static options =>
                {
                    options.Catalog = TestBus.CatalogJson;
                    options.Json = TestJson.Default;
                }
            )
            .BuildServiceProvider();

        var options = services.GetRequiredService<IOptions<OnggiOptions>>().Value;

        Assert.Equal("redis.example:6380,password=hush", options.ConnectionString);
        Assert.Equal("users", options.Service);
        Assert.Equal("test", options.Environment);
        Assert.Equal(TimeSpan.FromSeconds(1.5), options.CommandTimeout);
        Assert.True(options.RequireRedisAtStart);
        Assert.Equal(7, options.Events.QueueLength);
        Assert.Equal(TimeSpan.FromMilliseconds(10), options.Health.SlowerThan);
        Assert.Equal(12, options.Cache.MemoryMaxEntries);
        Assert.Same(TestJson.Default, options.Json);
    }

    [Fact]
    public void Every_mistake_is_in_one_message()
    {
        var mistakes = MistakesOf(static options =>
        {
            options.ConnectionString = "redis.example,pass=x";
            options.Service = "";
            options.Catalog = null;
            options.CommandTimeout = TimeSpan.Zero;
            options.Events.QueueLength = 0;
            options.Events.MaxBytes = 10;
            options.Events.Source = " ";
            options.Events.DrainTimeout = TimeSpan.FromHours(1);
            options.Health.SlowerThan = TimeSpan.FromSeconds(2);
            options.Health.MemoryAbove = 90;
            options.Cache.MaxStaleness = TimeSpan.FromMinutes(1);
        });

        string[] names =
        [
            "ConnectionString",
            "Service",
            "Catalog",
            "CommandTimeout",
            "Events:QueueLength",
            "Events:MaxBytes",
            "Events:Source",
            "Events:DrainTimeout",
            "Health:SlowerThan",
            "Health:MemoryAbove",
            "Cache:MaxStaleness",
        ];
        Assert.Equal(names.Length, mistakes.Count);
        foreach (var name in names)
            Assert.Single(mistakes, mistake => mistake.StartsWith($"Property {name}: ", StringComparison.Ordinal));
    }

    [Fact]
    public void A_missing_service_says_why_and_what_to_write()
    {
        var mistake = Assert.Single(MistakesOf(static options => options.Service = " "));

        Assert.Contains("whose events", mistake, StringComparison.Ordinal);
        Assert.Contains("\"Service\": \"bill-inquiry\"", mistake, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("two words")]
    [InlineData("서비스")]
    public void A_service_that_Redis_cannot_show_is_refused(string name) =>
        Assert.Contains(
            MistakesOf(options => options.Service = name),
            mistake => mistake.Contains("name of a connection", StringComparison.Ordinal)
        );

    [Fact]
    public void A_service_that_the_catalog_lacks_is_named_with_those_that_it_has()
    {
        var mistake = Assert.Single(MistakesOf(static options => options.Service = "user"));

        Assert.Contains("\"user\"", mistake, StringComparison.Ordinal);
        Assert.Contains("users", mistake, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mistake_in_the_connection_string_never_repeats_the_password()
    {
        var mistake = Assert.Single(MistakesOf(static options => options.ConnectionString = "localhost:99999,password=hush-hush"));

        Assert.Contains("99999", mistake, StringComparison.Ordinal);
        Assert.DoesNotContain("hush", mistake, StringComparison.Ordinal);
    }

    [Fact]
    public void Mistakes_of_the_catalog_keep_their_lines()
    {
        var mistake = Assert.Single(
            MistakesOf(static options =>
                options.Catalog = TestBus.CatalogJson.Replace("\"ttl\": \"10m\"", "\"ttl\": \"10x\"", StringComparison.Ordinal)
            )
        );

        Assert.StartsWith("Property Catalog: ", mistake, StringComparison.Ordinal);
        Assert.Contains("line 9", mistake, StringComparison.Ordinal);
    }

    [Fact]
    public void A_catalog_file_that_is_not_there_is_named_with_where_it_was_looked_for()
    {
        var mistake = Assert.Single(MistakesOf(static options => (options.Catalog, options.CatalogPath) = (null, "no/such/keyspace.json")));

        Assert.StartsWith("Property CatalogPath: ", mistake, StringComparison.Ordinal);
        Assert.Contains("keyspace.json", mistake, StringComparison.Ordinal);
        Assert.Contains(Directory.GetCurrentDirectory(), mistake, StringComparison.Ordinal);
    }

    [Fact]
    public void A_catalog_can_be_a_file()
    {
        var path = Path.Combine(Path.GetTempPath(), $"onggi-{Path.GetRandomFileName()}.json");
        File.WriteAllText(path, TestBus.CatalogJson);
        try
        {
            Assert.Empty(MistakesOf(options => (options.Catalog, options.CatalogPath) = (null, path)));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static IReadOnlyList<string> MistakesOf(Action<OnggiOptions> spoil)
    {
        var options = new OnggiOptions { Service = "users", Catalog = TestBus.CatalogJson };
        spoil(options);
        return [.. new OnggiOptionsValidator().Validate(null, options).Failures ?? []];
    }
}
