using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing.Cluster;

namespace Onggi.Client.Routing;

/// <summary>Decides which connection a command goes to, and what happens to one that was not executed.</summary>
/// <remarks>
/// Asked again is only what was certainly not executed (refused with NOSCRIPT, MOVED, ASK, TRYAGAIN, LOADING, CLUSTERDOWN, MASTERDOWN; READONLY where another server may take it;
/// never sent), or what its caller has marked as idempotent; and only until the caller's time is over.
/// </remarks>
internal abstract class Router : CommandOrigin, IAsyncDisposable
{
    // What was not sent is asked again at once so often, and then with pauses: a connection that ends as soon as it begins must not keep a processor busy.
    private const int MostAtOnce = 3;

    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(25);

    private readonly RedisClientOptions _options;
    private readonly Completions? _completions;
    private readonly RetryLine _later;
    private readonly Lock _ending = new();
    private volatile Router? _successor;
    private Task? _ended;
    private readonly long _commandTimeout;

    protected Router(RedisClientOptions options, Completions? completions, TimeProvider time)
    {
        (_options, _completions, Time) = (options, completions, time);
        _commandTimeout = (long)(options.CommandTimeout.TotalSeconds * time.TimestampFrequency);
        _later = new RetryLine(time, Take);
    }

    /// <summary>Whether commands flow.</summary>
    public abstract bool IsConnected { get; }

    /// <summary>There is no connection, and it was lost or an attempt has failed.</summary>
    public abstract bool IsKnownDown { get; }

    public abstract int InFlight { get; }

    /// <summary>What a server has said of itself; <c>null</c> while there never was a connection.</summary>
    public abstract RedisServerInfo? Server { get; }

    /// <summary>Runs on every change of <see cref="IsConnected"/>, in order. It must not block.</summary>
    public Action<bool>? Changed { get; set; }

    public TimeProvider Time { get; }

    protected RedisClientOptions Options => _options;

    /// <summary>Where a connection for subscriptions leads: any server that hears what is published.</summary>
    public abstract ServerSource AnyServer { get; }

    /// <summary>What must be asked, one after another, to see all keys.</summary>
    public virtual KeyWalk NewWalk() => new();

    /// <summary>Waits until commands flow.</summary>
    /// <exception cref="RedisConnectionException">They do not within the connect time-out, or the server refuses us for good.</exception>
    public abstract Task WhenConnectedAsync(CancellationToken cancellationToken);

    /// <summary>Sends a command; one round trip, or fewer together with others.</summary>
    public ValueTask<T> SendAsync<T>(
        in Command command,
        ReplyParser<T> parser,
        CommandOptions options,
        CancellationToken cancellationToken,
        Preamble? preamble = null
    ) => SendAsync<object, T>(in command, parser, null, null, options, preamble, null, cancellationToken);

    /// <summary>Sends a command that has no keys to whoever has a slot. It is one that changes nothing.</summary>
    public ValueTask<T> SendToAsync<T>(int slot, in Command command, ReplyParser<T> parser, CancellationToken cancellationToken)
    {
        var traits = new CommandTraits(CommandOptions.Primary | CommandOptions.Idempotent | CommandOptions.Bulk, slot);
        return SendAsync<object, T>(in command, parser, null, null, CommandOptions.None, null, traits, cancellationToken);
    }

    /// <summary>Takes over a command that has been begun, here or by another router.</summary>
    public void Take(PendingReply pending)
    {
        if (_successor is { } known)
        {
            known.Take(pending);
            return;
        }

        try
        {
            Dispatch(pending);
        }
        catch (ObjectDisposedException) when (_successor is { } successor)
        {
            successor.Take(pending);
        }
    }

    /// <summary>The servers are not what they were taken for: whatever has not been sent goes to another router, and so does whatever is asked from now on.</summary>
    public void HandOver(Router successor)
    {
        _successor = successor;

        // The end of the connections hands back what waits for them. Not awaited: what found it out can be one of them.
        _ = EndOnceAsync();
    }

    /// <summary>Takes over a command that another router could not send any more: what its caller said of asking again does not matter, for it was never asked.</summary>
    public bool TakeUnsent(PendingReply pending, RedisException error) =>
        !pending.IsSettled && Time.GetTimestamp() < pending.Deadline && Now(pending, error);

    /// <summary>Sends a command whose parser is given something; one round trip, or fewer together with others.</summary>
    public ValueTask<T> SendAsync<TState, T>(
        in Command command,
        TState state,
        ReplyParser<TState, T> parser,
        CommandOptions options,
        CancellationToken cancellationToken,
        Preamble? preamble = null
    )
        where TState : class => SendAsync(in command, null, state, parser, options, preamble, null, cancellationToken);

