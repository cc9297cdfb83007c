using System.Diagnostics;
using System.Globalization;
using System.Net;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.DeployTests.Production;

/// <summary>How a <see cref="ReplicatedSet"/> is started.</summary>
internal sealed record SetSettings
{
    /// <summary>How long a primary is silent before it is missed; <c>null</c> for what sentinel.conf says.</summary>
    public int? DownAfterMs { get; init; }

    /// <summary>Whether Sentinels look and tell more often than they usually do, so that a test need not wait for them.</summary>
    public bool IsHurried { get; init; }

    /// <summary>How long drills write before something breaks, so that there is something to lose.</summary>
    public TimeSpan WritesFirst { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>What stands before the entry script of the first server: nothing, or what gives it a small disk.</summary>
    public IReadOnlyList<string> BeforeFirst { get; init; } = [];
}

/// <summary>One Redis of the set.</summary>
/// <param name="Process">The process.</param>
/// <param name="Port">Where it listens.</param>
/// <param name="Proxy">What all others go through; its port is the one that is announced.</param>
/// <param name="Data">Its folder.</param>
internal sealed record SetServer(EntryProcess Process, int Port, FaultProxy Proxy, string Data)
{
    /// <summary>The port by which it is known.</summary>
    public int Announced => Proxy.Port;
}

/// <summary>The production set without Kubernetes: three Redis servers and three Sentinels on loopback, started by the entry scripts of the overlay, with its files, users and certificates.</summary>
internal sealed class ReplicatedSet : IAsyncDisposable
{
    public const string Master = "phonebill";

    private const int Count = 3;
    private const string Loopback = "127.0.0.1";

    // A name, as pods have; where the system prefers another address for it than that on which we listen, the address.
    private static readonly string Host =
        Dns.GetHostAddresses("localhost") is [var first, ..] && first.ToString() == Loopback ? "localhost" : Loopback;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly List<SetServer> _servers = [];
    private readonly List<(EntryProcess Process, int Port)> _sentinels = [];

    private ReplicatedSet(SetFolder folder) => Folder = folder;

    public SetFolder Folder { get; }

    public IReadOnlyList<SetServer> Servers => _servers;

    public IReadOnlyList<int> SentinelPorts => [.. _sentinels.Select(sentinel => sentinel.Port)];

    /// <summary>See <see cref="SetSettings.WritesFirst"/>.</summary>
    public TimeSpan WritesFirst { get; private init; }

    /// <summary>What the servers call themselves.</summary>
    public string Version { get; private set; } = "";

    public static async Task<ReplicatedSet> StartAsync(SetSettings? settings = null)
    {
        settings ??= new SetSettings();
        var set = new ReplicatedSet(await SetFolder.MakeAsync()) { WritesFirst = settings.WritesFirst };
        try
        {
            set.Lay(settings);
            // All at once, as pods are.
            foreach (
                var process in set._servers.Select(server => server.Process).Concat(set._sentinels.Select(sentinel => sentinel.Process))
            )
                await process.StartAsync();
            if (settings.IsHurried)
                await set.HurryAsync();
            await set.WholeAsync();
            var info = await set.AskAsync(set._servers[0].Port, "operator", "INFO", "server");
            set.Version = info.First(line => line.StartsWith("redis_version:", StringComparison.Ordinal)).Split(':')[1].Trim();
            return set;
        }
        catch
        {
            await set.DisposeAsync();
            throw;
        }
    }

    /// <summary>How a client that knows the Sentinels connects.</summary>
    public RedisClientOptions Options(string user) => RedisClientOptions.Parse(ConnectionOf(user));

    /// <summary>The same as text.</summary>
    public string ConnectionOf(string user) =>
        string.Join(',', _sentinels.Select(sentinel => $"{Host}:{sentinel.Port}"))
        + $",serviceName={Master},user={user},password={Folder.PasswordOf(user)},sentinelUser=sentinel-client,sentinelPassword={Folder.PasswordOf("sentinel-client")},tlsCa={Folder.Authority}";

    /// <summary>How a client connects that knows this server only, and goes past its proxy.</summary>
    public RedisClientOptions Options(string user, SetServer server) =>
        RedisClientOptions.Parse($"{Host}:{server.Port},user={user},password={Folder.PasswordOf(user)},tlsCa={Folder.Authority}");

