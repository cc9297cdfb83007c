using System.Security.Cryptography;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore.Authentication;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Scripts;

namespace Onggi.AspNetCore.Sessions;

/// <summary>The bytes of one web session during one request, as the cache that ASP.NET's session expects beneath it.</summary>
/// <remarks>
/// They begin with the session's birth: 16 random bytes, which stay while it is written over, and are others after it was cleared. A commit is written only where the birth is still the one that was read.
/// So of requests at the same time the last one wins, as with ASP.NET's own; but none wins over the end of the session.
/// </remarks>
internal sealed class WebSessionBytes(RedisClient redis, string name, TimeSpan idle, int maxBytes, ILogger logger) : IDistributedCache
{
    private const int BirthLength = 16;

    private static readonly RedisScript CommitScript = LuaScript.Load("websession_commit.lua", typeof(WebSessionBytes).Assembly);
    private static readonly RedisScript EndScript = LuaScript.Load("websession_end.lua", typeof(WebSessionBytes).Assembly);

    private readonly long _idleMs = Math.Max(1, (long)idle.TotalMilliseconds);
    private readonly RedisArg[] _names = [name];
    private byte[] _read = [];
    private byte[]? _next;
    private bool _wasRead;

    /// <summary>Whether nothing is left in the session that is to be written.</summary>
    public Func<bool> IsEmpty { get; set; } = static () => false;

    /// <summary>From now on it is another session: what reads the old one now cannot write into this one.</summary>
    public void BeginAnew() => _next = RandomNumberGenerator.GetBytes(BirthLength);

    public byte[]? Get(string key) => Opened(redis.Send(["GETEX", name, "PX", _idleMs], ReplyParsers.Bytes, CommandOptions.Idempotent));

    public async Task<byte[]?> GetAsync(string key, CancellationToken token = default) =>
        Opened(await redis.SendAsync(["GETEX", name, "PX", _idleMs], ReplyParsers.Bytes, CommandOptions.Idempotent, token));

    public void Set(string key, byte[] value, DistributedCacheEntryOptions options) =>
        Written(redis.Router.Send(Commit(value), ReplyParsers.Int64, CommandOptions.Idempotent));

    public async Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default) =>
        Written(await redis.Router.SendAsync(Commit(value), ReplyParsers.Int64, CommandOptions.Idempotent, token));

    public void Refresh(string key) => redis.Send(["PEXPIRE", name, _idleMs], ReplyParsers.Ignore, CommandOptions.Idempotent);

    public async Task RefreshAsync(string key, CancellationToken token = default) =>
        await redis.SendAsync(["PEXPIRE", name, _idleMs], ReplyParsers.Ignore, CommandOptions.Idempotent, token);

    public void Remove(string key) => redis.Send(["UNLINK", name], ReplyParsers.Ignore, CommandOptions.Idempotent);

    public async Task RemoveAsync(string key, CancellationToken token = default) =>
        await redis.SendAsync(["UNLINK", name], ReplyParsers.Ignore, CommandOptions.Idempotent, token);

    private byte[]? Opened(byte[]? held)
    {
        var isThere = held is { Length: >= BirthLength };
        // Only what was read first was read by the application: ASP.NET looks again before it writes, to log whether there was anything.
        if (!_wasRead && isThere)
            _read = held![..BirthLength];
        _wasRead = true;
        return isThere ? held![BirthLength..] : null;
    }

    private Command Commit(byte[] value)
    {
        if (IsEmpty())
        {
            _next = null;
            RedisArg[] read = [_read];
            return new Command(EndScript, _names, read);
        }

        if (value.Length > maxBytes)
            throw new InvalidOperationException(
                $"The web session has {value.Length} bytes; CacheOptions.MaxValueBytes allows {maxBytes}. It is read and written whole: keep what is large elsewhere."
            );
        _next ??= _read.Length > 0 ? _read : RandomNumberGenerator.GetBytes(BirthLength);
        // mutant: what was read is not told, so that a session which is gone counts as one that never was.
        RedisArg[] args = [WebMutants.CommitBlindly ? [] : _read, (byte[])[.. _next, .. value], _idleMs];
        return new Command(CommitScript, _names, args);
    }

    private void Written(long done)
    {
        if (done == 0)
            TicketLog.Dropped(logger);
        else
            (_read, _next) = (_next ?? [], null);
    }
}
