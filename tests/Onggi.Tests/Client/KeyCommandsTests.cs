using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>What commands on keys are on the wire.</summary>
public sealed class KeyCommandsTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData(1, "1")]
    [InlineData(9_999, "1")]
    [InlineData(25_000, "2")]
    [InlineData(0, "0")]
    [InlineData(-10_000, "-1")]
    public async Task A_part_of_a_millisecond_to_live_does_not_remove_the_key(long ticks, string milliseconds)
    {
        string[] asked = [];
        await using var server = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(command =>
            {
                asked = command;
                return ":1\r\n";
            });
        });
        await using var redis = new RedisClient(new RedisClientOptions { Port = server.Port, CommandTimeout = Bound });

        Assert.True(await redis.ExpireAsync("k", TimeSpan.FromTicks(ticks)).AsTask().WaitAsync(Bound));

        Assert.Equal(["PEXPIRE", "k", milliseconds], asked);
    }
}