    /// <summary>Whom the Sentinels name; the first that answers.</summary>
    public async Task<SetServer> PrimaryAsync()
    {
        foreach (var (process, port) in _sentinels.Where(sentinel => sentinel.Process.IsRunning))
            if (await AskAsync(port, "operator", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", Master) is [_, var announced])
                return _servers.Single(server => $"{server.Announced}" == announced);
        throw new InvalidOperationException("No Sentinel answers.");
    }

    /// <summary>Those that are not the primary.</summary>
    public async Task<IReadOnlyList<SetServer>> ReplicasAsync()
    {
        var primary = await PrimaryAsync();
        return [.. _servers.Where(server => server != primary)];
    }

    /// <summary>What a server says that it is: master or slave.</summary>
    public async Task<string> RoleAsync(SetServer server) => await AskAsync(server.Port, "replica", "ROLE") is [var role, ..] ? role : "";

    /// <summary>The port from which a replica is connected to its primary.</summary>
    public async Task<int> LinkOfAsync(SetServer replica)
    {
        var link = (await AskAsync(replica.Port, "operator", "CLIENT", "LIST", "TYPE", "master"))[0].Split(' ');
        return int.Parse(
            link.Single(word => word.StartsWith("laddr=", StringComparison.Ordinal)).Split(':')[^1],
            CultureInfo.InvariantCulture
        );
    }

    /// <summary>Asks by redis-cli, past the proxy; the answer's lines, none where nobody answers within two seconds.</summary>
    public async Task<IReadOnlyList<string>> AskAsync(int port, string user, params string[] command)
    {
        var start = new ProcessStartInfo(
            "timeout",
            [
                "-k",
                "1",
                "2",
                "redis-cli",
                "-h",
                Host,
                "-p",
                $"{port}",
                "--user",
                user,
                "--no-auth-warning",
                "--tls",
                "--insecure",
                "--cacert",
                Folder.Authority,
                .. command,
            ]
        );
        start.Environment["REDISCLI_AUTH"] = Folder.PasswordOf(user);
        var (_, output, _) = await RunAsync(start);
        return output.Length == 0 ? [] : [.. output.TrimEnd('\n').Split('\n').Select(line => line.TrimEnd('\r'))];
    }

    /// <summary>Runs a script of the overlay where a server is, as Kubernetes or <c>kubectl exec</c> does.</summary>
    public Task<(int Code, string Output, string Error)> ScriptAsync(string script, SetServer server)
    {
        var start = new ProcessStartInfo("sh", [Path.Combine(Folder.Config, script)]);
        foreach (var (key, value) in Environment(server.Port, server.Announced, server.Data, "replica"))
            start.Environment[key] = value;
        start.Environment["ONGGI_CERTIFICATES_PASSWORD_FILE"] = Folder.PasswordFileOf("certificates");
        return RunAsync(start);
    }

    /// <summary>A failover as a person starts it: nobody stops the writers first.</summary>
    public async Task FailOverAsync()
    {
        var port = _sentinels[0].Port;
        await WaitFor.TrueAsync(
            async () => await AskAsync(port, "operator", "SENTINEL", "FAILOVER", Master) is ["OK"],
            "a Sentinel takes over"
        );
    }

    /// <summary>Gives every Redis the certificate that is there now; none is started anew.</summary>
    public async Task ReloadAsync()
    {
        foreach (var server in _servers)
            if (await ScriptAsync("reload-tls.sh", server) is not (0, _, _) and var failed)
                throw new InvalidOperationException($"reload-tls.sh ended with {failed.Code}: {failed.Output}{failed.Error}");
    }

    /// <summary>Has a server make a new append-only file, and waits for it.</summary>
    public async Task RewriteAsync(SetServer server)
    {
        await AskAsync(server.Port, "operator", "BGREWRITEAOF");
        await WaitFor.TrueAsync(
            async () =>
            {
                var info = await AskAsync(server.Port, "operator", "INFO", "persistence");
                return info.Contains("aof_rewrite_in_progress:0")
                    && info.Contains("aof_rewrite_scheduled:0")
                    && info.Contains("aof_last_bgrewrite_status:ok");
            },
            "a new append-only file is there"
        );
    }

    /// <summary>Waits until a server that was started answers, or has ended.</summary>
    /// <returns>Whether it answers.</returns>
    public async Task<bool> StartsAsync(SetServer server)
    {
        await WaitFor.TrueAsync(
            async () => !server.Process.IsRunning || await RoleAsync(server) is "master" or "slave",
            $"{server.Process.Name} answers or has ended"
        );
        return server.Process.IsRunning;
    }

    /// <summary>Waits until all run, the Sentinels agree on who is the primary, and two replicas are in step with it.</summary>
    public async Task WholeAsync()
    {
        var why = "";
        for (var watch = Stopwatch.StartNew(); (why = await WhyNotWholeAsync()).Length > 0; await Task.Delay(100))
            if (watch.Elapsed > Patience)
                throw new TimeoutException(
                    $"For {Patience.TotalSeconds} s the set was not whole: {why}.\n{string.Join("\n\n", Processes().Select(process => $"{process.Name}:\n{process.LastWords}"))}"
                );
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Processes())
            await process.DisposeAsync();
        foreach (var server in _servers)
            await server.Proxy.DisposeAsync();
        Folder.Dispose();
    }

    private IEnumerable<EntryProcess> Processes() =>
        _servers.Select(server => server.Process).Concat(_sentinels.Select(sentinel => sentinel.Process));

    private void Lay(SetSettings settings)
    {
        var ports = Ports(2 * Count);
        var proxies = ports.Take(Count).Select(port => FaultProxy.Start(port)).ToList();
        _peers = string.Join(' ', proxies.Select(proxy => $"{Host}:{proxy.Port}"));
        _watchers = string.Join(' ', ports.Skip(Count).Select(port => $"{Host}:{port}"));
        for (var i = 0; i < Count; i++)
        {
            var data = Directory.CreateDirectory(Folder.PathOf($"redis-{i}")).FullName;
            var environment = Environment(ports[i], proxies[i].Port, data, "replica");
            string[] command = [.. i == 0 ? settings.BeforeFirst : [], "sh", Path.Combine(Folder.Config, "redis-entry.sh")];
            _servers.Add(new SetServer(new EntryProcess($"redis-{i}", Folder.Root, command, environment), ports[i], proxies[i], data));
        }

        for (var i = 0; i < Count; i++)
        {
            var port = ports[Count + i];
            var environment = Environment(port, port, Directory.CreateDirectory(Folder.PathOf($"sentinel-{i}")).FullName, "sentinel");
            if (settings.DownAfterMs is { } silence)
                environment["ONGGI_DOWN_AFTER_MS"] = $"{silence}";
            string[] command = ["sh", Path.Combine(Folder.Config, "sentinel-entry.sh")];
            _sentinels.Add((new EntryProcess($"sentinel-{i}", Folder.Root, command, environment), port));
        }
    }

    private string _peers = "";
    private string _watchers = "";

    private Dictionary<string, string> Environment(int port, int announced, string data, string user) =>
        new()
        {
            ["ONGGI_HOST"] = Host,
            ["ONGGI_PORT"] = $"{port}",
            ["ONGGI_ANNOUNCE_PORT"] = $"{announced}",
            ["ONGGI_BIND"] = Loopback,
            ["ONGGI_PEERS"] = _peers,
            ["ONGGI_SENTINELS"] = _watchers,
            ["ONGGI_MASTER"] = Master,
            ["ONGGI_CONFIG"] = Folder.Config,
            ["ONGGI_DATA"] = data,
            ["ONGGI_ACL"] = Folder.Acl,
            ["ONGGI_TLS"] = Folder.Tls,
            ["ONGGI_PASSWORD_FILE"] = Folder.PasswordFileOf(user),
            ["ONGGI_PATIENCE"] = "2",
        };

    private static List<int> Ports(int count)
    {
        var ports = new HashSet<int>();
        while (ports.Count < count)
            ports.Add(LoopbackPorts.Free());
        return [.. ports];
    }

    // Sentinels get to know each other and the replicas by questions every two and ten seconds: more often, for tests. And a busy machine must not make them
    // believe that the clock was set.
    private async Task HurryAsync()
    {
        string[] hurry = ["SENTINEL", "DEBUG", "INFO-PERIOD", "500", "ASK-PERIOD", "200", "PUBLISH-PERIOD", "400", "TILT-TRIGGER", "20000"];
        foreach (var (process, port) in _sentinels)
            for (var watch = Stopwatch.StartNew(); await AskAsync(port, "operator", hurry) is not ["OK"]; await Task.Delay(100))
                if (watch.Elapsed > Patience)
                    throw new TimeoutException($"{process.Name} does not answer: {process.LastWords}");
    }

    private async Task<string> WhyNotWholeAsync()
    {
        if (Processes().FirstOrDefault(process => !process.IsRunning) is { } dead)
            return $"{dead.Name} does not run";
        var named = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (process, port) in _sentinels)
        {
            var facts = Facts(await AskAsync(port, "operator", "SENTINEL", "MASTER", Master));
            if (facts.GetValueOrDefault("flags") != "master")
                return $"{process.Name} says {facts.GetValueOrDefault("flags", "nothing")}";
            if (facts["num-slaves"] != $"{Count - 1}" || facts["num-other-sentinels"] != $"{Count - 1}")
                return $"{process.Name} knows {facts["num-slaves"]} replicas and {facts["num-other-sentinels"]} others";
            var replicas = await AskAsync(port, "operator", "SENTINEL", "REPLICAS", Master);
            if (
                Values(replicas, "flags").Any(flags => flags != "slave") || Values(replicas, "master-link-status").Any(link => link != "ok")
            )
                return $"{process.Name} sees a replica that is not in step";
            named.Add(facts["port"]);
        }

        if (named.Count > 1)
            return "the Sentinels disagree";
        var primary = _servers.Single(server => $"{server.Announced}" == named.Single());
        var role = await AskAsync(primary.Port, "replica", "ROLE");
        return role.Count == 2 + (3 * (Count - 1)) && role[0] == "master" ? "" : $"{primary.Process.Name} says {string.Join(' ', role)}";
    }

    private static Dictionary<string, string> Facts(IReadOnlyList<string> lines) =>
        lines.Chunk(2).Where(pair => pair.Length == 2).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);

    private static IEnumerable<string> Values(IReadOnlyList<string> lines, string name) =>
        Enumerable.Range(0, lines.Count - 1).Where(i => lines[i] == name).Select(i => lines[i + 1]);

    private static async Task<(int Code, string Output, string Error)> RunAsync(ProcessStartInfo start)
    {
        start.UseShellExecute = false;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{start.FileName} did not start.");
        var output = process.StandardOutput.ReadToEndAsync();
        var error = await process.StandardError.ReadToEndAsync();
        var text = await output;
        await process.WaitForExitAsync();
        return (process.ExitCode, text, error);
    }
}
