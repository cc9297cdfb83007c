using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>What a call costs the heap.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class AllocationTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nothing_is_allocated_for_a_value_into_memory_of_the_pool(bool inline)
    {
        await using var server = await RedisServerProcess.StartAsync();
        var options = RedisClientOptions.Parse(server.ConnectionString);
        options.InlineCompletion = inline;
        await using var redis = await RedisClient.ConnectAsync(options);
        await redis.SetAsync("pooled", new byte[64]);

        // The timers and the test runner are in it; an array per call would be 88.
        await Allocation.AtMostAsync(
            20,
            20_000,
            async calls =>
            {
                for (var i = 0; i < calls; i++)
                    (await redis.GetPooledAsync("pooled")).Dispose();
            }
        );
    }
}
