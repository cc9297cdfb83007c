using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Caching.Distributed;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;
using Onggi.Scripts;

namespace Onggi.AspNetCore.Caching;

/// <summary><see cref="IDistributedCache"/> on the team's Redis; what callers see is told at <see cref="OnggiDistributedCacheOptions"/>.</summary>
/// <remarks>
/// The value is a plain string under its own name, so that everything that knows cache families reads, counts and removes it as such, and entries with a fixed end cost nothing more. The few
/// numbers of a sliding life stand beside it, in <c>{key}:s</c>, which ends with it: a hash would hold both in one key, but be another type than the rest of the catalog's caches.
/// When the numbers are lost, the entry ends where it would have ended; it never lives longer.
/// </remarks>
internal sealed class OnggiDistributedCache(
    RedisClient redis,
    Keyspace keyspace,
    FamilySettings family,
    int maxValueBytes,
    TimeProvider time
) : IBufferDistributedCache
{
    private static readonly RedisScript ReadScript = LuaScript.Load("bytes_read.lua", typeof(OnggiDistributedCache).Assembly);
    private static readonly RedisScript WriteScript = LuaScript.Load("bytes_write.lua", typeof(OnggiDistributedCache).Assembly);

    // Reading twice lengthens a life twice, to the same end.
    private const CommandOptions Repeatable = CommandOptions.Idempotent;

    public byte[]? Get(string key)
    {
        var (name, sliding) = NamesOf(key);
        return redis.Router.Send(new Command(ReadScript, [name, sliding], [1]), ReplyParsers.Bytes, Repeatable);
    }

    public async Task<byte[]?> GetAsync(string key, CancellationToken token = default)
    {
        var (name, sliding) = NamesOf(key);
        return await redis.Router.SendAsync(new Command(ReadScript, [name, sliding], [1]), ReplyParsers.Bytes, Repeatable, token);
    }

    public bool TryGet(string key, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var (name, sliding) = NamesOf(key);
        // Read here and copied: who writes to the caller's buffer is the caller's own thread.
        using var value = redis.Router.Send(new Command(ReadScript, [name, sliding], [1]), ReplyParsers.PooledBytes, Repeatable);
        if (value.IsNull)
            return false;
        destination.Write(value.Span);
        return true;
    }

    public async ValueTask<bool> TryGetAsync(string key, IBufferWriter<byte> destination, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var (name, sliding) = NamesOf(key);
        var command = new Command(ReadScript, [name, sliding], [1]);
        return await redis.Router.SendAsync(command, destination, ReplyParsers.Into, Repeatable, token) is not null;
    }

    public void Set(string key, byte[] value, DistributedCacheEntryOptions options)
    {
        ArgumentNullException.ThrowIfNull(value);
        Write(key, value, options);
    }

    public Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(value);
        return WriteAsync(key, value, options, token).AsTask();
    }

    public void Set(string key, ReadOnlySequence<byte> value, DistributedCacheEntryOptions options) =>
        Write(key, InOnePiece(value), options);

    public ValueTask SetAsync(
        string key,
        ReadOnlySequence<byte> value,
        DistributedCacheEntryOptions options,
        CancellationToken token = default
    ) => WriteAsync(key, InOnePiece(value), options, token);

    public void Refresh(string key)
    {
        var (name, sliding) = NamesOf(key);
        redis.Router.Send(new Command(ReadScript, [name, sliding], [0]), ReplyParsers.Ignore, Repeatable);
    }

    public async Task RefreshAsync(string key, CancellationToken token = default)
    {
        var (name, sliding) = NamesOf(key);
        await redis.Router.SendAsync(new Command(ReadScript, [name, sliding], [0]), ReplyParsers.Ignore, Repeatable, token);
    }

    public void Remove(string key)
    {
        var (name, sliding) = NamesOf(key);
        redis.Send(["UNLINK", name, sliding], ReplyParsers.Ignore, Repeatable);
    }

    public async Task RemoveAsync(string key, CancellationToken token = default)
    {
        var (name, sliding) = NamesOf(key);
        await redis.SendAsync(["UNLINK", name, sliding], ReplyParsers.Ignore, Repeatable, token);
    }

    private void Write(string key, ReadOnlyMemory<byte> value, DistributedCacheEntryOptions options)
    {
        Check(value.Length);
        var (name, sliding) = NamesOf(key);
        if (TryPlan(name, options, out var life))
            redis.Eval(WriteScript, [name, sliding], [value, life.First, life.Sliding, life.Last], ReplyParsers.Ignore);
        else
            Remove(key);
    }

    private async ValueTask WriteAsync(
        string key,
        ReadOnlyMemory<byte> value,
        DistributedCacheEntryOptions options,
        CancellationToken token
    )
    {
        Check(value.Length);
        var (name, sliding) = NamesOf(key);
        if (TryPlan(name, options, out var life))
            await redis.EvalAsync(WriteScript, [name, sliding], [value, life.First, life.Sliding, life.Last], ReplyParsers.Ignore, token);
        else
            await RemoveAsync(key, token);
    }

    /// <summary>How long an entry lives; <c>false</c> when it is over already, and there is to be none.</summary>
    private bool TryPlan(string name, DistributedCacheEntryOptions options, out Life life)
    {
        ArgumentNullException.ThrowIfNull(options);
        var left = Earlier(options.AbsoluteExpirationRelativeToNow, options.AbsoluteExpiration - time.GetUtcNow());
        var sliding = Earlier(options.SlidingExpiration, options.SlidingExpiration is null ? null : family.MaxTtl);
        if (left <= TimeSpan.Zero)
        {
            life = default;
            return false;
        }

        // No end at all is no choice here: who names none gets the family's.
        var first =
            left is null && sliding is null
                ? keyspace.PhysicalTtl(family, name, withGrace: false)
                : Earlier(Earlier(left, sliding), family.MaxTtl)!.Value;
        life = new Life(Milliseconds(first), Milliseconds(sliding), sliding is null ? 0 : Milliseconds(left));
        return true;
    }

    private (string Name, string Sliding) NamesOf(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        var name = keyspace.WireName(new EntryKey(family.Family, key));
        return (name, AuxiliaryName.Of(name, "s"));
    }

    private void Check(int length)
    {
        if (length > maxValueBytes)
            ThrowTooLarge(length);
    }

    [DoesNotReturn]
    private void ThrowTooLarge(int length) =>
        throw new ArgumentException(
            $"The value for {family.Family.Name} takes {length} bytes; CacheOptions.MaxValueBytes allows {maxValueBytes}. Nothing was sent."
        );

    private static ReadOnlyMemory<byte> InOnePiece(in ReadOnlySequence<byte> value) =>
        value.IsSingleSegment ? value.First : value.ToArray();

    private static TimeSpan? Earlier(TimeSpan? left, TimeSpan? right) =>
        left is null ? right
        : right is null || left < right ? left
        : right;

    private static long Milliseconds(TimeSpan? time) => time is { } given ? Math.Max(1, (long)given.TotalMilliseconds) : 0;

    /// <summary>In milliseconds: until the first end, from each read (0: none), and in any case (0: none).</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Life(long First, long Sliding, long Last);
}
