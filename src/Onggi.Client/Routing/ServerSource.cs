namespace Onggi.Client.Routing;

/// <summary>Where a link connects to: asked before every attempt.</summary>
internal abstract class ServerSource
{
    /// <summary>The server to connect to now.</summary>
    /// <exception cref="RedisConnectionException">None is known.</exception>
    public abstract ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken);

    /// <summary>Why the server that answered is not the one that is wanted; <c>null</c> when it is.</summary>
    public virtual RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server) => null;

    /// <summary>What messages call it.</summary>
    public abstract override string ToString();
}

/// <summary>Any server of the client's: for what can be heard at each of them.</summary>
/// <param name="router">Who knows them; it may be replaced by another one.</param>
/// <param name="options">The servers to begin with.</param>
internal sealed class AnyServer(Func<Router> router, RedisClientOptions options) : ServerSource
{
    private ServerSource Source => router().AnyServer ?? new FixedServer(options.Seeds[0]);

    public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => Source.FindAsync(cancellationToken);

    public override RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server) => Source.Refuse(address, server);

    public override string ToString() => Source.ToString()!;
}

/// <summary>Always the same server.</summary>
internal sealed class FixedServer(RedisAddress address) : ServerSource
{
    public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => new(address);

    public override string ToString() => address.ToString();
}
