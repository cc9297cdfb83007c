#pragma warning disable CS1591, MA0025
using Microsoft.Extensions.Logging;
using Onggi.Client.Resp;

namespace Onggi.Client;

/// <summary>A connection to one Redis, shared by all callers of the process. (API sketch, bodies follow.)</summary>
public sealed class RedisClient : IAsyncDisposable
{
    public RedisClient(RedisClientOptions options, ILoggerFactory? loggers = null, TimeProvider? time = null) => Options = options;

    public RedisClientOptions Options { get; }

    public bool IsConnected => throw new NotImplementedException();

    /// <summary>The server's version and role as HELLO told them; null while never connected.</summary>
    public RedisServerInfo? Server => throw new NotImplementedException();

    /// <summary>Raised when the link comes up (true) or is lost (false).</summary>
    public event Action<bool>? ConnectionChanged;

    public static ValueTask<RedisClient> ConnectAsync(string connectionString, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    public static ValueTask<RedisClient> ConnectAsync(
        RedisClientOptions options,
        ILoggerFactory? loggers = null,
        TimeProvider? time = null,
        CancellationToken cancellationToken = default
    ) => throw new NotImplementedException();

    /// <summary>Waits until connected; throws when it cannot within ConnectTimeout.</summary>
    public ValueTask ConnectAsync(CancellationToken cancellationToken = default) => throw new NotImplementedException();

    public ValueTask<T> SendAsync<T>(
        ReadOnlySpan<RedisArg> command,
        ReplyParser<T> parser,
        CancellationToken cancellationToken = default
    ) => throw new NotImplementedException();

    public ValueTask<Reply> ExecuteAsync(ReadOnlySpan<RedisArg> command, CancellationToken cancellationToken = default) =>
        SendAsync(command, ReplyParsers.Reply, cancellationToken);

    public ValueTask<T> EvalAsync<T>(
        RedisScript script,
        ReadOnlySpan<RedisArg> keys,
        ReadOnlySpan<RedisArg> args,
        ReplyParser<T> parser,
        CancellationToken cancellationToken = default
    ) => throw new NotImplementedException();

    public ValueTask<RedisSubscription> SubscribeAsync(string channel, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    public ValueTask<RedisSubscription> SubscribePatternAsync(string pattern, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();

    private void Unused() => ConnectionChanged?.Invoke(true);
}
