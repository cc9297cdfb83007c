using Microsoft.Extensions.Configuration;
using Onggi.Client;
using Onggi.Testing;
using PhoneBill.Contracts;

namespace Onggi.ServerTests.Client;

/// <summary>Passwords from files, as the manifests of the services hand them out.</summary>
public sealed class PasswordFileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-password-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_service_logs_in_with_what_its_file_says_when_it_connects()
    {
        await using var redis = await RedisServerProcess.StartAsync("--user", "auth", "on", ">first", "~*", "&*", "+@all");
        var file = await WriteAsync("redis", "first\n");
        var options = Options(redis.Port, ("PhoneBill:RedisPasswordFile", file));
        await using var client = await RedisClient.ConnectAsync(options);
        Assert.Equal("auth", await WhoAsync(client));

        // As onggi acl rotate does, and then the file changes under the running service.
        await redis.CommandAsync("ACL", "SETUSER", "auth", "<first", ">second");
        await WriteAsync("redis", "second\n");
        await redis.CommandAsync("CLIENT", "KILL", "USER", "auth");

        await Until.TrueAsync(
            async () =>
            {
                try
                {
                    return await WhoAsync(client) == "auth";
                }
                catch (RedisException)
                {
                    return false;
                }
            },
            "it has logged in with the new password"
        );
        await Assert.ThrowsAsync<InvalidOperationException>(() => RawRedis.ConnectAsync(redis.Port, "auth", "first"));
    }

    [Fact]
    public async Task The_Sentinels_password_comes_from_a_file_and_nothing_is_changed_without_files()
    {
        var with = Options(1, ("PhoneBill:SentinelPasswordFile", await WriteAsync("sentinel", "word\n")));
        var without = Options(1);

        Assert.Equal(("word", (object?)null), (with.SentinelPassword, with.Credentials));
        Assert.Equal((null, null), ((object?)without.SentinelPassword, (object?)without.Credentials));
    }

    private static RedisClientOptions Options(int port, params (string Name, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)))
            .Build();
        var onggi = new OnggiOptions();
        onggi.UseRedisPasswordFiles(configuration, "auth");
        var options = RedisClientOptions.Parse($"127.0.0.1:{port}");
        onggi.ConfigureClient!(options);
        return options;
    }

    private static async Task<string?> WhoAsync(RedisClient client) => await client.SendAsync(["ACL", "WHOAMI"], ReplyParsers.Text);

    private async Task<string> WriteAsync(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        await File.WriteAllTextAsync(path, text);
        return path;
    }
}
