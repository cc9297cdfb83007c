using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;

namespace Onggi.Client;

/// <summary>Commands that are sent together, in as few writes as possible, and answered one by one. Made by <see cref="RedisClient.CreateBatch"/>; for one caller, sent once.</summary>
/// <remarks>
/// <para>Each command has a result of its own: one that fails does not fail the others, and nothing makes them one transaction (for that there is <see cref="RedisTransaction"/>). They are executed in the order in which
/// they were added, except that one that has to be asked again (a script that the server does not know) comes later; other callers' commands can come in between.</para>
/// <para>Any number fits: a large batch flows in portions, the next when the one before it is answered, so that it fills neither the queue nor the memory of the connection; a batch of more than a few hundred commands or 64 KiB goes over the
/// connection for large values.</para>
/// <para>What a caller sees: Redis <b>slow</b>: the commands under way fail with <see cref="RedisTimeoutException"/>, and those behind them with one that says that they were not sent. <b>Gone</b>: the commands under way fail with
/// <see cref="RedisConnectionException"/>; those behind them wait for the next connection, and fail unsent when there is none in time. <b>Full</b> (OOM): each refused command says so. <b>Restarted empty</b>, <b>failed over</b>, <b>we were paused</b>: as for single commands.</para>
/// </remarks>
public sealed class RedisBatch
{
    private const int Segment = 256 << 10;

    private readonly Router _router;
    private readonly RedisClientOptions _options;
    private readonly List<BatchItem> _items = [];
    private readonly List<OutputBuffer> _segments = [];
    private readonly List<(int Segment, int Start, int Length)> _places = [];
    private bool _sent;

    internal RedisBatch(Router router, RedisClientOptions options) => (_router, _options) = (router, options);

    /// <summary>How many commands there are.</summary>
    public int Count => _items.Count;

    /// <summary>The commands, in the order in which they were added.</summary>
    public IReadOnlyList<BatchItem> Items => _items;

    /// <summary>Adds a command.</summary>
    /// <param name="command">Its name and arguments; written before the call returns.</param>
    /// <param name="parser">Runs on the reading loop: short, no blocking.</param>
    /// <param name="options">Whether it may be asked again; whether a replica may answer.</param>
    /// <returns>Where its result will be.</returns>
    /// <exception cref="ArgumentException">The command is empty, holds text that is not Unicode, or would hold up the connection.</exception>
    /// <exception cref="RedisBusyException">The command alone is larger than <see cref="RedisClientOptions.MaxBufferedBytes"/>.</exception>
    /// <exception cref="InvalidOperationException">The batch has been sent.</exception>
    public BatchItem<T> Add<T>(ReadOnlySpan<RedisArg> command, ReplyParser<T> parser, CommandOptions options = CommandOptions.None)
    {
        return Add(new Command(command), parser, options);
    }

    /// <summary>Adds a script: EVALSHA, and EVAL once where the server does not know it.</summary>
    /// <inheritdoc cref="Add{T}(ReadOnlySpan{RedisArg}, ReplyParser{T}, CommandOptions)"/>
    public BatchItem<T> Add<T>(
        RedisScript script,
        ReadOnlySpan<RedisArg> keys,
        ReadOnlySpan<RedisArg> args,
        ReplyParser<T> parser,
        CommandOptions options = CommandOptions.None
    )
    {
        ArgumentNullException.ThrowIfNull(script);
        return Add(new Command(script, keys, args), parser, options);
    }

    /// <summary>Sends the commands and waits until every one of them has an end. One round trip for a few hundred commands.</summary>
    /// <param name="progress">Is told how many have an end, after each portion; <c>null</c> for nobody.</param>
    /// <param name="cancellationToken">Ends the wait: what is not sent yet is not sent.</param>
    /// <exception cref="OperationCanceledException">Cancelled. The message says how many were answered and how many may have been executed, each <see cref="BatchItem.Outcome"/> says which; <c>Data["Sent"]</c> is <see cref="Sent.No"/> only when nothing was sent at all.</exception>
    /// <exception cref="InvalidOperationException">The batch has been sent before.</exception>
    public async Task SendAsync(IProgress<int>? progress = null, CancellationToken cancellationToken = default)
    {
        if (_sent)
            throw new InvalidOperationException("A batch is sent once.");
        _sent = true;
        var flow = new BatchFlow(_router, _options, this, progress, cancellationToken);
        await flow.RunAsync().ConfigureAwait(Rt.Capture);
    }

    /// <summary>The encoded command.</summary>
    internal ReadOnlySpan<byte> FrameOf(int item)
    {
        var (segment, start, length) = _places[item];
        return _segments[segment].Written.Span.Slice(start, length);
    }

    internal int LengthOf(int item) => _places[item].Length;

    /// <summary>How many bytes there are, all together.</summary>
    internal long Bytes { get; private set; }

    /// <exception cref="RedisBusyException">The command alone takes more than there may be.</exception>
    internal static void Measure(in Command command, int most)
    {
        if (command.MostBytes > most && CommandWriter.Measure(in command) is var size && size > most)
            throw new RedisBusyException(
                $"{command.Name} takes {size} bytes, and {most} are left of those that may wait to be sent. Raise MaxBufferedBytes."
            );
    }

    private BatchItem<T> Add<T>(in Command command, ReplyParser<T> parser, CommandOptions options)
    {
        ArgumentNullException.ThrowIfNull(parser);
        if (_sent)
            throw new InvalidOperationException("The batch has been sent; make another one.");
        Measure(in command, _options.MaxBufferedBytes);
        if (_segments.Count == 0 || _segments[^1].Length >= Segment)
            _segments.Add(new OutputBuffer());
        var segment = _segments[^1];
        var start = segment.Length;
        CommandWriter.Write(segment, in command);
        var item = new BatchItem<T>(command.Name, parser) { Script = command.Script, Traits = _router.Describe(in command, options) };
        _places.Add((_segments.Count - 1, start, segment.Length - start));
        _items.Add(item);
        Bytes += segment.Length - start;
        return item;
    }
}