    /// <summary>Sends two commands in one place, to one server: not for a cluster, where only the first of them would be redirected. One round trip.</summary>
    /// <param name="first">Its reply is read by <paramref name="state"/>.</param>
    /// <param name="second">Goes out right behind it.</param>
    /// <param name="state">Reads the first reply, and is given to the parser of the second. Not used twice at a time.</param>
    /// <param name="parser">Reads the second reply, where the first was no error. On the reader.</param>
    /// <param name="options">Whether both may be asked again after the connection was lost.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <param name="preamble">Goes out before both.</param>
    public ValueTask<T> SendPairAsync<TState, T>(
        in Command first,
        in Command second,
        TState state,
        ReplyParser<TState, T> parser,
        CommandOptions options,
        CancellationToken cancellationToken,
        Preamble? preamble = null
    )
        where TState : FirstReply
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromException<T>(PendingReply.Cancelled(first.Name, Sent.No, cancellationToken));
        PendingReply<T>? pending = null;
        try
        {
            pending = NewPending<T>(in first, parser: null);
            pending.EncodeMore(in second);
            pending.ReadWith(state, parser);
            (pending.First, pending.Preamble, pending.Traits) = (state, preamble, TraitsOf(in first, options));
            _completions?.Started(pending);
            Take(pending);
        }
        catch (Exception error)
        {
            return Failed(pending, error);
        }

