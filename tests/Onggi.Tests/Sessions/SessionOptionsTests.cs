using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Sessions;
using Onggi.Tests.Caching;

namespace Onggi.Tests.Sessions;

/// <summary>Mistakes in options and arguments, and which family of the catalog is used.</summary>
public class SessionOptionsTests
{
    private const string Sessions = """ "kind": "session", "idle": "30m", "absolute": "24h" """;

    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(3);

    public static TheoryData<Action<SessionOptions>, string> Mistakes =>
        new()
        {
            { options => options.Limit = -1, "Sessions:Limit: is -1, but nobody can have fewer than no sessions." },
            { options => options.Policy = (SessionLimitPolicy)9, "Sessions:Policy: is no policy." },
            { options => options.TouchEvery = TimeSpan.FromHours(1), "Sessions:TouchEvery: is 01:00:00, and a session may end earlier" },
            {
                options => options.RotationOverlap = TimeSpan.FromMinutes(5),
                "Sessions:RotationOverlap: is 00:05:00, but so long a stolen id"
            },
            { options => options.MaxDataBytes = -1, "Sessions:MaxDataBytes: is -1, but data is read at every request." },
            { options => options.RepublishAfter = TimeSpan.Zero, "Sessions:RepublishAfter: is 00:00:00, and a publish can take" },
            {
                options => options.RepublishAfter = CommandTimeout,
                "Sessions:RepublishAfter: is 00:00:03, and a publish can take CommandTimeout (00:00:03)"
            },
            { options => options.Replicas = 99, "Sessions:Replicas: is 99." },
            { options => options.ReplicaTimeout = TimeSpan.Zero, "Sessions:ReplicaTimeout: is 00:00:00, but a login waits for it." },
        };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_says_what_why_and_what_to_write(Action<SessionOptions> mistake, string begin)
    {
        ArgumentNullException.ThrowIfNull(mistake);
        var options = new SessionOptions();
        var good = new ValidateOptionsResultBuilder();
        SessionOptionsValidator.Validate(options, CommandTimeout, "Sessions", good);
        Assert.True(good.Build().Succeeded);

        mistake(options);
        var result = new ValidateOptionsResultBuilder();
        SessionOptionsValidator.Validate(options, CommandTimeout, "Sessions", result);

        Assert.Contains($"Property {begin}", Assert.Single(result.Build().Failures!), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, 2, 5)]
    [InlineData(null, 30, 60)]
    [InlineData(40, 30, 40)]
    public void What_is_not_confirmed_is_published_by_others_after_longer_than_a_publish_can_take(int? said, int commandTimeout, int after)
    {
        var options = new SessionOptions { RepublishAfter = said is { } seconds ? TimeSpan.FromSeconds(seconds) : null };

        Assert.Equal(TimeSpan.FromSeconds(after), options.RepublishAfterOr(TimeSpan.FromSeconds(commandTimeout)));
    }

