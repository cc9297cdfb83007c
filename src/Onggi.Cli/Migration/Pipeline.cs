using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;

namespace Onggi.Cli.Migration;

/// <summary>A connection of one lane's own, for a thousand commands in one write. It is one connection for its whole life: once lost, nothing more is written by it.</summary>
internal sealed class Pipeline : IAsyncDisposable
{
    private readonly List<PendingReply> _collected = [];
    private readonly RedisClientOptions _options;
    private readonly TimeProvider _time;
    private readonly RedisLink _link;

    private Pipeline(RedisClient client, TimeProvider time)
    {
        (_options, _time) = (client.Options, time);
        _link = new RedisLink(_options, new LinkSettings(client.Router.AnyServer, LinkPurpose.Lease), NullLogger.Instance, time);
    }

    /// <summary>Connects to where the client is connected, to the same database.</summary>
    public static async Task<Pipeline> OpenAsync(RedisClient client, TimeProvider time, CancellationToken cancellationToken)
    {
        var pipeline = new Pipeline(client, time);
        try
        {
            await pipeline._link.WhenConnectedAsync(cancellationToken).ConfigureAwait(false);
            return pipeline;
        }
        catch
        {
            await pipeline.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Sends one command.</summary>
    /// <exception cref="RedisException">It was refused, not answered, or the connection is over.</exception>
    public ValueTask<T> SendAsync<T>(ReadOnlySpan<RedisArg> command, ReplyParser<T> parser, CancellationToken cancellationToken) =>
        _link.SendAsync(new Command(command), parser, cancellationToken);

    /// <summary>Adds a command to those that <see cref="Flush"/> sends together. What it returns is awaited once, after that.</summary>
    public ValueTask<T> Add<T>(ReadOnlySpan<RedisArg> command, ReplyParser<T> parser)
    {
        var now = _time.GetTimestamp();
        var words = new Command(command);
        var deadline = now + (long)(_options.CommandTimeout.TotalSeconds * _time.TimestampFrequency);
        var pending = PendingReply<T>.Rent(parser, words.Name, now, deadline);
        pending.Encode(in words, _options.MaxBufferedBytes);
        _collected.Add(pending);
        return pending.Task;
    }

    /// <summary>Sends what was added, in as few writes as there can be.</summary>
    /// <exception cref="RedisException">The connection is over.</exception>
    public void Flush()
    {
        if (!_link.TryEnqueueAll(_collected.ToArray()))
        {
            foreach (var pending in _collected)
                _link.Enqueue(pending);
        }

        _collected.Clear();
    }

    /// <summary>Sends what was added, and waits for all of it.</summary>
    /// <remarks>From the end: when the last is answered, so are those before it, and waiting is done once.</remarks>
    [SuppressMessage(
        "Reliability",
        "CA2012",
        Justification = "Each is awaited once; they stand in an array so that the last can be awaited first."
    )]
    public async Task<T[]> FlushAsync<T>(ValueTask<T>[] answers)
    {
        Flush();
        var values = new T[answers.Length];
        for (var i = answers.Length - 1; i >= 0; i--)
            values[i] = await answers[i].ConfigureAwait(false);
        return values;
    }

    public ValueTask DisposeAsync() => _link.DisposeAsync();
}

/// <summary>Pipelines for lanes: one that is free, or a new one.</summary>
/// <param name="open">Makes one.</param>
internal sealed class PipelinePool(Func<RedisClient, CancellationToken, Task<Pipeline>> open) : IAsyncDisposable
{
    private readonly Lock _gate = new();

    // Guarded by the gate.
    private readonly Dictionary<RedisClient, Stack<Pipeline>> _idle = [];
    private readonly List<Pipeline> _all = [];

    public async Task<Pipeline> RentAsync(RedisClient client, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_idle.TryGetValue(client, out var idle) && idle.TryPop(out var kept))
                return kept;
        }

        var made = await open(client, cancellationToken).ConfigureAwait(false);
        lock (_gate)
            _all.Add(made);
        return made;
    }

    /// <summary>Takes one back. One whose commands failed is not given back: it may have answers on the way.</summary>
    public void Return(RedisClient client, Pipeline pipeline)
    {
        lock (_gate)
        {
            if (!_idle.TryGetValue(client, out var idle))
                _idle[client] = idle = new Stack<Pipeline>();
            idle.Push(pipeline);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Pipeline[] all;
        lock (_gate)
            all = [.. _all];
        foreach (var pipeline in all)
            await pipeline.DisposeAsync().ConfigureAwait(false);
    }
}
