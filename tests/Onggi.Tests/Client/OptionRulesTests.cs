using Onggi.Client;

namespace Onggi.Tests.Client;

/// <summary>Options that a client cannot work with.</summary>
public sealed class OptionRulesTests
{
    public static TheoryData<string, Action<RedisClientOptions>> Wrong =>
        new()
        {
            { "Host", options => options.Host = null! },
            { "Host", options => options.Servers = [new RedisAddress("a", 1), default] },
            { "Port", options => options.Port = 0 },
            { "Port", options => options.Servers = [new RedisAddress("a", 65_536)] },
            { "ConnectTimeout", options => options.ConnectTimeout = TimeSpan.Zero },
            { "CommandTimeout", options => options.CommandTimeout = Timeout.InfiniteTimeSpan },
            { "CommandTimeout", options => options.CommandTimeout = TimeSpan.MaxValue },
            { "KeepAlive", options => options.KeepAlive = TimeSpan.Zero },
            { "DeadAfter", options => options.DeadAfter = TimeSpan.FromSeconds(-1) },
            { "ReconnectPause", options => options.ReconnectPause = TimeSpan.FromTicks(-1) },
            { "MaxReconnectPause", options => options.MaxReconnectPause = TimeSpan.MaxValue },
            { "Database", options => options.Database = -1 },
            { "MaxInFlight", options => options.MaxInFlight = 0 },
            { "MaxBacklog", options => options.MaxBacklog = -1 },
            { "MaxBufferedBytes", options => options.MaxBufferedBytes = 0 },
            { "MaxLeases", options => options.MaxLeases = 0 },
            { "SubscriptionBuffer", options => options.SubscriptionBuffer = 0 },
            { "SubscriptionBufferBytes", options => options.SubscriptionBufferBytes = 0 },
        };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void One_that_means_nothing_is_refused_by_name_when_the_client_is_made(string name, Action<RedisClientOptions> change)
    {
        var options = new RedisClientOptions();
        change(options);

        var error = Assert.Throws<ArgumentException>(() => new RedisClient(options));

        Assert.StartsWith(name, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_least_that_means_something_is_taken()
    {
        var options = new RedisClientOptions
        {
            ReconnectPause = TimeSpan.Zero,
            MaxReconnectPause = TimeSpan.Zero,
            MaxBacklog = 0,
            MaxInFlight = 1,
            MaxLeases = 1,
        };

        await new RedisClient(options).DisposeAsync();
    }
}
