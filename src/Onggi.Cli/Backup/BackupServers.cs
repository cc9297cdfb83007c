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

    /// <summary>Works as long as the connection stands. Whoever waited for the next one would wait a minute, and what was read before it counts for nothing.</summary>
    /// <exception cref="ToolException">The connection was lost.</exception>
    public static async Task<T> WhileConnectedAsync<T>(
        RedisClient client,
        Func<CancellationToken, Task<T>> work,
        CancellationToken cancellationToken
    )
    {
        using var lost = new LostConnection(client);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(lost.Token, cancellationToken);
        try
        {
            return await work(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ToolException($"the connection to Redis ({client.Options}) was lost. Begin again.");
        }
    }

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

/// <summary>A token that ends when a client's connection does.</summary>
internal sealed class LostConnection : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly RedisClient _client;

    public LostConnection(RedisClient client)
    {
        _client = client;
        _client.ConnectionChanged += Changed;
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        _client.ConnectionChanged -= Changed;
        _source.Dispose();
    }

    private void Changed(bool stands)
    {
        if (stands)
            return;
        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The work has ended just now.
        }
    }
}
