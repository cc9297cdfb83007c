using System.Globalization;
using Onggi.Cli.Access;
using Onggi.Cli.Commands;
using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Verification;

/// <summary>What the checks of one round look at; each thing is asked of the server once.</summary>
internal sealed class VerifyTarget(VerifySettings settings, ToolOutput output) : IAsyncDisposable
{
    /// <summary>The name by which servers know us.</summary>
    public const string ClientName = "onggi-verify";

    private static readonly TimeSpan HttpPatience = TimeSpan.FromSeconds(5);

    private RedisClient? _client;
    private IReadOnlyList<MetricsPage>? _metrics;
    private ServerInfo? _info;
    private Dictionary<string, string>? _config;
    private IReadOnlyList<ClientEntry>? _clients;
    private IReadOnlyList<AclUser>? _users;
    private IReadOnlyList<AccessMatrix.Cell>? _cells;

    public VerifySettings Settings => settings;

    public ToolOutput Output => output;

    public TimeProvider Time => output.Time;

    public Keyspace Keyspace => settings.Keyspace;

    /// <summary>The connection, once the first check has made it.</summary>
    public RedisClient Client => _client ?? throw new InvalidOperationException("There is no connection: the check lacks what it needs.");

    /// <summary>Connects.</summary>
    /// <exception cref="RedisException">Redis cannot be reached or refuses.</exception>
    public async Task ConnectAsync(CancellationToken cancellationToken) =>
        _client ??= await Inputs.ConnectAsync(settings.Redis, Named, cancellationToken).ConfigureAwait(false);

    /// <summary>Connects anew as somebody else.</summary>
    /// <exception cref="RedisException">Redis cannot be reached or refuses.</exception>
    public Task<RedisClient> ConnectAsAsync(string? user, string? password, CancellationToken cancellationToken) =>
        Inputs.ConnectAsync(
            settings.Redis,
            options =>
            {
                Named(options);
                (options.User, options.Password, options.Credentials) = (user, password, null);
            },
            cancellationToken
        );

    /// <summary>What the server says of itself.</summary>
    public async Task<ServerInfo> InfoAsync(CancellationToken cancellationToken) =>
        _info ??= await ServerInfo.ReadAsync(Client, cancellationToken).ConfigureAwait(false);

    /// <summary>The settings that are in force.</summary>
    public async Task<IReadOnlyDictionary<string, string>> ConfigAsync(CancellationToken cancellationToken)
    {
        if (_config is not null)
            return _config;
        var reply = await Client.ExecuteAsync(["CONFIG", "GET", "*"], cancellationToken).ConfigureAwait(false);
        var config = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i + 1 < reply.Items.Count; i += 2)
            config[reply.Items[i].Text ?? ""] = reply.Items[i + 1].Text ?? "";
        return _config = config;
    }

    /// <summary>Who is connected, ourselves left out.</summary>
    public async Task<IReadOnlyList<ClientEntry>> ClientsAsync(CancellationToken cancellationToken) =>
        _clients ??= await AskClientsAsync(cancellationToken).ConfigureAwait(false);

    /// <summary>The same, asked anew.</summary>
    public async Task<IReadOnlyList<ClientEntry>> AskClientsAsync(CancellationToken cancellationToken)
    {
        var text = await Client.SendAsync(["CLIENT", "LIST"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false) ?? "";
        return
        [
            .. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(ClientEntry.Parse)
                .Where(entry => entry.Name is not (ClientName or "onggi-cli")),
        ];
    }

    /// <summary>The users of the server.</summary>
    public async Task<IReadOnlyList<AclUser>> UsersAsync(CancellationToken cancellationToken)
    {
        if (_users is not null)
            return _users;
        var lines = await Client.SendAsync(["ACL", "LIST"], ReplyParsers.TextArray, cancellationToken).ConfigureAwait(false);
        return _users = [.. lines.Select((line, i) => AclUser.Parse(line ?? "", i + 1)).OfType<AclUser>()];
    }

    /// <summary>Who may do what.</summary>
    public async Task<IReadOnlyList<AccessMatrix.Cell>> CellsAsync(CancellationToken cancellationToken) =>
        _cells ??= (await AccessMatrix.AskAsync(Client, Keyspace, cancellationToken).ConfigureAwait(false)).Cells;

    /// <summary>The pages of metrics.</summary>
    public async Task<IReadOnlyList<MetricsPage>> MetricsAsync(CancellationToken cancellationToken)
    {
        if (_metrics is not null)
            return _metrics;
        using var http = new HttpClient { Timeout = HttpPatience };
        return _metrics = await Task.WhenAll(settings.Metrics.Select(address => MetricsPage.ReadAsync(address, http, cancellationToken)))
            .ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (_client is not null)
            await _client.DisposeAsync().ConfigureAwait(false);
    }

    private static void Named(RedisClientOptions options) => options.ClientName = ClientName;
}

/// <summary>A connection as CLIENT LIST has it.</summary>
/// <param name="User">Who logged in.</param>
/// <param name="Name">What the client calls itself.</param>
/// <param name="IdleSeconds">Since its last command.</param>
internal sealed record ClientEntry(string User, string Name, long IdleSeconds)
{
    public static ClientEntry Parse(string line)
    {
        var fields = line.Split(' ')
            .Select(part => part.Split('=', 2))
            .Where(part => part.Length == 2)
            .ToLookup(part => part[0], part => part[1].TrimEnd('\r'), StringComparer.Ordinal);
        return new ClientEntry(
            fields["user"].FirstOrDefault() ?? "",
            fields["name"].FirstOrDefault() ?? "",
            long.TryParse(fields["idle"].FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var idle) ? idle : 0
        );
    }

    /// <summary>Whether it is a process of the service, by its user or by its name.</summary>
    public bool IsOf(string service) =>
        User == service
        || Name == service
        || Name.StartsWith(service + "-", StringComparison.Ordinal)
        || Name.StartsWith(service + ":", StringComparison.Ordinal);
}
