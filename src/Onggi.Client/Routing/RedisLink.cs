using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Diagnostics;
using Onggi.Client.Resp;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>A standing connection to one server: it connects, notices the end, tells everybody, and connects again until it is disposed.</summary>
/// <remarks>
/// There is always a <see cref="RespConnection"/> to put commands into. While the link is down it is a bounded backlog; commands in it that time out were never sent.
/// When a connection ends, its successor is in place before the waiting commands fail, so that whoever asks again at once asks the new one.
/// </remarks>
internal sealed class RedisLink : IAsyncDisposable, IMeasuredLink
{
    private static readonly ConfigureAwaitOptions ForceYielding =
        ConfigureAwaitOptions.ForceYielding | (Rt.Capture ? ConfigureAwaitOptions.ContinueOnCapturedContext : ConfigureAwaitOptions.None);

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(25);

    // A server that answers does so within a round trip or two.
    private static readonly TimeSpan LeavePoll = TimeSpan.FromMilliseconds(2);
    private const int LeavePolls = 50;

    private readonly RedisClientOptions _options;
    private readonly LinkSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Random _random = new();
    private readonly ITimer _ticker;
    private readonly Login _login;
    private readonly Dialer _dialer;
    private readonly long _commandTimeout;
    private readonly Lock _gate = new();
    private readonly WaitingLine _line;
    private readonly MoveWatch _moves = new();

    private volatile Live _live;
    private TaskCompletionSource _connected = NewSignal();
    private RedisConnectionException? _lastError;
    private Task? _running;
    private volatile bool _ended;
    private bool _disposed;
    private int _keepAliveAsked;

    public RedisLink(RedisClientOptions options, LinkSettings settings, ILogger logger, TimeProvider time)
    {
        (_options, _settings, _logger, _time) = (options, settings, logger, time);
        _commandTimeout = Timestamps(options.CommandTimeout);
        _login = new Login(options, logger, time);
        _dialer = new Dialer(options, settings, _login, time);
        _line = new WaitingLine(TryEnqueue);
        _live = NewLive();
        settings.Counters.Add(this);
        _ticker = time.CreateTimer(static link => ((RedisLink)link!).OnTick(), this, Tick, Tick);
    }

    /// <summary>Runs on every change, in order, from the link's own loop: <c>true</c> when commands flow, <c>false</c> when they do not. It must not block.</summary>
    public Action<bool>? Changed { get; set; }

    /// <summary>Where it is connected to, or tries to.</summary>
    public RedisAddress Address { get; private set; }

    public bool IsConnected => _live.Pump is not null;

    /// <summary>There is no connection, and it is known that there is none to be had: it was lost, or an attempt has failed.</summary>
    public bool IsKnownDown => !IsConnected && (Server is not null || _lastError is not null);

    /// <summary>It was made for one connection, which is over: nothing can be sent any more.</summary>
    public bool HasEnded => _ended;

    public int InFlight => _live.Connection.InFlight;

    public long OldestAsked { get; private set; } = long.MaxValue;

    public string Kind =>
        _settings.Purpose switch
        {
            LinkPurpose.Bulk => "bulk",
            LinkPurpose.Blocking => "blocking",
            LinkPurpose.Subscriptions => "subscriptions",
            LinkPurpose.Tracking => "tracking",
            LinkPurpose.Lease => "lease",
            _ => "commands",
        };

    public RedisServerInfo? Server { get; private set; }

    /// <summary>What the last attempt to connect failed with, in a sentence.</summary>
    public string LastError =>
        _lastError is { } error ? $"The last attempt: {error.Message}"
        : _login.IsAsking ? "The Credentials callback has not answered yet."
        : "No attempt to connect has failed.";

