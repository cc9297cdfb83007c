using Onggi.Testing;

namespace Onggi.DeployTests.Monitoring;

/// <summary>Redis servers with the team's users, as <c>onggi acl file</c> makes them, and one more who may do all that breaks them.</summary>
internal sealed class TeamRedis : IAsyncDisposable
{
    private const string Breaker = "breaker";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-monitoring-redis");
    private readonly List<RedisServerProcess> _servers = [];

    public string FolderName => _folder.FullName;

    public string PasswordOf(string user) => File.ReadAllText(Path.Combine(_folder.FullName, "secrets", user)).Trim();

    public static async Task<TeamRedis> MakeAsync(string catalog)
    {
        var team = new TeamRedis();
        var (code, output) = await Kit.RunAsync(
            "acl",
            "file",
            "--catalog",
            catalog,
            "--replicated",
            "--secrets",
            Path.Combine(team.FolderName, "secrets"),
            "--out",
            team.AclFile
        );
        Assert.True(code == 0, output);
        await File.AppendAllTextAsync(team.AclFile, $"user {Breaker} on >{Breaker} ~* &* +@all\n");
        return team;
    }

    private string AclFile => Path.Combine(_folder.FullName, "users.acl");

    public async Task<RedisServerProcess> StartAsync(params string[] flags)
    {
        // Each has users of its own to save.
        var acl = Path.Combine(_folder.FullName, $"users-{_servers.Count}.acl");
        File.Copy(AclFile, acl);
        var server = await RedisServerProcess.StartAsync([
            "--aclfile",
            acl,
            "--maxmemory",
            "512mb",
            "--masteruser",
            "replica",
            "--masterauth",
            PasswordOf("replica"),
            .. flags,
        ]);
        lock (_servers)
            _servers.Add(server);
        return server;
    }

    /// <summary>A connection that may do everything.</summary>
    public static Task<RawRedis> BreakAsync(RedisServerProcess server) => RawRedis.ConnectAsync(server.Port, Breaker, Breaker);

    /// <summary>One command that may do everything.</summary>
    public static async Task<string?> BreakAsync(RedisServerProcess server, params string[] command)
    {
        using var connection = await BreakAsync(server);
        return await connection.CommandAsync(command);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
