using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing;

/// <summary>Decides which connection a command goes to, and what happens to one that was not executed.</summary>
/// <remarks>
/// Asked again is only what was certainly not executed (refused with NOSCRIPT, MOVED, ASK, TRYAGAIN, LOADING, CLUSTERDOWN, MASTERDOWN; READONLY where another server may take it;
/// never sent), or what its caller has marked as idempotent; and only until the caller's time is over.
/// </remarks>
internal abstract class Router : CommandOrigin, IAsyncDisposable
{
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(25);

    private readonly RedisClientOptions _options;
    private readonly Completions? _completions;
    private readonly RetryLine _later;
    private readonly long _commandTimeout;

    protected Router(RedisClientOptions options, Completions? completions, TimeProvider time)
    {
        (_options, _completions, Time) = (options, completions, time);
        _commandTimeout = (long)(options.CommandTimeout.TotalSeconds * time.TimestampFrequency);
        _later = new RetryLine(time, Dispatch);
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
    ) => SendAsync<object, T>(in command, parser, null, null, options, preamble, cancellationToken);

    /// <summary>Sends a command whose parser is given something; one round trip, or fewer together with others.</summary>
    public ValueTask<T> SendAsync<TState, T>(
        in Command command,
        TState state,
        ReplyParser<TState, T> parser,
        CommandOptions options,
        CancellationToken cancellationToken,
        Preamble? preamble = null
    )
        where TState : class => SendAsync(in command, null, state, parser, options, preamble, cancellationToken);

    private ValueTask<T> SendAsync<TState, T>(
        in Command command,
        ReplyParser<T>? parser,
        TState? state,
        ReplyParser<TState, T>? parserWithState,
        CommandOptions options,
        Preamble? preamble,
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
            pending.Traits = TraitsOf(in command, options);
            _completions?.Started(pending);
            Dispatch(pending);
        }
        catch (Exception error)
        {
            // It has no place in a queue, so both of its owners are here.
            if (pending is not null)
                _completions?.Completed(pending, error);
            pending?.Release();
            pending?.Release();
            return ValueTask.FromException<T>(error);
        }

        var task = pending.Task;
        if (cancellationToken.CanBeCanceled)
            pending.CancelOn(cancellationToken);
        return task;
    }

    /// <summary>Sends a command and blocks until its reply has come, without any other thread's help.</summary>
    public T Send<T>(in Command command, ReplyParser<T> parser, CommandOptions options)
    {
        var waiter = SyncWaiter.OfThisThread;
        var pending = NewPending(in command, parser);
        try
        {
            pending.Traits = TraitsOf(in command, options) with { Blocks = true };
            pending.WakeOnCompletion(waiter);
            _completions?.Started(pending);
            Dispatch(pending);
        }
        catch (Exception error)
        {
            _completions?.Completed(pending, error);
            pending.Release();
            pending.Release();
            throw;
        }

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

        return pending.GetResult();
    }

    public override void Completed(PendingReply pending, Exception? error) => _completions?.Completed(pending, error);

    public override bool TryAgain(PendingReply pending, RedisException error)
    {
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
                return false;
            case RedisServerException { Code: "READONLY" } refused:
                return TryElsewhere(pending, refused) && Later(pending, error);
            case RedisServerException { Code: "LOADING" or "TRYAGAIN" or "CLUSTERDOWN" or "MASTERDOWN" } refused:
                NotNow(pending, refused);
                return Later(pending, error);
            case RedisConnectionException { IsTransient: true, Sent: Sent.No }:
                return Now(pending, error);
            case RedisConnectionException { IsTransient: true }
                when (pending.Traits.Options & CommandOptions.Idempotent) != CommandOptions.None:
                pending.MaybeExecuted = true;
                return Now(pending, error);
            default:
                return false;
        }
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

    /// <summary>Takes back a prepared command that has no place in a queue, so that both of its owners are here.</summary>
    public void Abandon(PendingReply pending, Exception reason)
    {
        _completions?.Completed(pending, reason);
        pending.Release();
        pending.Release();
    }

    /// <summary>Gives a prepared command its place on a connection.</summary>
    /// <exception cref="RedisException">There is none, or no room.</exception>
    public void Begin(PendingReply pending) => Dispatch(pending);

    /// <summary>Gives prepared commands their places, in order, until there is no room. One that cannot be sent at all fails.</summary>
    /// <returns>How many have their place, or have failed.</returns>
    public virtual int Begin(ReadOnlySpan<PendingReply> commands)
    {
        for (var i = 0; i < commands.Length; i++)
        {
            try
            {
                Dispatch(commands[i]);
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
    public virtual TrackedLink Track(ITrackingSink sink) => throw new NotSupportedException("Tracking is by server: there are several.");

    /// <summary>The connections with one caller each, of the server that holds this slot (-1: of any).</summary>
    /// <exception cref="NotSupportedException">There are several servers, and none was chosen.</exception>
    public virtual LeasePool LeasesFor(int slot) => throw new NotSupportedException("A lease is of one server: name a key.");

    public virtual ValueTask DisposeAsync() => _later.DisposeAsync();

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
            Dispatch(pending);
            return true;
        }
        catch (Exception again) when (again is RedisException or ObjectDisposedException)
        {
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
