namespace Onggi.Client.Routing;

/// <summary>Where a link connects to: asked before every attempt.</summary>
internal abstract class ServerSource
{
    /// <summary>The server to connect to now.</summary>
    /// <exception cref="RedisConnectionException">None is known.</exception>
    public abstract ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken);

    /// <summary>Why the server that answered is not the one that is wanted; <c>null</c> when it is.</summary>
    public virtual RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server) => null;

    /// <summary>The server that was found could not be connected to, or was refused.</summary>
    public virtual void Failed(RedisAddress address) { }

    /// <summary>The longest pause between two attempts to connect that makes sense here.</summary>
    public virtual TimeSpan MostPause => TimeSpan.MaxValue;

    /// <summary>Runs when it has become known where the server is now: whoever is connected elsewhere is to come here. It must not block.</summary>
    public event Action<RedisAddress>? Moved;

    /// <summary>Runs when the connection for the commands of all stands: whoever pauses before the next attempt need not any more. It must not block.</summary>
    public event Action? Back;

    public void TellBack() => Back?.Invoke();

    /// <summary>What messages call it.</summary>
    public abstract override string ToString();

    protected void TellMoved(RedisAddress to) => Moved?.Invoke(to);
}

/// <summary>Any server of the client's: for what can be heard at each of them.</summary>
internal sealed class AnyServer : ServerSource
{
    private readonly Func<Router> _router;

    /// <param name="router">Who knows them; it may be replaced by another one.</param>
    public AnyServer(Func<Router> router)
    {
        _router = router;
        router().AnyServer.Moved += TellMoved;
        router().AnyServer.Back += TellBack;
    }

    public override TimeSpan MostPause => Source.MostPause;

    private ServerSource Source => _router().AnyServer;

    public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => Source.FindAsync(cancellationToken);

    public override RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server) => Source.Refuse(address, server);

    public override void Failed(RedisAddress address) => Source.Failed(address);

    public override string ToString() => Source.ToString()!;
}

/// <summary>Always the same server.</summary>
internal sealed class FixedServer(RedisAddress address) : ServerSource
{
    public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => new(address);

    public override string ToString() => address.ToString();
}
