using Onggi.Testing;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>One cluster for all tests of a class: three primaries with a replica each.</summary>
public sealed class RedisClusterFixture : IAsyncLifetime
{
    private RedisClusterProcesses? _cluster;

    internal RedisClusterProcesses Cluster => _cluster!;

    public async Task InitializeAsync() => _cluster = await RedisClusterProcesses.StartAsync();

    public async Task DisposeAsync() => await Cluster.DisposeAsync();
}
