using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client.Connections;
using Onggi.Client.Diagnostics;
using Onggi.Client.Resp;
using Onggi.Client.Routing;
using Onggi.Client.Routing.Cluster;
using Onggi.Client.Routing.Sentinel;
using Onggi.Client.Transport;

namespace Onggi.Client;

/// <summary>A connection to one Redis, shared by all callers of the process.</summary>
/// <remarks>
/// <para>Make one and keep it. Callers need no pool: their commands are written one after the other into one connection, sent together where they come together, and answered in order.
/// Commands are extension members (<c>GetAsync</c>, <c>SetAsync</c> …); for any other command there are <see cref="SendAsync{T}(ReadOnlySpan{RedisArg}, ReplyParser{T}, CancellationToken)"/> and <see cref="ExecuteAsync"/>.</para>
/// <para>What a caller sees: Redis <b>slow</b>: <see cref="RedisTimeoutException"/> after <see cref="RedisClientOptions.CommandTimeout"/> (2 s), the command may still be executed.
/// <b>Gone</b>: commands under way fail at once with <see cref="RedisConnectionException"/>, which says whether they can have been executed; later ones wait for the next connection until their
/// time-out, and were not sent. <b>Full</b>: <see cref="RedisServerException"/> with code OOM. <b>Restarted empty</b>: nothing special, keys are missing. <b>Failed over</b>: as gone, then connected to
/// whoever has the address. <b>We were paused</b>: replies that arrived meanwhile are read before time-outs are judged anew, or the wait has timed out.</para>
/// <para>A cancelled or timed-out call abandons the wait, not the command.</para>
/// </remarks>
public sealed class RedisClient : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Lazy<SubscriberHub> _hub;
    private readonly ClientMetrics _metrics;
    private readonly ClusterLinks _links;
    private volatile Router _router;
    private readonly Router _first;
    private bool _disposed;

    /// <summary>Makes a client that connects on first use, or with <see cref="ConnectAsync(CancellationToken)"/>.</summary>
    /// <param name="options">Where and how.</param>
    /// <param name="loggers">Where it says what happens; <c>null</c> for nowhere.</param>
    /// <param name="time">Its clock; <c>null</c> for the system's.</param>
    /// <param name="meters">Makes its meter, so that it belongs to a host; <c>null</c> for a meter of the process.</param>
    /// <exception cref="ArgumentException">An option has a value that means nothing; the message says which.</exception>
    public RedisClient(RedisClientOptions options, ILoggerFactory? loggers = null, TimeProvider? time = null, IMeterFactory? meters = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        OptionRules.Check(options);
        Options = options;
        time ??= TimeProvider.System;
        ILogger logger = (loggers ?? NullLoggerFactory.Instance).CreateLogger<RedisClient>();
        var counters = new PumpCounters();
        _metrics = new ClientMetrics(options, meters, time, counters, () => _router?.IsConnected == true);
        _links = new ClusterLinks(options, counters, logger, time);
        _router = _first = NewRouter(NewSource());
        var subscriptions = new LinkSettings(new AnyServer(() => _router), LinkPurpose.Subscriptions) { Counters = counters };
        _hub = new Lazy<SubscriberHub>(() => new SubscriberHub(options, subscriptions, logger, time));
    }

    /// <summary>Tells of every change: <c>true</c> when commands flow, <c>false</c> when they do not. Handlers must not block.</summary>
    public event Action<bool>? ConnectionChanged;

    /// <summary>What it was made with.</summary>
    public RedisClientOptions Options { get; }

    /// <summary>Whether commands flow now. A Redis that hangs counts as connected until its silence is noticed.</summary>
    public bool IsConnected => _router.IsConnected;

    /// <summary>There is no connection, and it was lost or an attempt has failed: asking would only wait.</summary>
    internal bool IsKnownDown => _router.IsKnownDown;

    // Made by the first who listens, but not when all else has ended: nobody would end it.
    private SubscriberHub Hub
    {
        get
        {
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                return _hub.Value;
            }
        }
    }

    /// <summary>How many commands wait for replies.</summary>
    internal int InFlight => _router.InFlight;

    /// <summary>What the server said of itself; <c>null</c> while there never was a connection.</summary>
    public RedisServerInfo? Server => _router.Server;

    /// <summary>Reads a connection string, connects, and hands out the client.</summary>
    /// <exception cref="FormatException">The connection string cannot be read.</exception>
    /// <exception cref="RedisConnectionException">Redis cannot be reached within <see cref="RedisClientOptions.ConnectTimeout"/>, or refuses us.</exception>
    public static ValueTask<RedisClient> ConnectAsync(string connectionString, CancellationToken cancellationToken = default) =>
        ConnectAsync(RedisClientOptions.Parse(connectionString), cancellationToken: cancellationToken);

    /// <summary>Connects and hands out the client.</summary>
    /// <exception cref="RedisConnectionException">Redis cannot be reached within <see cref="RedisClientOptions.ConnectTimeout"/>, or refuses us.</exception>
    public static async ValueTask<RedisClient> ConnectAsync(
        RedisClientOptions options,
        ILoggerFactory? loggers = null,
        TimeProvider? time = null,
        CancellationToken cancellationToken = default
    )
    {
        var client = new RedisClient(options, loggers, time);
        try
        {
            await client.ConnectAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(Rt.Capture);
            throw;
        }
    }

    /// <summary>Waits until commands flow, trying again with growing pauses.</summary>
    /// <exception cref="RedisConnectionException">They do not within <see cref="RedisClientOptions.ConnectTimeout"/>, or Redis refuses us (wrong password, too old). The client goes on trying in the background.</exception>
    public async ValueTask ConnectAsync(CancellationToken cancellationToken = default) =>
        await WhenConnectedAsync(cancellationToken).ConfigureAwait(Rt.Capture);

    /// <summary>Sends one command and reads its reply with <paramref name="parser"/>. One round trip.</summary>
    /// <param name="command">Its name and arguments; written before the call returns.</param>
    /// <param name="parser">Runs on the reading loop: short, no blocking.</param>
    /// <param name="cancellationToken">Abandons the wait. The exception's <c>Data["Sent"]</c> tells whether the command can have been executed.</param>
    /// <exception cref="RedisException">It could not be asked, was refused, or was not answered in time: see its subclasses.</exception>
    /// <exception cref="ArgumentException">The command is empty or holds text that is not Unicode.</exception>
    public ValueTask<T> SendAsync<T>(
        ReadOnlySpan<RedisArg> command,
        ReplyParser<T> parser,
        CancellationToken cancellationToken = default
    ) => SendAsync(command, parser, CommandOptions.None, cancellationToken);

    /// <inheritdoc cref="SendAsync{T}(ReadOnlySpan{RedisArg}, ReplyParser{T}, CancellationToken)"/>
    /// <param name="command">Its name and arguments; written before the call returns.</param>
    /// <param name="parser">Runs on the reading loop: short, no blocking.</param>
    /// <param name="options">Whether it may be asked again, is large, may be answered by a replica.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    public ValueTask<T> SendAsync<T>(
        ReadOnlySpan<RedisArg> command,
        ReplyParser<T> parser,
        CommandOptions options,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(parser);
        return _router.SendAsync(new Command(command), parser, options, cancellationToken);
    }

    /// <inheritdoc cref="SendAsync{T}(ReadOnlySpan{RedisArg}, ReplyParser{T}, CancellationToken)"/>
    /// <param name="command">Its name and arguments; written before the call returns.</param>
    /// <param name="state">What the parser is given.</param>
    /// <param name="parser">Runs on the reading loop: short, no blocking. Where the caller has given up, it does not run.</param>
    /// <param name="options">Whether it may be asked again, is large, may be answered by a replica.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    public ValueTask<T> SendAsync<TState, T>(
        ReadOnlySpan<RedisArg> command,
        TState state,
        ReplyParser<TState, T> parser,
        CommandOptions options = CommandOptions.None,
        CancellationToken cancellationToken = default
    )
        where TState : class
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(parser);
        return _router.SendAsync(new Command(command), state, parser, options, cancellationToken);
    }

    /// <summary>Sends one command and blocks until the reply has come; needs no other thread, so a starved thread pool does not matter. One round trip.</summary>
    internal T Send<T>(ReadOnlySpan<RedisArg> command, ReplyParser<T> parser, CommandOptions options = CommandOptions.None) =>
        _router.Send(new Command(command), parser, options);

    /// <summary>What must be asked, one after another, to see all keys.</summary>
    internal async ValueTask<KeyWalk> NewWalkAsync(CancellationToken cancellationToken)
    {
        await WhenKnownAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        return _router.NewWalk();
    }

    /// <summary>Sends a command without keys, which changes nothing, to whoever has a slot.</summary>
    internal ValueTask<T> SendToAsync<T>(
        int slot,
        ReadOnlySpan<RedisArg> command,
        ReplyParser<T> parser,
        CancellationToken cancellationToken
    ) => _router.SendToAsync(slot, new Command(command), parser, cancellationToken);

    /// <summary>Runs a script like <see cref="EvalAsync"/>, and blocks.</summary>
    internal T Eval<T>(RedisScript script, ReadOnlySpan<RedisArg> keys, ReadOnlySpan<RedisArg> args, ReplyParser<T> parser) =>
        _router.Send(new Command(script, keys, args), parser, CommandOptions.None);

    /// <summary>Sends one command and returns its reply as a tree. One round trip.</summary>
    /// <exception cref="RedisException">As for <see cref="SendAsync{T}(ReadOnlySpan{RedisArg}, ReplyParser{T}, CancellationToken)"/>.</exception>
    public ValueTask<Reply> ExecuteAsync(ReadOnlySpan<RedisArg> command, CancellationToken cancellationToken = default) =>
        SendAsync(command, ReplyParsers.Reply, cancellationToken);

    /// <summary>Runs a script: EVALSHA, and EVAL once where the server does not know it (which proves that nothing was executed). One round trip; two the first time.</summary>
    /// <param name="script">The script.</param>
    /// <param name="keys">Its KEYS; on a cluster they must share a slot.</param>
    /// <param name="args">Its ARGV.</param>
    /// <param name="parser">Reads its result.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="RedisException">As for <see cref="SendAsync{T}(ReadOnlySpan{RedisArg}, ReplyParser{T}, CancellationToken)"/>.</exception>
    public ValueTask<T> EvalAsync<T>(
        RedisScript script,
        ReadOnlySpan<RedisArg> keys,
        ReadOnlySpan<RedisArg> args,
        ReplyParser<T> parser,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(script);
        ArgumentNullException.ThrowIfNull(parser);
        return _router.SendAsync(new Command(script, keys, args), parser, CommandOptions.None, cancellationToken);
    }

    /// <summary>Listens to a channel, and returns when Redis has confirmed. One round trip.</summary>
    /// <exception cref="RedisException">Redis cannot be reached in time, or refuses.</exception>
    public ValueTask<RedisSubscription> SubscribeAsync(string channel, CancellationToken cancellationToken = default) =>
        SubscribeAsync(channel, SubscriptionKind.Channel, cancellationToken);

    /// <summary>Listens to all channels that match a glob pattern, and returns when Redis has confirmed. One round trip.</summary>
    /// <exception cref="RedisException">Redis cannot be reached in time, or refuses.</exception>
    public ValueTask<RedisSubscription> SubscribePatternAsync(string pattern, CancellationToken cancellationToken = default) =>
        SubscribeAsync(pattern, SubscriptionKind.Pattern, cancellationToken);

    /// <summary>Listens to a channel that belongs to a slot of the cluster, as a key does, and returns when Redis has confirmed. One round trip. (SSUBSCRIBE)</summary>
    /// <remarks>
    /// What is published with <c>PublishShardedAsync</c> reaches the nodes of one slot instead of all. When the slot moves, or its primary is replaced, it is listened to at the new owner,
    /// and the reader is told that messages can have been missed. On a server by itself it is a channel apart from those of <see cref="SubscribeAsync(string, CancellationToken)"/>.
    /// </remarks>
    /// <exception cref="RedisException">Redis cannot be reached in time, or refuses.</exception>
    public async ValueTask<RedisSubscription> SubscribeShardedAsync(string channel, CancellationToken cancellationToken = default)
    {
        await WhenKnownAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        return await SubscribeAsync(channel, SubscriptionKind.Sharded, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Records the wish to listen and returns at once: it comes true when there is a connection (<see cref="RedisSubscription.WhenActiveAsync(CancellationToken)"/>).</summary>
    public RedisSubscription Subscribe(string channel)
    {
        ArgumentException.ThrowIfNullOrEmpty(channel);
        return Hub.Add(channel, SubscriptionKind.Channel);
    }

    /// <summary>As <see cref="Subscribe"/>, to a channel of a slot. Only when it is known whether there is a cluster (<see cref="WhenKnownAsync"/>).</summary>
    internal RedisSubscription SubscribeSharded(string channel) => Add(channel, SubscriptionKind.Sharded);

    /// <summary>Begins a batch: commands that are sent together and answered one by one. No round trip until it is sent.</summary>
    public RedisBatch CreateBatch() => new(_router, Options);

    /// <summary>Begins a transaction: commands that are executed with nobody else's between them. No round trip until it is executed.</summary>
    public RedisTransaction CreateTransaction() => new(_router, Options);

    /// <summary>Takes a connection for one caller alone, for commands that hold up a connection or change it: BLPOP, XREADGROUP with BLOCK, WAIT, WATCH and MULTI. No round trip when one is at hand; else as long as connecting takes.</summary>
    /// <exception cref="RedisBusyException"><see cref="RedisClientOptions.MaxLeases"/> are out, and none came back within <see cref="RedisClientOptions.ConnectTimeout"/>.</exception>
    /// <exception cref="RedisConnectionException">Redis cannot be reached within <see cref="RedisClientOptions.ConnectTimeout"/>, or refuses us.</exception>
    public ValueTask<RedisLease> LeaseAsync(CancellationToken cancellationToken = default) => LeaseAsync(slot: -1, cancellationToken);

    /// <inheritdoc cref="LeaseAsync(CancellationToken)"/>
    /// <param name="key">One of the keys that are to be used: on a cluster, the connection leads to the server that holds it.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    public ValueTask<RedisLease> LeaseAsync(RedisArg key, CancellationToken cancellationToken = default) =>
        LeaseAsync(HashSlot.Of(in key), cancellationToken);

    private async ValueTask<RedisLease> LeaseAsync(int slot, CancellationToken cancellationToken)
    {
        await WhenKnownAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        var pool = _router.LeasesFor(slot);
        return new RedisLease(await pool.RentAsync(cancellationToken).ConfigureAwait(Rt.Capture), pool, Options);
    }

    /// <summary>A link on which the server watches what is read, and tells <paramref name="sink"/>. It ends with the client.</summary>
    /// <param name="sink">Told of every change.</param>
    /// <param name="deadAfter">After how long a silence the connection is given up while commands wait; <c>null</c> as the other connections.</param>
    /// <param name="reads">Which reads are watched.</param>
    /// <exception cref="NotSupportedException">There are several servers.</exception>
    internal TrackedLink Track(ITrackingSink sink, TimeSpan? deadAfter = null, TrackedReads reads = TrackedReads.OptedIn) =>
        _router.Track(sink, deadAfter, reads);

    /// <summary>Where commands go at the moment.</summary>
    internal Router Router => _router;

    /// <summary>Ends the connections. Commands under way fail with <see cref="RedisConnectionException"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        // From here on nothing is made any more that nobody would end.
        lock (_gate)
            _disposed = true;
        if (_hub.IsValueCreated)
            await _hub.Value.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _first.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _router.DisposeAsync().ConfigureAwait(Rt.Capture);
        _metrics.Dispose();
    }

    // Servers tell, when they are first connected to, whether they belong to a cluster.
    private Router NewRouter(ServerSource server) =>
        server is PrimarySource primary
            ? new ReplicatedRouter(primary, Options, _metrics, _links.Counters, _links.Logger, _links.Time) { Changed = OnChanged }
            : new SingleRouter(server, Options, _metrics, _links.Counters, _links.Logger, _links.Time) { Changed = OnChanged };

    private ServerSource NewSource() =>
        Options.SentinelService is not null ? new SentinelSource(Options, _links.Logger, _links.Time, _links.Counters.Certificates)
        : Options.Seeds.Count > 1 ? new ReplicatedSource(Options, _links.Logger, _links.Time, BecomeCluster, _links.Counters.Certificates)
        : new PlainServer(Options.Seeds[0], BecomeCluster);

    private void BecomeCluster()
    {
        lock (_gate)
        {
            if (_disposed || _router != _first)
                return;
            var cluster = new ClusterRouter(_links, _metrics) { Changed = OnChanged };
            _router = cluster;
            _first.HandOver(cluster);
        }
    }

    // Before there ever was a connection, it is not known whether there is one server or many.
    internal ValueTask WhenKnownAsync(CancellationToken cancellationToken) =>
        _router.Server is null ? WhenConnectedAsync(cancellationToken) : ValueTask.CompletedTask;

    // While we wait, the servers can turn out to be a cluster.
    private async ValueTask WhenConnectedAsync(CancellationToken cancellationToken)
    {
        var router = _router;
        try
        {
            await router.WhenConnectedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisConnectionException or ObjectDisposedException && _router != router)
        {
            await _router.WhenConnectedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
    }

    private async ValueTask<RedisSubscription> SubscribeAsync(string name, SubscriptionKind kind, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        var subscription = Add(name, kind);
        try
        {
            await subscription.WhenActiveAsync(Options.ConnectTimeout, cancellationToken).ConfigureAwait(Rt.Capture);
            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync().ConfigureAwait(Rt.Capture);
            throw;
        }
    }

    private RedisSubscription Add(string name, SubscriptionKind kind) =>
        kind == SubscriptionKind.Sharded && _router is ClusterRouter cluster ? cluster.Sharded.Add(name) : Hub.Add(name, kind);

    private void OnChanged(bool connected)
    {
        _metrics.Changed(connected);
        ConnectionChanged?.Invoke(connected);
    }
}
