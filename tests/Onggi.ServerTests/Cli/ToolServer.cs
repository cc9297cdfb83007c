using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>A Redis as the tool itself makes it: redis.conf by <c>onggi conf show</c>, users by <c>onggi acl file</c>.</summary>
internal sealed class ToolServer : IAsyncDisposable
{
    public const string Catalog = """
        {
          "system": "shop",
          "memory": { "limit": "512mb" },
          "services": { "auth": {}, "billing": {}, "front": {} },
          "events": {
            "bill.changed": { "publishers": ["front"], "keys": { "bill": { "id": "data.id" } } }
          },
          "families": {
            "session": { "key": "auth:session:{id}", "kind": "session", "owner": "auth", "readers": ["front"], "idle": "30m", "absolute": "24h", "share": "40%" },
            "bill": { "key": "bill:{id}", "value": "Shop.Bill", "owner": "billing", "readers": ["front"], "ttl": "4h", "share": "1%", "invalidatedBy": ["bill.changed"] },
            "user": { "key": "cache:user:{id}", "value": "Shop.User", "owner": "auth", "ttl": "10m" },
            "secret": { "key": "secret:{id}", "value": "Shop.Secret", "owner": "billing" },
            "customer": { "key": "customer:{lineNumber}", "value": "Shop.Customer", "owner": "billing", "personal": ["lineNumber"] }
          },
          "environments": { "production": { "personalIdentifiers": "hmac" } }
        }
        """;

    private readonly DirectoryInfo _folder;

    private ToolServer(DirectoryInfo folder, RedisServerProcess redis) => (_folder, Redis) = (folder, redis);

    public RedisServerProcess Redis { get; }

    public string CatalogFile => PathOf("keyspace.json");

    public string AclFile => PathOf("users.acl");

    public string ConfFile => PathOf("redis.conf");

    public string SecretsFolder => PathOf("secrets");

    /// <summary>Where a test's metrics are; <c>null</c> for none.</summary>
    public string? MetricsAddress { get; set; }

    /// <summary>Starts it, with some settings otherwise.</summary>
    public static async Task<ToolServer> StartAsync(params string[] flags)
    {
        var folder = Directory.CreateTempSubdirectory("onggi-verify-tests");
        string PathOf(string name) => Path.Combine(folder.FullName, name);
        await File.WriteAllTextAsync(PathOf("keyspace.json"), Catalog);
        var (code, _, error) = await ToolRun.OfAsync(
            "acl",
            "file",
            "--catalog",
            PathOf("keyspace.json"),
            "--secrets",
            PathOf("secrets"),
            "--out",
            PathOf("users.acl")
        );
        Assert.True(code == 0, error);
        var (shown, text, problem) = await ToolRun.OfAsync(
            "conf",
            "show",
            "--catalog",
            PathOf("keyspace.json"),
            "--aclfile",
            PathOf("users.acl")
        );
        Assert.True(shown == 0, problem);
        await File.WriteAllTextAsync(PathOf("redis.conf"), text);
        // Where it listens and writes is the test's matter.
        var made = ConfFileFlags(text).Concat(flags);
        return new ToolServer(folder, await RedisServerProcess.StartAsync([.. made]));
    }

    public string PathOf(string name) => Path.Combine(_folder.FullName, name);

    public string ConnectionOf(string user) => $"127.0.0.1:{Redis.Port},user={user},password={PasswordOf(user)}";

    public string PasswordOf(string user) => File.ReadAllText(Path.Combine(SecretsFolder, user));

    public Task<RedisClient> ConnectAsync(string user) => RedisClient.ConnectAsync(ConnectionOf(user)).AsTask();

    /// <summary>A command as the operator.</summary>
    public async Task<string?> CommandAsync(params string[] command)
    {
        await using var op = await ConnectAsync("operator");
        return await op.SendAsync([.. command.Select(word => (RedisArg)word)], AnyText);
    }

    /// <summary>Runs the tool on it, as the operator.</summary>
    public Task<(int Code, string Output, string Error)> RunAsync(params string[] args) =>
        ToolRun.OfAsync([.. args, "--catalog", CatalogFile, .. Connection(args)]);

    /// <summary>The same with somebody at the terminal.</summary>
    public Task<(int Code, string Output, string Error)> AnswerAsync(string answers, params string[] args) =>
        ToolRun.OfAsync(answers, CancellationToken.None, [.. args, "--catalog", CatalogFile, .. Connection(args)]);

    public async ValueTask DisposeAsync()
    {
        await Redis.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private static readonly ReplyParser<string?> AnyText = static (ref reader) =>
        reader.IsNull || reader.IsAggregate ? Onggi.Client.Resp.Reply.From(ref reader).ToString() : reader.ReadString();

    private static IEnumerable<string> ConfFileFlags(string text) =>
        Onggi
            .Cli.Configuration.ConfFile.Parse("redis.conf", text)
            .Lines.Where(line => line.Name is not ("bind" or "port" or "dir" or "save" or "appendonly"))
            .SelectMany(line => new[] { $"--{line.Name}" }.Concat(line.Values));

    private string[] Connection(string[] args) => args.Contains("--redis") ? [] : ["--redis", ConnectionOf("operator")];
}
