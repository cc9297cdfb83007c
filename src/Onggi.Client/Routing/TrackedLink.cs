using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>Which reads over a <see cref="TrackedLink"/> the server watches.</summary>
internal enum TrackedReads
{
    /// <summary>Those that say so: one command more for each of them.</summary>
    OptedIn,

    /// <summary>All: for a connection on which nothing else is read.</summary>
    All,
}

/// <summary>A connection to one server on which reads are tracked: the server tells when what was read has changed. There is one for each primary.</summary>
/// <remarks>
/// Tracking is in its default mode (<c>CLIENT TRACKING ON</c>, with OPTIN where reads say so themselves): pushes and replies then come in the order in which the server executed them, which BCAST does not give; and without NOLOOP,
/// because an own write would end the tracking of the key without a word. <c>CLIENT CACHING YES</c> holds for the very next command, so the two take their places together, however often they are asked again.
/// </remarks>
internal sealed class TrackedLink : Router
{
    /// <summary>A known mistake, so that tests can show that it is caught: own writes are not told.</summary>
    internal static bool NoLoop;

    private readonly TrackingPushes _pushes;
    private readonly RedisLink _link;
    private readonly Preamble? _asTracked;

    public TrackedLink(
        ServerSource server,
        RedisClientOptions options,
        ITrackingSink sink,
        TrackedReads reads,
        Completions? completions,
        PumpCounters counters,
        ILogger logger,
        TimeProvider time
    )
        : base(options, completions, time)
    {
        AnyServer = server;
        _asTracked = reads == TrackedReads.OptedIn ? Preamble.Caching : null;
        _pushes = new TrackingPushes(sink);
        var settings = new LinkSettings(server, LinkPurpose.Tracking)
        {
            // mutant: NoLoop
            Setup = [SetupOf(reads)],
            Pushes = _pushes,
            Counters = counters,
        };
        _link = new RedisLink(options, settings, logger, time) { Changed = connected => Changed?.Invoke(connected) };
    }

    /// <summary>Which connection it is, or was last; 0 before the first.</summary>
    public long Generation => _pushes.Generation;

    /// <summary>How many keys the server has named as changed.</summary>
    public long Invalidations => _pushes.Invalidations;

    /// <summary>How many pushes were of a kind that has no meaning here.</summary>
    public long UnknownPushes => _pushes.Unknown;

    public override bool IsConnected => _link.IsConnected;

    public override bool IsKnownDown => _link.IsKnownDown;

    public override int InFlight => _link.InFlight;

    public override RedisServerInfo? Server => _link.Server;

    public override ServerSource AnyServer { get; }

    public override Task WhenConnectedAsync(CancellationToken cancellationToken) => _link.WhenConnectedAsync(cancellationToken);

    /// <summary>Sends a command that reads, and has the server watch every key that it reads. One round trip; what need not be watched goes by <c>SendAsync</c>.</summary>
    /// <param name="command">A command or a script that reads keys.</param>
    /// <param name="parser">Runs on the reader: what it stores is stored before an invalidation that follows is told. It does not run when the caller has given up before the reply came.</param>
    /// <param name="options">Whether it may be asked again after the connection was lost.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    public ValueTask<T> SendTrackedAsync<T>(
        in Command command,
        ReplyParser<T> parser,
        CommandOptions options,
        CancellationToken cancellationToken
    ) => SendAsync(in command, parser, options, cancellationToken, _asTracked);

    /// <inheritdoc cref="SendTrackedAsync{T}"/>
    public ValueTask<T> SendTrackedAsync<TState, T>(
        in Command command,
        TState state,
        ReplyParser<TState, T> parser,
        CommandOptions options,
        CancellationToken cancellationToken
    )
        where TState : class => SendAsync(in command, state, parser, options, cancellationToken, _asTracked);

    /// <summary>Sends a command that reads, and has the server watch what it reads, and another right behind it, in one place.</summary>
    /// <param name="first">Its reply is read by <paramref name="state"/>.</param>
    /// <param name="second">Need not be watched.</param>
    /// <param name="state">Reads the first reply, and is given to the parser of the second. Not used twice at a time.</param>
    /// <param name="parser">Reads the second reply, where the first was no error. On the reader, as in <see cref="SendTrackedAsync{T}"/>.</param>
    /// <param name="options">Whether both may be asked again after the connection was lost.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    public ValueTask<T> SendTrackedPairAsync<TState, T>(
        in Command first,
        in Command second,
        TState state,
        ReplyParser<TState, T> parser,
        CommandOptions options,
        CancellationToken cancellationToken
    )
        where TState : FirstReply => SendPairAsync(in first, in second, state, parser, options, cancellationToken, _asTracked);

    /// <summary>Sends a command on one connection or not at all: it does not wait for the next one, which can lead to another server, and is not asked again there.</summary>
    /// <param name="generation">The connection, as its sink was told; 0 for any.</param>
    /// <param name="command">What is right only there.</param>
    /// <param name="parser">Runs on the reader.</param>
    /// <param name="options">What else holds for it.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="RedisConnectionException">That connection is over; <c>Sent</c> says whether it can have been executed.</exception>
    public ValueTask<T> SendOnAsync<T>(
        long generation,
        in Command command,
        ReplyParser<T> parser,
        CommandOptions options,
        CancellationToken cancellationToken
    )
    {
        var traits = new CommandTraits(options, OnlyOn: generation);
        return SendAsync<object, T>(in command, parser, null, null, options, null, traits, cancellationToken);
    }

    public override int Begin(ReadOnlySpan<PendingReply> commands)
    {
        try
        {
            // Where there is room for all they go out in one write.
            if (_link.TryEnqueueAll(commands))
                return commands.Length;
        }
        catch (ObjectDisposedException)
        {
            // They are failed one by one.
        }

        return base.Begin(commands);
    }

    /// <summary>Begins to connect; what is asked waits until then.</summary>
    public void Start() => _link.Start();

    /// <summary>Gives up the connection: everything read over it is told as lost, and the next one is made.</summary>
    public void Abort(string reason) => _link.Abort(reason);

    private static RedisArg[] SetupOf(TrackedReads reads)
    {
        var words = new List<RedisArg> { "CLIENT", "TRACKING", "ON" };
        if (reads == TrackedReads.OptedIn)
            words.Add("OPTIN");
        // mutant: NoLoop
        if (NoLoop)
            words.Add("NOLOOP");
        return [.. words];
    }

    protected override ValueTask EndAsync() => _link.DisposeAsync();

    protected override CommandTraits TraitsOf(in Command command, CommandOptions options) => new(options);

    protected override void Dispatch(PendingReply pending) => _link.Enqueue(pending);
}
