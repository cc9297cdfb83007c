using Onggi.Cli.Commands;
using Onggi.Client;

namespace Onggi.Cli.Backup;

/// <summary>Connections for large values.</summary>
internal static class BackupServers
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Connects as the other commands do, with patience for large values.</summary>
    /// <exception cref="ToolException">The connection string is none.</exception>
    /// <exception cref="RedisException">Redis cannot be reached or refuses.</exception>
    public static Task<RedisClient> ConnectAsync(string? connection, CancellationToken cancellationToken) =>
        Inputs.ConnectAsync(
            connection,
            options =>
            {
                options.ClientName = "onggi-backup";
                Patient(options);
            },
            cancellationToken
        );

    /// <summary>Large values take their time, and a server that is asked for one says nothing meanwhile.</summary>
    public static RedisClientOptions Patient(RedisClientOptions options)
    {
        options.CommandTimeout = Patience;
        options.DeadAfter = Patience;
        options.MaxInFlight = 16384;
        options.MaxBufferedBytes = 1 << 30;
        options.WhenFull = WhenFull.Wait;
        return options;
    }
}
