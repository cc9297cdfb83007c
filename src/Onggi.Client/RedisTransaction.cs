using System.Globalization;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;
using Onggi.Client.Routing.Cluster;

namespace Onggi.Client;

/// <summary>Commands that are executed one right after the other with nobody else's between them, or not at all: MULTI … EXEC in one write. Made by <see cref="RedisClient.CreateTransaction"/>; for one caller, executed once.</summary>
/// <remarks>
/// <para>Redis does not roll back: a command that fails when it is executed (a wrong type) fails alone, and its <see cref="BatchItem.Error"/> says so. When Redis refuses to take a command in (a wrong number of arguments, OOM, a
/// permission that is missing), nothing is executed at all.</para>
/// <para>"Only if nobody has changed this key" needs WATCH, which holds for a connection: do it by hand on a <see cref="RedisLease"/>, or use a script. On a cluster all keys must share a slot.</para>
/// <para>What a caller sees: Redis <b>slow</b>: <see cref="RedisTimeoutException"/>, all or nothing may be executed. <b>Gone</b>: <see cref="RedisConnectionException"/>; <see cref="RedisException.Sent"/> holds for the whole. <b>Full</b>: code EXECABORT, nothing was executed, and
/// the command that asked for memory says OOM. <b>Restarted empty</b>, <b>failed over</b>, <b>we were paused</b>: as for single commands.</para>
/// </remarks>
public sealed class RedisTransaction
{
    private readonly Router _router;
    private readonly RedisClientOptions _options;
    private readonly List<BatchItem> _items = [];
    private readonly OutputBuffer _frame = new();
    private CommandTraits _traits = new(CommandOptions.None);
    private bool _executed;

    internal RedisTransaction(Router router, RedisClientOptions options)
    {
        (_router, _options) = (router, options);
        _frame.Write("*1\r\n$5\r\nMULTI\r\n"u8);
    }

    /// <summary>How many commands there are.</summary>
    public int Count => _items.Count;

    /// <summary>The commands, in the order in which they were added.</summary>
    public IReadOnlyList<BatchItem> Items => _items;

    /// <summary>Adds a command.</summary>
    /// <param name="command">Its name and arguments; written before the call returns.</param>
    /// <param name="parser">Runs on the reading loop: short, no blocking.</param>
    /// <returns>Where its result will be.</returns>
    /// <exception cref="ArgumentException">The command is empty, holds text that is not Unicode, would hold up the connection, or has keys in another slot than those before it.</exception>
    /// <exception cref="InvalidOperationException">The transaction has been executed.</exception>
    public BatchItem<T> Add<T>(ReadOnlySpan<RedisArg> command, ReplyParser<T> parser)
    {
        var whole = new Command(command);
        SharedConnection.OptionsOf(in whole, CommandTable.Find(in whole), CommandOptions.None);
        return Add(whole, parser, command.IsEmpty ? "" : command[0].Name);
    }

    /// <summary>Adds a script, with its source: that the server does not know it would be found out too late.</summary>
    /// <inheritdoc cref="Add{T}(ReadOnlySpan{RedisArg}, ReplyParser{T})"/>
    public BatchItem<T> Add<T>(RedisScript script, ReadOnlySpan<RedisArg> keys, ReadOnlySpan<RedisArg> args, ReplyParser<T> parser)
    {
        ArgumentNullException.ThrowIfNull(script);
        return Add(new Command([script.BySource, script.SourceBytes, keys.Length, .. keys, .. args]), parser, script.BySource);
    }

