using System.Diagnostics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Who may come in, and what those read who may not.</summary>
public sealed class ClientLoginTests : IAsyncLifetime
{
    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync()
    {
        _server = await RedisServerProcess.StartAsync(new RedisServerSettings { Password = "p@ss:w/rd" });
        await Server.CommandAsync("ACL", "SETUSER", "reader", "on", ">reading", "~*", "&*", "+@read", "+hello", "+ping");
        await Server.CommandAsync("ACL", "SETUSER", "mute", "on", ">mute", "~*", "-@all");
    }

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Theory]
    [InlineData("127.0.0.1:{0},password=p@ss:w/rd")]
    [InlineData("127.0.0.1:{0},user=default,password=p@ss:w/rd")]
    [InlineData("redis://:p%40ss%3Aw%2Frd@127.0.0.1:{0}")]
    [InlineData("redis://reader:reading@127.0.0.1:{0}/0")]
    public async Task With_the_right_password_commands_flow(string connectionString)
    {
        await using var redis = await RedisClient.ConnectAsync(Fill(connectionString)).Within();

        Assert.Equal("PONG", await redis.PingAsync());
    }

    [Fact]
    public async Task The_name_is_shown_by_the_server()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString + ",name=bill-inquiry").Within();

        Assert.Contains("name=bill-inquiry", await Server.CommandAsync("CLIENT", "LIST"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_database_is_selected()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString + ",defaultDatabase=3").Within();
        await redis.SetAsync("here", "1");

        Assert.Contains("db3:keys=1", await Server.CommandAsync("INFO", "keyspace"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1:{0},password=wrong", "refused the password of user 'default'")]
    [InlineData("127.0.0.1:{0},user=nobody,password=wrong", "refused the password of user 'nobody'")]
    [InlineData("127.0.0.1:{0}", "wants a password and none was given")]
    [InlineData("127.0.0.1:{0},password=p@ss:w/rd,defaultDatabase=99", "has no database 99")]
    public async Task Who_may_not_come_in_is_told_why_at_once(string connectionString, string says)
    {
        var watch = Stopwatch.StartNew();

        var error = await RedisClient
            .ConnectAsync(Fill(connectionString) + ",connectTimeout=60000")
            .FailsWith<RedisClient, RedisConnectionException>();

        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{Server.Port}", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("p@ss", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong,", error.Message, StringComparison.Ordinal);
        Assert.Equal((Sent.No, false), (error.Sent, error.IsTransient));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_command_that_the_user_may_not_give_is_refused_by_name()
    {
        await using var redis = await RedisClient.ConnectAsync(Fill("redis://reader:reading@127.0.0.1:{0}")).Within();

        var error = await redis.SetAsync("k", "v").FailsWith<bool, RedisServerException>();

        Assert.Equal(("NOPERM", Sent.No, false), (error.Code, error.Sent, error.IsTransient));
    }

    [Fact]
    public async Task A_channel_that_the_user_may_not_hear_is_refused_at_once()
    {
        await Server.CommandAsync("ACL", "SETUSER", "deaf", "on", ">deaf", "~*", "resetchannels", "+@all");
        await using var redis = await RedisClient.ConnectAsync(Fill("redis://deaf:deaf@127.0.0.1:{0}?connectTimeout=60000")).Within();

        var error = await redis.SubscribeAsync("news").FailsWith<RedisSubscription, RedisServerException>();

        Assert.Equal("NOPERM", error.Code);
    }

    [Fact]
    public async Task A_password_that_is_put_right_lets_the_same_client_in()
    {
        await Server.CommandAsync("ACL", "SETUSER", "late", "on", ">old", "~*", "+@all");
        var options = RedisClientOptions.Parse(Fill("redis://late:new@127.0.0.1:{0}"));
        options.CommandTimeout = Waiting.Bound;
        await using var redis = new RedisClient(options);
        await redis.ConnectAsync().FailsWith<RedisConnectionException>();

        await Server.CommandAsync("ACL", "SETUSER", "late", ">new");

        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    private string Fill(string connectionString) => connectionString.Replace("{0}", $"{Server.Port}", StringComparison.Ordinal);
}
