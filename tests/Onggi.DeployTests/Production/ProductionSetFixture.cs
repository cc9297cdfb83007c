namespace Onggi.DeployTests.Production;

/// <summary>One set for all drills of the tests: each leaves it whole. Its Sentinels miss a primary sooner than in production.</summary>
public sealed class ProductionSetFixture : IAsyncLifetime
{
    internal ReplicatedSet Set { get; private set; } = null!;

    public async Task InitializeAsync() => Set = await ReplicatedSet.StartAsync(new SetSettings { DownAfterMs = 2500, IsHurried = true });

    public async Task DisposeAsync()
    {
        if (Set is not null)
            await Set.DisposeAsync();
    }
}

/// <summary>The tests that share the set, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class ProductionSetTests : ICollectionFixture<ProductionSetFixture>
{
    public const string Name = "production set";
}