        return TaskOf(pending, cancellationToken);
    }

    protected ValueTask<T> SendAsync<TState, T>(
        in Command command,
        ReplyParser<T>? parser,
        TState? state,
        ReplyParser<TState, T>? parserWithState,
        CommandOptions options,
        Preamble? preamble,
        CommandTraits? traits,
        CancellationToken cancellationToken
    )
        where TState : class
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromException<T>(PendingReply.Cancelled(command.Name, Sent.No, cancellationToken));
        PendingReply<T>? pending = null;
        try
        {
            pending = NewPending(in command, parser);
            if (parserWithState is not null)
                pending.ReadWith(state!, parserWithState);
            pending.Preamble = preamble;
            pending.Traits = traits ?? TraitsOf(in command, options);
            _completions?.Started(pending);
            Take(pending);
        }
        catch (Exception error)
        {
            return Failed(pending, error);
        }

        return TaskOf(pending, cancellationToken);
    }

    private static ValueTask<T> TaskOf<T>(PendingReply<T> pending, CancellationToken cancellationToken)
    {
        var task = pending.Task;
        if (cancellationToken.CanBeCanceled)
            pending.CancelOn(cancellationToken);
        return task;
    }

    private ValueTask<T> Failed<T>(PendingReply<T>? pending, Exception error)
    {
        if (pending is not null)
            Abandon(pending, error);
        return ValueTask.FromException<T>(error);
    }

    /// <summary>Sends a command and blocks until its reply has come, without any other thread's help.</summary>
    public T Send<T>(in Command command, ReplyParser<T> parser, CommandOptions options)
    {
        if (SplitOf(in command) is { } split)
            return SendParts(split, parser, options);
        var pending = Begin(in command, parser, options);
        WaitFor(pending);
        return pending.GetResult();
    }

    // All parts are under way before the first is waited for.
    private T SendParts<T>(KeySplit split, ReplyParser<T> parser, CommandOptions options)
    {
        var begun = new List<PendingReply<PartReply>>(split.Parts.Count);
        var outcomes = new PartOutcome[split.Parts.Count];
        for (var i = 0; i < outcomes.Length; i++)
        {
            try
            {
                begun.Add(Begin(new Command(split.Parts[i].Words), split.Parser, options, split.Parts[i].Slot));
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                // The rest is not begun either.
                for (var rest = i; rest < outcomes.Length; rest++)
                    outcomes[rest] = new PartOutcome(default, error);
                break;
            }
        }

        for (var i = 0; i < begun.Count; i++)
        {
            WaitFor(begun[i]);
            try
            {
                outcomes[i] = new PartOutcome(begun[i].GetResult(), null);
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                outcomes[i] = new PartOutcome(default, error);
            }
        }

        return split.Join(outcomes, parser);
    }

    private PendingReply<T> Begin<T>(in Command command, ReplyParser<T> parser, CommandOptions options, int? slot = null)
    {
        var pending = NewPending(in command, parser);
        try
        {
            var traits = TraitsOf(in command, options) with { Blocks = true };
            pending.Traits = slot is { } known ? traits with { Slot = known } : traits;
            pending.WakeOnCompletion(SyncWaiter.OfThisThread);
            _completions?.Started(pending);
            Take(pending);
            return pending;
        }
        catch (Exception error)
        {
            Abandon(pending, error);
            throw;
        }
    }

    private void WaitFor(PendingReply pending)
    {
        var waiter = SyncWaiter.OfThisThread;
        while (!pending.IsCompleted)
        {
            var left = Time.GetElapsedTime(Time.GetTimestamp(), pending.Deadline);
            if (left <= TimeSpan.Zero)
            {
                pending.TryFail(pending.Word, this, static (pending, router) => router.TimedOut(pending));
                left = TimeSpan.FromMilliseconds(1);
            }

            // Asked again, it can have moved to another connection: so only for a moment.
            var most = left < Slice ? left : Slice;
            if (pending.Queue?.Driver is { } driver)
                driver.Drive(pending, waiter, most);
            else
                waiter.Wait(most);
        }
    }

    public override void Completed(PendingReply pending, Exception? error) => _completions?.Completed(pending, error);

    public override bool TryAgain(PendingReply pending, RedisException error)
    {
        if (_successor is { } successor)
            return error is RedisConnectionException { Sent: Sent.No } && pending.Traits.Slot == KeySlots.NotLooked
                ? successor.TakeUnsent(pending, error)
                : successor.TryAgain(pending, error);
        if (pending.IsSettled || Time.GetTimestamp() >= pending.Deadline)
            return false;
        switch (error)
        {
            case RedisServerException { Code: "NOSCRIPT" } when pending.Script is not null:
                pending.EncodeWithSource();
                return Now(pending, error);
            case RedisServerException { Code: "MOVED" or "ASK" } redirect:
                return TryRedirect(pending, redirect);
            case not null when (pending.Traits.Options & CommandOptions.NoRetry) != CommandOptions.None:
                Learn(pending, error);
                return false;
            case RedisServerException { Code: "READONLY" } refused:
                return TryElsewhere(pending, refused) && Later(pending, error);
            case RedisServerException { Code: "LOADING" or "TRYAGAIN" or "CLUSTERDOWN" or "MASTERDOWN" } refused:
                NotNow(pending, refused);
                return Later(pending, error);
            case RedisConnectionException { IsTransient: true, Sent: Sent.No }:
                return pending.Retries < MostAtOnce ? Now(pending, error) : Later(pending, error);
            // Where the answer was not RESP, it would not be the next time, and the caller is to hear of it.
            case RedisConnectionException { IsTransient: true, InnerException: not RespProtocolException }
                when (pending.Traits.Options & CommandOptions.Idempotent) != CommandOptions.None:
                pending.MaybeExecuted = true;
                return pending.Retries < MostAtOnce ? Now(pending, error) : Later(pending, error);
            default:
                return false;
        }
    }

    // It is not asked again; what the refusal says of the server holds all the same.
    private void Learn(PendingReply pending, RedisException error)
    {
        if (error is not RedisServerException refused)
            return;
        if (refused.Code == "READONLY")
            TryElsewhere(pending, refused);
        else if (refused.Code is "CLUSTERDOWN" or "MASTERDOWN")
            NotNow(pending, refused);
    }

    /// <summary>What is to be known of a command that is sent later, by <c>Prepare</c>.</summary>
    public CommandTraits Describe(in Command command, CommandOptions options) => TraitsOf(in command, options);

    /// <summary>Makes the place for a command that is encoded already. Its caller's time begins now.</summary>
    public PendingReply<T> Prepare<T>(
        ReadOnlySpan<byte> frame,
        string name,
        RedisScript? script,
        CommandTraits traits,
        ReplyParser<T> parser
    )
    {
        var now = Time.GetTimestamp();
        var pending = PendingReply<T>.Rent(parser, name, now, now + _commandTimeout, this);
        pending.Encode(frame, script);
        pending.Traits = traits;
        _completions?.Started(pending);
        return pending;
    }

    /// <summary>Takes back a command that has no place in a queue, so that both of its owners are here.</summary>
    public void Abandon(PendingReply pending, Exception reason)
    {
        _completions?.Completed(pending, reason);
        pending.Release();
        pending.Release();
    }

    /// <summary>Gives a prepared command its place on a connection.</summary>
    /// <exception cref="RedisException">There is none, or no room.</exception>
    public void Begin(PendingReply pending) => Take(pending);

    /// <summary>Gives prepared commands their places, in order, until there is no room. One that cannot be sent at all fails.</summary>
    /// <returns>How many have their place, or have failed.</returns>
    public virtual int Begin(ReadOnlySpan<PendingReply> commands)
    {
        for (var i = 0; i < commands.Length; i++)
        {
            try
            {
                Take(commands[i]);
            }
            catch (RedisBusyException)
            {
                return i;
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                var known =
                    error as RedisException ?? new RedisConnectionException("The client was disposed.", Sent.No, error, isTransient: false);
                commands[i].TryFail(commands[i].Word, known);
                commands[i].Release();
            }
        }

        return commands.Length;
    }

    /// <summary>A link on which the server watches what is read; <paramref name="sink"/> hears of every change. It ends with the router.</summary>
    /// <exception cref="NotSupportedException">There are several servers: each has a link of its own.</exception>
    public virtual TrackedLink Track(ITrackingSink sink, TimeSpan? deadAfter, TrackedReads reads) =>
        throw new NotSupportedException("Tracking is by server: there are several.");

    /// <summary>The connections with one caller each, of the server that holds this slot (-1: of any).</summary>
    /// <exception cref="NotSupportedException">There are several servers, and none was chosen.</exception>
    public virtual LeasePool LeasesFor(int slot) => throw new NotSupportedException("A lease is of one server: name a key.");

    public async ValueTask DisposeAsync()
    {
        await _later.DisposeAsync().ConfigureAwait(Rt.Capture);
        await EndOnceAsync().ConfigureAwait(Rt.Capture);
    }

    /// <summary>Ends the connections. Runs once.</summary>
    protected abstract ValueTask EndAsync();

    private Task EndOnceAsync()
    {
        lock (_ending)
            return _ended ??= EndAsync().AsTask();
    }

    /// <summary>What routing needs to know of the command.</summary>
    protected abstract CommandTraits TraitsOf(in Command command, CommandOptions options);

    /// <summary>Gives the command its place on a connection.</summary>
    /// <exception cref="RedisException">There is none, or no room.</exception>
    protected abstract void Dispatch(PendingReply pending);

    /// <summary>MOVED and ASK.</summary>
    protected virtual bool TryRedirect(PendingReply pending, RedisServerException redirect) => false;

    /// <summary>READONLY: whether there can be another server that takes it.</summary>
    protected virtual bool TryElsewhere(PendingReply pending, RedisServerException refused) => false;

    /// <summary>The server cannot take it now.</summary>
    protected virtual void NotNow(PendingReply pending, RedisServerException refused) { }

    /// <summary>Asks again at once.</summary>
    protected bool Now(PendingReply pending, RedisException error)
    {
        pending.Retries++;
        pending.Refused = error;
        pending.Hold();
        try
        {
            Take(pending);
            return true;
        }
        catch (RedisBusyException)
        {
            // There will be room again, and its time is not over.
            if (_later.TryAdd(pending))
                return true;
            pending.Release();
            return false;
        }
        catch (Exception)
        {
            // Whatever it was: the caller gets the error that it was to be asked again for, and whoever ends a connection goes on to the next command.
            pending.Release();
            return false;
        }
    }

    /// <summary>Asks again in a moment.</summary>
    protected bool Later(PendingReply pending, RedisException error)
    {
        pending.Retries++;
        pending.Refused = error;
        pending.Hold();
        if (_later.TryAdd(pending))
            return true;
        pending.Release();
        return false;
    }

    /// <summary>Asks in a moment what could not be given to anybody; it is asked as soon as that can be, until its time is over.</summary>
    /// <exception cref="RedisBusyException">So many wait already that a new one is refused.</exception>
    /// <exception cref="ObjectDisposedException">The client has ended.</exception>
    protected void Wait(PendingReply pending, RedisConnectionException reason)
    {
        if (_options.WhenFull == WhenFull.Reject && pending.Retries == 0 && _later.Count >= _options.MaxBacklog)
            throw new RedisBusyException($"{reason.Message} {_options.MaxBacklog} commands wait already.");
        pending.Retries++;
        pending.Refused = reason;
        ObjectDisposedException.ThrowIf(!_later.TryAdd(pending), typeof(RedisClient));
    }

    /// <summary>Asks soon what waits because nobody could be asked: now there may be somebody.</summary>
    protected void Hurry() => _later.Hurry();

    /// <summary>The parts of a command that several servers must answer; <c>null</c> when one can.</summary>
    protected virtual KeySplit? SplitOf(in Command command) => null;

    private PendingReply<T> NewPending<T>(in Command command, ReplyParser<T>? parser)
    {
        var now = Time.GetTimestamp();
        var pending = PendingReply<T>.Rent(parser, command.Name, now, now + _commandTimeout, this);
        try
        {
            pending.Encode(in command, _options.MaxBufferedBytes);
            return pending;
        }
        catch
        {
            pending.Release();
            pending.Release();
            throw;
        }
    }

    private Exception TimedOut(PendingReply pending) =>
        pending.SentWhenSettled == Sent.No && pending.Refused is RedisServerException refused
            ? refused
            : new RedisTimeoutException(
                $"{_options} did not answer {pending.Name} within {_options.CommandTimeout.TotalMilliseconds:0} ms"
                    + (pending.SentWhenSettled == Sent.No ? "; it was not sent." : "; whether it was executed is not known."),
                pending.SentWhenSettled,
                pending.Refused
            );
}