    /// <summary>Begins to connect, if that has not been done.</summary>
    public void Start()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(RedisClient));
            if (_running is not null)
                return;

            // The loop outlives the caller: it must not carry the caller's request or activity along.
            using var flow = Rt.WithoutFlow();
            _settings.Server.Moved += OnMoved;
            if (_settings.Purpose != LinkPurpose.Commands)
                _settings.Server.Back += _moves.OnBack;
            _running = _dialer.BeginsOnOwnThread ? OwnThread.BeginAsync("Onggi connect", () => RunAsync(here: true)) : RunAsync();
        }
    }

    /// <summary>Waits until commands flow.</summary>
    /// <exception cref="RedisConnectionException">They do not within the connect time-out, or the server refuses us for good.</exception>
    public async Task WhenConnectedAsync(CancellationToken cancellationToken)
    {
        Start();
        Task connected;
        lock (_gate)
            connected = _connected.Task;
        try
        {
            await connected.WaitAsync(_options.ConnectTimeout, _time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException)
        {
            throw new RedisConnectionException(
                $"Could not connect to {_settings.Server} within {LinkTexts.Of(_options.ConnectTimeout)}. {LastError}",
                Sent.No,
                _lastError
            );
        }
    }

    /// <summary>Sends a command of the link's own or of its owner; it is not asked again when it fails.</summary>
    public ValueTask<T> SendAsync<T>(
        in Command command,
        ReplyParser<T> parser,
        CancellationToken cancellationToken,
        PushConfirmation? confirmedBy = null,
        TimeSpan? timeout = null
    )
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromException<T>(PendingReply.Cancelled(command.Name, Sent.No, cancellationToken));
        var now = _time.GetTimestamp();
        var patience =
            timeout is not { } given ? _commandTimeout
            : given == Timeout.InfiniteTimeSpan ? long.MaxValue
            : Timestamps(given);
        var pending = PendingReply<T>.Rent(parser, command.Name, now, now + Math.Min(patience, long.MaxValue - now));
        try
        {
            pending.Encode(in command, _options.MaxBufferedBytes);
            pending.ConfirmedBy = confirmedBy;
            Enqueue(pending);
        }
        catch (Exception error)
        {
            // It has no place in a queue, so both of its owners are here.
            pending.Release();
            pending.Release();
            return ValueTask.FromException<T>(error);
        }

        var task = pending.Task;
        if (cancellationToken.CanBeCanceled)
            pending.CancelOn(cancellationToken);
        return task;
    }

    /// <summary>Gives an encoded command its place, and sees to it that it is sent.</summary>
    /// <exception cref="RedisBusyException">There is no room; nothing was queued.</exception>
    /// <exception cref="ObjectDisposedException">The client has ended.</exception>
    public void Enqueue(PendingReply pending)
    {
        if (_running is null)
            Start();
        if (_line.IsEmpty && TryEnqueue(pending))
            return;
        if (_options.WhenFull == WhenFull.Reject && _line.IsEmpty)
            throw _live.Connection.Busy(pending);
        _line.Add(pending);
    }

    /// <summary>Gives encoded commands their places, one right after the other; <c>false</c> when there is no room for all of them, and then none has one.</summary>
    /// <exception cref="ObjectDisposedException">The client has ended.</exception>
    public bool TryEnqueueAll(ReadOnlySpan<PendingReply> commands)
    {
        if (_running is null)
            Start();
        return _line.IsEmpty && TryEnqueue(commands);
    }

    /// <summary>Gives up the connection there is, because what it says shows that it leads to the wrong place.</summary>
    public void Abort(string reason) => _live.Pump?.Abort(reason);

    /// <summary>Hands back the commands that wait for a connection: they were never sent, and their origin may know somebody else to ask.</summary>
    public void HandBack()
    {
        Live waiting;
        lock (_gate)
        {
            waiting = _live;
            if (_disposed || waiting.Pump is not null || waiting.Connection.InFlight == 0)
                return;
            _live = NewLive();
        }

        waiting.Connection.Close($"There is no connection to {_settings.Server}. {LastError}", _lastError);
        _line.Advance();
    }

    /// <summary>Leaves a server that answers, but is not the right one: later commands wait for the next connection, those under way get their replies while they come.</summary>
    public void Leave(string reason)
    {
        Live live;
        lock (_gate)
        {
            live = _live;
            if (_disposed || live.Pump is null)
                return;
            _live = NewLive();
        }

        _ = AbortWhenAnsweredAsync(live, reason);
    }

    private async Task AbortWhenAnsweredAsync(Live live, string reason)
    {
        for (var left = LeavePolls; left > 0 && live.Connection.InFlight > 0 && !_stop.IsCancellationRequested; left--)
            await Task.Delay(LeavePoll, _time, CancellationToken.None).ConfigureAwait(Rt.Capture);
        live.Pump!.Abort(reason);
    }

    private bool TryEnqueue(PendingReply pending) => TryEnqueue(new ReadOnlySpan<PendingReply>(in pending));

    private bool TryEnqueue(ReadOnlySpan<PendingReply> commands)
    {
        while (true)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(RedisClient));
            var live = _live;
            var enqueued = live.Connection.TryEnqueue(commands);
            if (enqueued == Enqueued.Elsewhere || (enqueued == Enqueued.Closed && _ended))
                throw LinkTexts.Over(_settings);
            if (enqueued == Enqueued.Closed)
                continue;
            if (enqueued == Enqueued.Full)
                return false;
            live.Pump?.OnEnqueued(enqueued);
            return true;
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        _settings.Server.Moved -= OnMoved;
        _settings.Server.Back -= _moves.OnBack;
        _settings.Counters.Remove(this);
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        _live.Pump?.Abort(WaitingLine.Ended);
        if (_running is { } running)
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _ticker.DisposeAsync().ConfigureAwait(Rt.Capture);
        _live.Connection.Close(WaitingLine.Ended, null);
        _line.EndAll(WaitingLine.Ended);
        lock (_gate)
        {
            // Those who wait to be connected learn that it will not be.
            _connected.TrySetException(new RedisConnectionException(WaitingLine.Ended, Sent.No, isTransient: false));
            _ = _connected.Task.Exception;
        }

        _stop.Dispose();
    }

    private async Task RunAsync(bool here = false)
    {
        // Never on the thread of whoever starts it: connecting can end without waiting, the loop then tells of it, and who hears that sends, which starts the link.
        if (!here)
            await Task.CompletedTask.ConfigureAwait(ForceYielding);
        var failures = 0;
        while (!_stop.IsCancellationRequested)
        {
            var transport = await ConnectAsync(failures).ConfigureAwait(Rt.Capture);
            if (transport is null)
            {
                failures = await PauseAsync(failures).ConfigureAwait(Rt.Capture) ? 0 : failures + 1;
                continue;
            }

            var began = _time.GetTimestamp();
            await UseAsync(transport).ConfigureAwait(Rt.Capture);
            if (_ended)
                return;

            // A connection that ends right after it began is a failed attempt too, or a server that hangs up at once would be hammered.
            failures = _time.GetElapsedTime(began) < _options.MaxReconnectPause ? failures + 1 : 0;
            if (failures > 1)
                await PauseAsync(failures).ConfigureAwait(Rt.Capture);
        }
    }

    // One attempt: socket and handshake. Null when it failed; the reason is kept for those who wait.
    private async Task<ITransport?> ConnectAsync(int failures)
    {
        using var timeout = new CancellationTokenSource(_options.ConnectTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stop.Token);
        var found = false;
        _moves.Begin(either);
        try
        {
            _login.Server = Address = await _settings.Server.FindAsync(either.Token).ConfigureAwait(Rt.Capture);
            _moves.Found(Address);
            var credentials = await _login.AskAsync(RedisCredentialReason.Connecting, either.Token).ConfigureAwait(Rt.Capture);
            found = true;
            (var transport, Server) = await _dialer.DialAsync(Address, credentials, either.Token).ConfigureAwait(Rt.Capture);
            return transport;
        }
        catch (Exception error)
        {
            if (found)
                _settings.Server.Failed(Address);
            if (_stop.IsCancellationRequested)
                return null;
            Failed(LinkTexts.Explain(error, timeout.IsCancellationRequested, _settings.Server, _options), failures);
            if (_settings.HandsBack)
                HandBack();
            return null;
        }
        finally
        {
            _moves.End();
        }
    }

    private void OnMoved(RedisAddress to)
    {
        _moves.OnMoved(to);
        LeaveIfMoved();
    }

    private void LeaveIfMoved()
    {
        if (_moves.IsElsewhere)
            Abort($"{_settings.Server} is another server now.");
    }

    private void Failed(RedisConnectionException error, int failures)
    {
        _lastError = error;

        // The first failure is news, then every power of two: a Redis that stays away does not flood the log.
        if ((failures & (failures + 1)) == 0)
            Log.ConnectFailed(_logger, Address.Host ?? $"{_settings.Server}", Address.Port, failures + 1, error.Message);
        if (error.IsTransient)
            return;

        // Waiting longer will not help those who wait now; later callers start afresh, for a password can be put right.
        lock (_gate)
        {
            _connected.TrySetException(error);
            _ = _connected.Task.Exception;
            _connected = NewSignal();
        }
    }

    // True when there was news of where to connect.
    private Task<bool> PauseAsync(int failures)
    {
        // Full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): many clients do not come back in step.
        var most = Math.Min(
            Math.Min(_options.MaxReconnectPause.TotalMilliseconds, _settings.Server.MostPause.TotalMilliseconds),
            _options.ReconnectPause.TotalMilliseconds * Math.Pow(2, Math.Min(failures, 20))
        );
        return _moves.PauseAsync(TimeSpan.FromMilliseconds(1 + (_random.NextDouble() * most)), _time, _stop.Token);
    }

    private async Task UseAsync(ITransport transport)
    {
        if (!TellPushes(began: true))
        {
            TellPushes(began: false);
            await transport.DisposeAsync().ConfigureAwait(Rt.Capture);
            return;
        }

        Live live;
        ConnectionPump pump;
        lock (_gate)
        {
            live = _live;
            pump = _dialer.NewPump(live.Connection, transport, _line.Advance);
            live.Pump = pump;
        }

        Volatile.Write(ref _keepAliveAsked, 0);

        // Whoever disposes or moves on cancels first and then looks for the pump: one of the two sees the other.
        Interlocked.MemoryBarrier();
        LeaveIfMoved();
        Keeper.Add(pump);
        live.Connection.Attach();
        pump.Flush();
        _line.Advance();
        var reading = pump.RunAsync(_stop.Token);

        // Disposing looks for the pump once, after it has said so: one that came after that look ends itself.
        Interlocked.MemoryBarrier();
        if (_stop.IsCancellationRequested)
            pump.Abort(WaitingLine.Ended);
        lock (_gate)
            _connected.TrySetResult();
        Tell(true, "");
        // Its own pauses stand: a server that hangs up on everybody must not be hammered by those who call each other.
        if (_settings.Purpose == LinkPurpose.Commands)
            _settings.Server.TellBack();

        var (reason, cause) = await reading.ConfigureAwait(Rt.Capture);
        live.Connection.EndReading();
        TellPushes(began: false);
        lock (_gate)
        {
            _connected = NewSignal();
            if (_settings.Purpose == LinkPurpose.Lease)
                _ended = true;
            else if (!_stop.IsCancellationRequested && _live == live)
                _live = NewLive();
        }

        Keeper.Remove(pump);
        Tell(false, reason);
        live.Connection.Close($"The connection to {_settings.Server} ended: {reason}", cause);
        await transport.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    // False when whoever reads the pushes cannot take the connection.
    private bool TellPushes(bool began)
    {
        try
        {
            if (began)
                _settings.Pushes?.Begin();
            else
                _settings.Pushes?.End();
            return true;
        }
        catch (Exception error)
        {
            Log.HandlerFailed(_logger, error);
            return false;
        }
    }

    // Handlers are other people's code: one that throws must neither end the link nor keep the waiting commands from failing.
    private void Tell(bool connected, string reason)
    {
        try
        {
            if (connected)
                Log.Connected(_logger, Address.Host, Address.Port, Server!.Product, Server.Version, LinkTexts.Of(_settings.Purpose));
            else if (!_stop.IsCancellationRequested)
                Log.Lost(_logger, Address.Host, Address.Port, LinkTexts.Of(_settings.Purpose), reason);
            Changed?.Invoke(connected);
        }
        catch (Exception error)
        {
            Log.HandlerFailed(_logger, error);
        }
    }

    private void OnTick()
    {
        try
        {
            CheckTimes();
        }
        catch (Exception error)
        {
            // The top of a timer's callback: thrown on, it would end the process.
            Log.TickFailed(_logger, error);
        }
    }

    private void CheckTimes()
    {
        var live = _live;
        var now = _time.GetTimestamp();
        var oldest = live.Connection.Expire(now, TimedOut);
        OldestAsked = oldest;
        _line.Expire(now, pending => TimedOut(pending, pending.SentWhenSettled));
        if (live.Pump is not { } pump)
        {
            if (_settings.HandsBack && IsKnownDown)
                HandBack();
            return;
        }

        pump.LookAround();

        // One caller's own can be silent for as long as its command blocks, and what we say in between would be taken into a transaction.
        if (_settings.Purpose == LinkPurpose.Lease)
            return;
        if (_login.IsDue(now))
            _ = _login.RenewAsync(AuthenticateAsync, _stop.Token);
        var silent = _time.GetElapsedTime(pump.LastProgress, now);
        if (oldest != long.MaxValue)
        {
            // Dead is silence, not slowness: bytes of one large reply count as life.
            if (silent > _options.DeadAfter && _time.GetElapsedTime(oldest, now) > _options.DeadAfter)
                pump.Abort($"Nothing moved for {LinkTexts.Of(silent)} while commands waited.");
        }
        else if (
            silent > _options.KeepAlive
            && _settings.Purpose != LinkPurpose.Blocking
            && Interlocked.Exchange(ref _keepAliveAsked, 1) == 0
        )
        {
            _ = KeepAliveAsync();
        }
    }

    private async Task KeepAliveAsync()
    {
        try
        {
            await SendAsync(new Command(["PING"]), ReplyParsers.Ignore, CancellationToken.None).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // A time-out leaves its place in the queue, so silence is noticed by the ticks that follow.
        }
        finally
        {
            Volatile.Write(ref _keepAliveAsked, 0);
        }
    }

    private async ValueTask AuthenticateAsync(RedisCredentials credentials, CancellationToken cancellationToken) =>
        await SendAsync(new Command(["AUTH", credentials.User ?? "default", credentials.Password]), ReplyParsers.Ignore, cancellationToken)
            .ConfigureAwait(Rt.Capture);

    private Exception TimedOut(PendingReply pending, Sent sent)
    {
        if (sent == Sent.Maybe)
            return new RedisTimeoutException(
                $"{_settings.Server} did not answer {pending.Name} within {LinkTexts.Of(_options.CommandTimeout)}; whether it was executed is not known. {InFlight} commands wait for replies.",
                sent
            );

        // Why a server would not take it says more than that time has passed.
        return pending.Refused as RedisServerException as Exception
            ?? new RedisTimeoutException(
                $"{pending.Name} was not sent within {LinkTexts.Of(_options.CommandTimeout)}: there is no connection to {_settings.Server}. {LastError}",
                sent,
                _lastError
            );
    }

    private Live NewLive() =>
        new(
            new RespConnection(
                new ConnectionLimits
                {
                    MaxInFlight = Math.Max(_options.MaxInFlight, _options.MaxBacklog),
                    MaxBacklog = _options.MaxBacklog,
                    MaxBufferedBytes = _options.MaxBufferedBytes,
                },
                _settings.Pushes
            )
        );

    private long Timestamps(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    // A connection, and the pump that moves its bytes once there is one.
    private sealed class Live(RespConnection connection)
    {
        private volatile ConnectionPump? _pump;

        public RespConnection Connection { get; } = connection;

        public ConnectionPump? Pump
        {
            get => _pump;
            set => _pump = value;
        }
    }
}