    /// <summary>Sends the transaction and waits for its end. One round trip. Nothing is sent when there are no commands.</summary>
    /// <param name="cancellationToken">Abandons the wait. The exception's <c>Data["Sent"]</c> tells whether the transaction can have been executed.</param>
    /// <exception cref="RedisServerException">Redis refused a command (<c>EXECABORT</c>) or the whole: nothing was executed, and the commands that are to blame say why.</exception>
    /// <exception cref="RedisReplyException">MULTI itself was refused: what followed it was executed without a transaction, if at all. Give the user the right to it (<c>+multi +exec</c>).</exception>
    /// <exception cref="RedisException">It could not be asked, or was not answered in time.</exception>
    /// <exception cref="InvalidOperationException">It has been executed before.</exception>
    public async ValueTask ExecuteAsync(CancellationToken cancellationToken = default)
    {
        if (_executed)
            throw new InvalidOperationException("A transaction is executed once.");
        _executed = true;
        if (_items.Count == 0)
            return;
        if (cancellationToken.IsCancellationRequested)
            throw PendingReply.Cancelled("EXEC", Sent.No, cancellationToken);
        _frame.Write("*1\r\n$4\r\nEXEC\r\n"u8);
        var replies = new TransactionReplies(_items.Count);
        try
        {
            await SendAsync(replies, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException error) when (replies.MultiRefused is { } refused)
        {
            var halves = new RedisReplyException(
                $"MULTI was refused ({refused.Message}): the commands behind it were executed without a transaction, if at all.",
                error
            );
            FailAll(_ => halves);
            throw halves;
        }
        catch (RedisServerException error)
        {
            FailAll(item => replies.RefusalOf(item) ?? error);
            throw;
        }
        catch (RedisException error)
        {
            FailAll(_ => error);
            throw;
        }
        catch (OperationCanceledException cancelled)
        {
            foreach (var item in _items)
                item.Leave(cancelled.Data[nameof(Sent)] is Sent.No ? BatchOutcome.NotSent : BatchOutcome.Unknown);
            throw;
        }
    }

    private BatchItem<T> Add<T>(in Command command, ReplyParser<T> parser, string name)
    {
        ArgumentNullException.ThrowIfNull(parser);
        if (_executed)
            throw new InvalidOperationException("The transaction has been executed; make another one.");
        var traits = _router.Describe(in command, CommandOptions.Primary);
        if (traits.Slot == KeySlots.Several || (traits.Slot >= 0 && _traits.Slot >= 0 && traits.Slot != _traits.Slot))
            throw new ArgumentException(
                $"{name} has its keys in another slot than the commands before it. Give all keys of a transaction the same part in braces: {{user:42}}:name."
            );
        RedisBatch.Measure(in command, _options.MaxBufferedBytes - _frame.Length);
        CommandWriter.Write(_frame, in command);
        _traits = _items.Count == 0 ? traits : Joined(_traits, traits);
        var item = new BatchItem<T>(name, parser);
        _items.Add(item);
        return item;
    }

    // The whole may be done twice only when each of its commands may, and is large when one of them is.
    private static CommandTraits Joined(CommandTraits whole, CommandTraits next) =>
        next with
        {
            Slot = next.Slot >= 0 ? next.Slot : whole.Slot,
            Options =
                (whole.Options & next.Options & CommandOptions.Idempotent) | ((whole.Options | next.Options) & ~CommandOptions.Idempotent),
        };

    private ValueTask<bool> SendAsync(TransactionReplies replies, CancellationToken cancellationToken)
    {
        var place = _router.Prepare<bool>(_frame.Written.Span, "MULTI", script: null, _traits, ReadResults);
        place.Transaction = replies;
        try
        {
            _router.Begin(place);
        }
        catch (Exception error)
        {
            _router.Abandon(place, error);
            throw;
        }

        var task = place.Task;
        if (cancellationToken.CanBeCanceled)
            place.CancelOn(cancellationToken);
        return task;
    }

    private bool ReadResults(ref RespReader reader)
    {
        if (reader.Type != RespType.Array || reader.Count != _items.Count)
            throw reader.Unexpected(string.Create(CultureInfo.InvariantCulture, $"the {_items.Count} results of a transaction"));
        foreach (var item in _items)
        {
            reader.Read();
            item.Read(ref reader);
        }

        return true;
    }

    private void FailAll(Func<int, RedisException> error)
    {
        for (var i = 0; i < _items.Count; i++)
            _items[i].Fail(error(i));
    }
}
