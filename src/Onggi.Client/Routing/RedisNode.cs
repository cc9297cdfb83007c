using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>One server and the connections to it: one for the commands of all, and, once they are needed, one for large values and one for callers who block.</summary>
internal sealed class RedisNode : IAsyncDisposable
{
    // What takes longer to send than a round trip takes.
    private const int BulkFrom = 64 << 10;

    private readonly Lazy<RedisLink> _bulk;
    private readonly Lazy<RedisLink> _blocking;
    private readonly Lock _gate = new();
    private readonly Lazy<LeasePool> _leases;
    private readonly Func<ITrackingSink, TimeSpan?, TrackedReads, Completions?, TrackedLink> _track;

    // Guarded by the gate.
    private readonly List<TrackedLink> _tracked = [];
    private readonly List<IAsyncDisposable> _made = [];
    private volatile bool _disposed;

    public RedisNode(
        ServerSource server,
        RedisClientOptions options,
        PumpCounters counters,
        ILogger logger,
        TimeProvider time,
        IReadOnlyList<RedisArg[]>? setup = null,
        bool handsBack = false
    )
    {
        var settings = new LinkSettings(server, LinkPurpose.Commands)
        {
            Setup = setup ?? [],
            Counters = counters,
            HandsBack = handsBack,
        };
        Server = server;
        Commands = new RedisLink(options, settings, logger, time);
        _bulk = new(() => Make(() => NewLink(LinkPurpose.Bulk)));
        _blocking = new(() => Make(() => NewLink(LinkPurpose.Blocking)));
        _leases = new(() => Make(() => new LeasePool(server, options, () => NewLink(LinkPurpose.Lease), time)));
        RedisLink NewLink(LinkPurpose purpose) => new(options, settings with { Purpose = purpose }, logger, time);
        _track = (sink, deadAfter, reads, completions) =>
            new TrackedLink(
                server,
                deadAfter is { } given ? options.With(given) : options,
                sink,
                reads,
                completions,
                counters,
                logger,
                time
            );
    }

    public ServerSource Server { get; }

    /// <summary>The connection for the commands of all; whether it stands says whether the server can be reached.</summary>
    public RedisLink Commands { get; }

    public int InFlight =>
        Commands.InFlight + (_bulk.IsValueCreated ? _bulk.Value.InFlight : 0) + (_blocking.IsValueCreated ? _blocking.Value.InFlight : 0);

    /// <summary>The connection for this command. The order between two commands that nobody awaits in between is kept only on one connection.</summary>
    public RedisLink LinkFor(PendingReply pending)
    {
        // What is begun after the end would never end.
        ObjectDisposedException.ThrowIf(_disposed, typeof(RedisClient));
        return pending.Traits.Blocks ? _blocking.Value
            : (pending.Traits.Options & CommandOptions.Bulk) != CommandOptions.None || pending.Frame.Length >= BulkFrom ? _bulk.Value
            : Commands;
    }

    /// <summary>Hands back what waits for a connection and was never sent.</summary>
    public void HandBack()
    {
        Commands.HandBack();
        if (_bulk.IsValueCreated)
            _bulk.Value.HandBack();
        if (_blocking.IsValueCreated)
            _blocking.Value.HandBack();
    }

    /// <summary>Connections with one caller each.</summary>
    public LeasePool Leases => _leases.Value;

    /// <summary>A further connection, on which reads are tracked. It ends with the node.</summary>
    public TrackedLink Track(ITrackingSink sink, TimeSpan? deadAfter, TrackedReads reads, Completions? completions)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(RedisClient));
            var link = _track(sink, deadAfter, reads, completions);
            _tracked.Add(link);
            return link;
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
            _disposed = true;

        // From here on nothing is added to the lists.
        foreach (var link in _tracked)
            await link.DisposeAsync().ConfigureAwait(Rt.Capture);
        foreach (var made in _made)
            await made.DisposeAsync().ConfigureAwait(Rt.Capture);
        await Commands.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    // What is made when it is needed must not be made when all else has been disposed of: nobody would dispose of it.
    private T Make<T>(Func<T> make)
        where T : IAsyncDisposable
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(RedisClient));
            var made = make();
            _made.Add(made);
            return made;
        }
    }
}
