using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;

namespace Onggi.Client;

/// <summary>A connection of one caller's own, for commands that hold up a connection (BLPOP, XREADGROUP with BLOCK, WAIT) or change it (WATCH, MULTI). Dispose it as soon as it is done.</summary>
/// <remarks>
/// <para>Commands of one lease are sent in the order of the calls and answered in that order; one that blocks keeps those behind it waiting. It is one connection to one server for its whole life: nothing is
/// asked again on another one, and when it is lost the lease is over (<see cref="IsUsable"/>): take a new one.</para>
/// <para>A call that is cancelled or times out <b>closes the connection</b>: Redis would otherwise still take an element from the list for a caller who has gone. Whether it had already done so is not known
/// (<see cref="Sent.Maybe"/>): whoever cannot lose an element uses a command that keeps it (LMOVE, streams).</para>
/// <para>Disposed, the connection goes back to a small pool. A transaction or a watch left open is ended before; a connection that was changed otherwise (SELECT, CLIENT …), or has a call under way, is closed.</para>
/// <para>What a caller sees: Redis <b>slow</b>: <see cref="RedisTimeoutException"/>, and the lease is over. <b>Gone</b>: <see cref="RedisConnectionException"/> at once, and the lease is over. <b>Full</b>, <b>restarted empty</b>,
/// <b>failed over</b>: as on any connection, except that nothing is asked again. <b>We were paused</b>: a reply that came meanwhile counts when it is read before the time-out is noticed.</para>
/// </remarks>
public sealed class RedisLease : IAsyncDisposable
{
    private readonly RedisLink _link;
    private readonly LeasePool _pool;
    private readonly TimeSpan _commandTimeout;
    private readonly Lock _gate = new();

    // Guarded by the gate: what the server keeps for this connection.
    private bool _inTransaction;
    private bool _watching;
    private bool _changed;
    private bool _disposed;

    internal RedisLease(RedisLink link, LeasePool pool, RedisClientOptions options) =>
        (_link, _pool, _commandTimeout) = (link, pool, options.CommandTimeout);

    /// <summary>Whether the connection stands, as far as is known. <c>false</c> is final.</summary>
    public bool IsUsable => !_disposed && !_link.HasEnded;

    /// <summary>Sends a command that does not block, and waits for its reply for <see cref="RedisClientOptions.CommandTimeout"/>. One round trip.</summary>
    /// <exception cref="RedisException">As below.</exception>
    public ValueTask<T> SendAsync<T>(
        ReadOnlySpan<RedisArg> command,
        ReplyParser<T> parser,
        CancellationToken cancellationToken = default
    ) => SendAsync(command, parser, _commandTimeout, cancellationToken);

    /// <summary>Sends a command and waits for its reply. One round trip, and as long as the command blocks.</summary>
    /// <param name="command">Its name and arguments; written before the call returns.</param>
    /// <param name="parser">Runs on the reading loop: short, no blocking.</param>
    /// <param name="timeout">How long to wait: longer than the command itself is told to, or <see cref="Timeout.InfiniteTimeSpan"/> for as long as the connection stands.</param>
    /// <param name="cancellationToken">Ends the wait, and the connection.</param>
    /// <exception cref="RedisTimeoutException">No reply came in time; <see cref="RedisException.Sent"/> is <see cref="Sent.Maybe"/>, and the lease is over.</exception>
    /// <exception cref="RedisConnectionException">The connection was lost, or is over already.</exception>
    /// <exception cref="RedisServerException">Redis refused the command; the lease goes on.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; <c>Data["Sent"]</c> tells whether the command can have been executed, and the lease is over unless it cannot.</exception>
    /// <exception cref="ArgumentException">The command is empty, or its answer is no reply (SUBSCRIBE, MONITOR).</exception>
    public ValueTask<T> SendAsync<T>(
        ReadOnlySpan<RedisArg> command,
        ReplyParser<T> parser,
        TimeSpan timeout,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(parser);
        if (timeout != Timeout.InfiniteTimeSpan)
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        ObjectDisposedException.ThrowIf(_disposed, this);
        Remember(command);
        var reply = _link.SendAsync(new Command(command), parser, cancellationToken, timeout: timeout);

        // What has failed already may be a wait that was cancelled while the command was being sent: it must not be executed for nobody either.
        return reply.IsCompletedSuccessfully ? reply : EndUnlessAnsweredAsync(reply, command[0].Name, timeout);
    }

    /// <summary>Gives the connection back, or closes it. A round trip when a transaction or a watch was left open.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        if (!_changed && !_link.HasEnded && _link.InFlight == 0 && await ResetAsync().ConfigureAwait(Rt.Capture))
            await _pool.ReturnAsync(_link).ConfigureAwait(Rt.Capture);
        else
            await _pool.EndAsync(_link).ConfigureAwait(Rt.Capture);
    }

    // Remembered when it is sent, not when it succeeds: a connection that may have changed counts as changed.
    private void Remember(ReadOnlySpan<RedisArg> command)
    {
        var info = CommandTable.Find(command);
        var changes = info.ChangesConnection;
        if (changes && info.Blocks(command))
            throw new ArgumentException(
                $"{info.Name} is not answered by a reply. Use SubscribeAsync for messages; for anything else there is redis-cli.",
                nameof(command)
            );
        lock (_gate)
            switch (info.Name)
            {
                case "MULTI":
                    _inTransaction = true;
                    break;
                case "WATCH":
                    _watching = true;
                    break;
                case "EXEC" or "DISCARD" when _inTransaction:
                    (_inTransaction, _watching) = (false, false);
                    break;
                case "UNWATCH" or "EXEC" or "DISCARD":
                    break;
                default:
                    _changed |= changes || ReferenceEquals(info, CommandTable.Unknown);
                    break;
            }
    }

    private async ValueTask<T> EndUnlessAnsweredAsync<T>(ValueTask<T> reply, string name, TimeSpan timeout)
    {
        try
        {
            return await reply.ConfigureAwait(Rt.Capture);
        }
        catch (RedisTimeoutException error)
        {
            _link.Abort($"{name} was not answered in time.");
            throw new RedisTimeoutException(
                $"{name} was not answered within {timeout.TotalMilliseconds:0} ms; whether it was executed is not known. The leased connection was closed, so that it is not executed later for nobody.",
                error.Sent,
                error
            );
        }
        catch (OperationCanceledException cancelled) when (cancelled.Data[nameof(Sent)] is not Sent.No)
        {
            _link.Abort($"{name} was cancelled.");
            throw;
        }
    }

    private async ValueTask<bool> ResetAsync()
    {
        if (!_inTransaction && !_watching)
            return true;
        try
        {
            var end = new Command([_inTransaction ? "DISCARD" : "UNWATCH"]);
            return await _link.SendAsync(in end, ReplyParsers.Boolean, CancellationToken.None).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // Whatever state it is in: nobody else will see it.
            return false;
        }
    }
}
