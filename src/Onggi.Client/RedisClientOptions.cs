#pragma warning disable CS1591, MA0025
namespace Onggi.Client;

/// <summary>How a <see cref="RedisClient"/> connects and how long it waits.</summary>
public sealed class RedisClientOptions
{
    /// <summary>Host name or address.</summary>
    /// <value>Default <c>127.0.0.1</c>.</value>
    public string Host { get; set; } = "127.0.0.1";

    /// <summary>TCP port.</summary>
    /// <value>Default 6379.</value>
    public int Port { get; set; } = 6379;

    /// <summary>The ACL user; <c>null</c> means <c>default</c>.</summary>
    public string? User { get; set; }

    /// <summary>The password; <c>null</c> connects without one. Never logged.</summary>
    public string? Password { get; set; }

    /// <summary>The name shown by <c>CLIENT LIST</c>; <c>null</c> sets none.</summary>
    public string? ClientName { get; set; }

    /// <summary>The numbered database. Onggi wants 0; others exist so that old data can be read.</summary>
    /// <value>Default 0.</value>
    public int Database { get; set; }

    /// <summary>How long <see cref="RedisClient.ConnectAsync(CancellationToken)"/> tries, all attempts together, and how long one attempt may take.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a caller waits for a reply.</summary>
    /// <value>Default 2 s.</value>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Reads <c>host:port,password=…,user=…</c> or <c>redis://user:password@host:port/0</c>.</summary>
    /// <exception cref="FormatException">The text is neither; the message says what was wrong and what to write.</exception>
    public static RedisClientOptions Parse(string connectionString) => throw new NotImplementedException();

    /// <summary>Host and port, without secrets.</summary>
    public override string ToString() => $"{Host}:{Port}";
}