    [Fact]
    public async Task Where_the_catalog_has_no_sessions_the_first_use_says_what_to_add()
    {
        await using var sessions = Make("""{ "system": "s", "families": {} }""");

        var missing = await Assert.ThrowsAsync<InvalidOperationException>(async () => await sessions.CreateAsync("u1"));

        Assert.Contains("\"session\": { \"key\": \"auth:session:{sessionId}\"", missing.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("auth", null, "a")]
    [InlineData("shop", null, "b")]
    [InlineData("orders", "b", "b")]
    [InlineData("orders", null, null)]
    [InlineData("auth", "c", null)]
    public async Task The_family_is_the_services_own_or_the_one_that_is_named(string service, string? named, string? chosen)
    {
        await using var sessions = Make(
            $$"""
            { "system": "s", "services": { "auth": {}, "shop": {}, "orders": {} },
              "families": { "a": { "key": "auth:session:{id}", "owner": "auth", {{Sessions}} }, "b": { "key": "shop:session:{id}", "owner": "shop", {{Sessions}} } } }
            """,
            service,
            new SessionOptions { Family = named }
        );

        if (chosen is not null)
            Assert.Equal(chosen, sessions.Family.Settings.Family.Name);
        else
            Assert.Contains(
                "\"a\", \"b\"",
                Assert.Throws<InvalidOperationException>(() => sessions.Family).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public async Task Options_win_over_the_catalog()
    {
        const string Catalog = """
            { "system": "s", "services": { "auth": {} }, "families": { "a": { "key": "auth:session:{id}", "owner": "auth", "kind": "session", "idle": "45m", "absolute": "8h", "limit": "5", "policy": "reject" } } }
            """;
        await using var catalog = Make(Catalog);
        await using var options = Make(Catalog, options: new SessionOptions { Limit = 0, Policy = SessionLimitPolicy.Oldest });

        Assert.Equal(
            new SessionRules(TimeSpan.FromMinutes(45), TimeSpan.FromHours(8), new SessionLimit(5, SessionLimitPolicy.Reject)),
            catalog.Family.Rules
        );
        Assert.Equal(new SessionLimit(0, SessionLimitPolicy.Oldest), options.Family.Rules.Limit);
    }

    [Fact]
    public async Task Misuse_is_refused_before_anybody_is_asked()
    {
        await using var sessions = Make(
            $$"""{ "system": "s", "services": { "auth": {} }, "families": { "a": { "key": "auth:session:{id}", "owner": "auth", {{Sessions}} } } }"""
        );

        await Assert.ThrowsAsync<ArgumentException>(async () => await sessions.CreateAsync(""));
        await Assert.ThrowsAsync<ArgumentException>(async () => await sessions.CreateAsync(new string('u', 513)));
        await Assert.ThrowsAsync<ArgumentException>(async () =>
            await sessions.CreateAsync("u", new SessionDetails { Device = new string('d', 257) })
        );
        await Assert.ThrowsAsync<ArgumentException>(async () =>
            await sessions.CreateAsync("u", new SessionDetails { Limit = new SessionLimit(-1) })
        );
        await Assert.ThrowsAsync<ArgumentException>(async () =>
            await sessions.CreateAsync("u", new SessionDetails { Data = new byte[64 * 1024 + 1] })
        );
        await Assert.ThrowsAsync<ArgumentException>(async () => await sessions.ValidateAsync(default));
        await Assert.ThrowsAsync<ArgumentException>(async () => await sessions.RevokeAsync(default(SessionId)));
        await Assert.ThrowsAsync<ArgumentException>(async () => await sessions.RevokeAsync("u", "handle", new string('r', 65)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () =>
            await sessions.RotateAsync(SessionId.New(new string('A', 22)), TimeSpan.FromMinutes(2))
        );
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () =>
            await sessions.SaveAsync(SessionId.New(new string('A', 22)), -1, default)
        );
    }

    [Fact]
    public async Task Without_Redis_every_question_fails_and_says_that_nothing_was_sent()
    {
        await using var sessions = Make(
            $$"""{ "system": "s", "services": { "auth": {} }, "families": { "a": { "key": "auth:session:{id}", "owner": "auth", {{Sessions}} } } }"""
        );

        var failure = await Assert.ThrowsAnyAsync<RedisException>(async () => await sessions.CreateAsync("u1"));

        Assert.Equal(Sent.No, failure.Sent);
        Assert.DoesNotContain("u1", failure.Message, StringComparison.Ordinal);
    }

    private static OnggiSessions Make(string catalog, string? service = null, SessionOptions? options = null)
    {
        // Nobody listens on port 1; the waits are short because nothing here waits for Redis.
        var redis = new RedisClient(
            new RedisClientOptions
            {
                Port = 1,
                CommandTimeout = TimeSpan.FromMilliseconds(50),
                ConnectTimeout = TimeSpan.FromMilliseconds(50),
            }
        );
        return new OnggiSessions(
            redis,
            Keyspace.Load(catalog, service: service),
            options ?? new SessionOptions(),
            new FakeEvents(),
            new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>(),
            NullLogger<OnggiSessions>.Instance,
            TimeProvider.System
        );
    }
}
