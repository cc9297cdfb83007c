using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>What is said when a connection is made, and what is not repeated of it.</summary>
public sealed class GreetingTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_token_that_an_old_server_repeats_in_part_is_in_no_text()
    {
        // It lists the arguments of a command that it does not know, 128 letters of them.
        var token = $"eyJ{new string('x', 300)}";
        await using var server = FakeRedis.Start(async connection =>
        {
            await connection.ReadCommandAsync();
            await connection.SendAsync(
                $"-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' '{token[..100]}' \r\n"
            );
            await connection.UntilClosedAsync();
        });
        await using var redis = new RedisClient(new RedisClientOptions { Port = server.Port, Password = token });

        var error = await Assert.ThrowsAsync<RedisConnectionException>(() => redis.ConnectAsync().AsTask().WaitAsync(Bound));

        Assert.Contains("does not know HELLO", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("eyJ", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_without_a_password_is_not_taken_for_somebody_else()
    {
        string[] said = [];
        await using var server = FakeRedis.Start(async connection =>
        {
            said = await connection.HelloAsync();
            await connection.UntilClosedAsync();
        });
        await using var redis = new RedisClient(new RedisClientOptions { Port = server.Port, User = "reader" });

        await redis.ConnectAsync().AsTask().WaitAsync(Bound);

        Assert.Equal(["HELLO", "3", "AUTH", "reader", ""], said);
    }
}
