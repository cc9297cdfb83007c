using Onggi.Testing;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>A cluster of one node keeps every promise that a server keeps.</summary>
public sealed class ClusterContractTests(OneNodeClusterFixture fixture) : ClientContract, IClassFixture<OneNodeClusterFixture>
{
    protected override string ConnectionString => $"{fixture.Cluster.Nodes[0]}";
}

/// <summary>A cluster that is one node, without replicas.</summary>
public sealed class OneNodeClusterFixture : IAsyncLifetime
{
    private RedisClusterProcesses? _cluster;

    internal RedisClusterProcesses Cluster => _cluster!;

    public async Task InitializeAsync() => _cluster = await RedisClusterProcesses.StartAsync(primaries: 1, replicas: 0);

    public async Task DisposeAsync() => await Cluster.DisposeAsync();
}
