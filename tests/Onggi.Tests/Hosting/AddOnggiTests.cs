using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Diagnostics;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Testing;
using Onggi.Tests.Events;
using Onggi.Tokens;

namespace Onggi.Tests.Hosting;

public sealed class AddOnggiTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task The_entry_hands_out_the_parts_that_can_be_injected_by_themselves()
    {
        await using var services = new ServiceCollection().AddLogging().AddOnggi(Configure).BuildServiceProvider(validateScopes: true);

        var keyspace = services.GetRequiredService<OnggiKeyspace>();

        Assert.Same(services.GetRequiredService<Keyspace>(), keyspace.Keys);
        Assert.Same(services.GetRequiredService<RedisClient>(), keyspace.Redis);
        Assert.Same(services.GetRequiredService<OnggiEvents>(), keyspace.Events);
        Assert.Same(services.GetRequiredService<OnggiCache>(), keyspace.Cache);
        Assert.Same(services.GetRequiredService<OnggiTokens>(), keyspace.Tokens);
        Assert.False(keyspace.Tokens.IsConfigured);
        Assert.Same(services.GetRequiredService<IEventSource>(), keyspace.Events);
        Assert.Same(services.GetRequiredService<IEventSink>(), keyspace.Events);
        Assert.NotNull(services.GetRequiredService<OnggiHealth>());
    }

    [Fact]
    public async Task The_connection_has_the_name_of_the_service_and_waits_as_the_options_say()
    {
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddOnggi(static options =>
            {
                Configure(options);
                options.CommandTimeout = TimeSpan.FromSeconds(1);
            })
            .BuildServiceProvider();

        var redis = services.GetRequiredService<RedisClient>().Options;

        Assert.Equal("users", redis.ClientName);
        Assert.Equal(TimeSpan.FromSeconds(1), redis.CommandTimeout);
    }

    [Fact]
    public async Task Time_outs_of_the_connection_string_hold_unless_the_options_say_something_else()
    {
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddOnggi(static options =>
            {
                Configure(options);
                options.ConnectionString = "localhost,commandTimeout=700,connectTimeout=900,name=me";
                options.ConnectTimeout = TimeSpan.FromSeconds(3);
            })
            .BuildServiceProvider();

        var redis = services.GetRequiredService<RedisClient>().Options;

        Assert.Equal(TimeSpan.FromMilliseconds(700), redis.CommandTimeout);
        Assert.Equal(TimeSpan.FromSeconds(3), redis.ConnectTimeout);
        Assert.Equal("me", redis.ClientName);
    }

    [Fact]
    public async Task The_client_can_be_configured_last_with_what_no_string_holds()
    {
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddOnggi(static options =>
            {
                Configure(options);
                options.ConnectionString = "rediss://a:1,b:2?tlsCa=ca.pem&commandTimeout=700";
                options.ConfigureClient = static client =>
                {
                    Assert.Equal(TimeSpan.FromMilliseconds(700), client.CommandTimeout);
                    client.Credentials = static (_, _) => new(new RedisCredentials("u", "p"));
                };
            })
            .BuildServiceProvider();

        var redis = services.GetRequiredService<RedisClient>().Options;

        Assert.NotNull(redis.Credentials);
        Assert.Equal("ca.pem", redis.Tls?.CertificateAuthorityFile);
        Assert.Equal("a:1,b:2", redis.ToString());
    }

    [Fact]
    public async Task A_host_with_mistakes_does_not_start_and_says_all_of_them()
    {
        using var host = Host(static options => options.ConnectionString = "");

        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        Assert.Contains("Property ConnectionString", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Property Service", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Property Catalog", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_starts_without_Redis_says_so_loudly_and_stops_cleanly()
    {
        var log = new LogLines();
        using var host = Host(ConfigureWithoutRedis, log);

        await host.StartAsync().WaitAsync(Patience);
        var report = await host.Services.GetRequiredService<OnggiHealth>().CheckAsync();
        await host.StopAsync().WaitAsync(Patience);

        var line = Assert.Single(log.All, line => line.Id == 7102);
        Assert.Equal(LogLevel.Error, line.Level);
        Assert.Contains("WITHOUT Redis at 127.0.0.1:1", line.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(log.All, entry => entry.Text.Contains("hush", StringComparison.Ordinal));
        Assert.Equal(OnggiHealthState.Down, report.State);
        Assert.Contains("127.0.0.1:1", Assert.Single(report.Reasons), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_that_requires_Redis_does_not_start_without_and_says_what_to_do()
    {
        using var host = Host(static options =>
        {
            ConfigureWithoutRedis(options);
            options.RequireRedisAtStart = true;
        });

        var failure = await Assert.ThrowsAsync<OnggiStartException>(() => host.StartAsync().WaitAsync(Patience));

        Assert.Contains("127.0.0.1:1", failure.Message, StringComparison.Ordinal);
        Assert.Contains("RequireRedisAtStart", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hush", failure.ToString(), StringComparison.Ordinal);
        Assert.IsAssignableFrom<RedisException>(failure.InnerException);
    }

    [Fact]
    public async Task A_host_whose_context_lacks_types_of_the_catalog_does_not_start_and_lists_the_lines_to_add()
    {
        using var events = Host(static options =>
        {
            ConfigureWithoutRedis(options);
            options.Catalog = TestBus.CatalogJson.Replace(
                "\"user.deleted\": { \"payload\": \"Onggi.Tests.Events.UserUpdated\"",
                "\"user.deleted\": { \"payload\": \"Onggi.Tests.Events.NobodyKnowsMe\"",
                StringComparison.Ordinal
            );
        });
        using var cache = Host(static options =>
        {
            ConfigureWithoutRedis(options);
            options.Json = null;
        });

        var payloads = await Assert.ThrowsAsync<InvalidOperationException>(() => events.StartAsync());
        var values = await Assert.ThrowsAsync<InvalidOperationException>(() => cache.StartAsync());

        Assert.Contains(
            "[JsonSerializable(typeof(Onggi.Tests.Events.NobodyKnowsMe))]   // the payload of user.deleted",
            payloads.Message,
            StringComparison.Ordinal
        );
        Assert.Contains("[JsonSerializable(typeof(Onggi.Tests.Events.UserUpdated))]", values.Message, StringComparison.Ordinal);
    }

    private static void Configure(OnggiOptions options)
    {
        options.Service = "users";
        options.Catalog = TestBus.CatalogJson;
        options.Json = TestJson.Default;
    }

    // Nobody listens on port 1.
    private static void ConfigureWithoutRedis(OnggiOptions options)
    {
        Configure(options);
        options.ConnectionString = "127.0.0.1:1,password=hush";
        options.ConnectTimeout = TimeSpan.FromMilliseconds(100);
    }

    private static IHost Host(Action<OnggiOptions> configure, LogLines? log = null)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(log ?? new LogLines());
        builder.Services.AddOnggi(configure);
        return builder.Build();
    }
}
