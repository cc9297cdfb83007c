using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>One redis-server for all tests of a class that do not harm it.</summary>
public sealed class RedisServerFixture : IAsyncLifetime
{
    private RedisServerProcess? _server;

    internal RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();
}

/// <summary>The contract on redis-server.</summary>
public sealed class ClientOnRedisTests(RedisServerFixture fixture) : ClientContract, IClassFixture<RedisServerFixture>
{
    protected override string ConnectionString => fixture.Server.ConnectionString;
}
