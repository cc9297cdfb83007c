using System.Security.Cryptography;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>The connections of a migration: a client for each side and database, since a database belongs to a connection.</summary>
internal sealed class MigrationServers : IAsyncDisposable
{
    /// <summary>What the names of our connections begin with, so that a later run can end those of an earlier one.</summary>
    public const string NamePrefix = "onggi-migrate-";

    /// <summary>How long a server may take for an answer.</summary>
    public static readonly TimeSpan UsualPatience = TimeSpan.FromSeconds(30);

    private const int RunBytes = 6;

    private readonly MigrationRules _rules;
    private readonly string _clientName;
    private readonly TimeSpan _patience;
    private readonly Dictionary<int, RedisClient> _source = [];
    private readonly Dictionary<int, RedisClient> _target = [];

    private MigrationServers(MigrationRules rules, string clientName, TimeSpan patience) =>
        (_rules, _clientName, _patience) = (rules, clientName, patience);

    /// <summary>A name for the connections of a run: no other run has it.</summary>
    public static string NewName(MigrationRules rules) =>
        $"{NamePrefix}{rules.Name}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(RunBytes))}";

    /// <summary>Whether it is the name of a run of these rules: not of others whose name begins alike.</summary>
    public static bool IsNameOf(MigrationRules rules, string name) =>
        name.StartsWith($"{NamePrefix}{rules.Name}-", StringComparison.Ordinal)
        && name.Length == NamePrefix.Length + rules.Name.Length + 1 + (2 * RunBytes);

    /// <summary>Whether both sides are one server: then no connection of ours may be held up, and one fence serves both.</summary>
    public bool IsOneServer { get; private set; }

    /// <summary>Connects to both sides.</summary>
    /// <exception cref="ToolException">A connection string is none, or a variable is not set.</exception>
    /// <exception cref="RedisException">A server cannot be reached or refuses; the message says which.</exception>
    public static async Task<MigrationServers> OpenAsync(
        MigrationRules rules,
        string clientName,
        CancellationToken cancellationToken,
        TimeSpan? patience = null
    )
    {
        var servers = new MigrationServers(rules, clientName, patience ?? UsualPatience);
        try
        {
            foreach (var database in rules.Rules.Select(rule => rule.Database).Append(0).Distinct())
                servers._source[database] = await servers.ConnectAsync(rules.Source, database, cancellationToken).ConfigureAwait(false);
            foreach (var database in rules.Rules.Select(rule => rule.TargetDatabase).Append(0).Distinct())
                servers._target[database] = await servers.ConnectAsync(rules.Target, database, cancellationToken).ConfigureAwait(false);
            var source = await servers.SourceInfoAsync(cancellationToken).ConfigureAwait(false);
            var target = await servers.TargetInfoAsync(cancellationToken).ConfigureAwait(false);
            servers.IsOneServer = source.RunId == target.RunId;
            return servers;
        }
        catch
        {
            await servers.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public RedisClient Source(int database = 0) => _source[database];

    public RedisClient Target(int database = 0) => _target[database];

    public Task<ServerInfo> SourceInfoAsync(CancellationToken cancellationToken) => ServerInfo.ReadAsync(Source(), cancellationToken);

    public Task<ServerInfo> TargetInfoAsync(CancellationToken cancellationToken) => ServerInfo.ReadAsync(Target(), cancellationToken);

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _source.Values.Concat(_target.Values))
            await client.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<RedisClient> ConnectAsync(MigrationEndpoint endpoint, int database, CancellationToken cancellationToken)
    {
        var side = endpoint == _rules.Source ? "source" : "target";
        var options = Options(endpoint, side);
        options.Database = database;
        options.ClientName = _clientName;
        // Large values take their time, and a server that is asked for one says nothing meanwhile.
        options.CommandTimeout = _patience;
        options.DeadAfter = _patience;
        options.MaxInFlight = 16384;
        options.WhenFull = WhenFull.Wait;
        try
        {
            return await RedisClient.ConnectAsync(options, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (RedisException problem)
        {
            throw new ToolException($"the {side} {options} cannot be used: {problem.Message}");
        }
    }

    private static RedisClientOptions Options(MigrationEndpoint endpoint, string side)
    {
        var text =
            endpoint.Redis
            ?? System.Environment.GetEnvironmentVariable(endpoint.Variable!)
            ?? throw new ToolException($"the variable {endpoint.Variable} is not set: it is to hold the connection string of the {side}.");
        try
        {
            return RedisClientOptions.Parse(text);
        }
        catch (FormatException problem)
        {
            throw new ToolException($"the {side}: {problem.Message}");
        }
    }
}
