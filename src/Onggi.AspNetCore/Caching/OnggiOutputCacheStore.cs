using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Client.Routing.Cluster;
using Onggi.Keys;
using Onggi.Scripts;

namespace Onggi.AspNetCore.Caching;

/// <summary>The output cache's store on the team's Redis; what callers see is told at <see cref="OnggiOutputCacheOptions"/>.</summary>
/// <remarks>
/// A response is a plain string under its name. A tag is a sorted set of such names, <c>{tag}:t</c>, by when they end, and ends with the last of them; <c>{tag}:e</c> notes when it was evicted.
/// Who stores says when the making began, as the server's clock was when the response was looked for in vain, and is refused when a tag was evicted since.
/// On a cluster the parts are in different slots: the response is written first and taken back when a tag refuses it, so an eviction in between finds it or is found.
/// </remarks>
internal sealed class OnggiOutputCacheStore(
    RedisClient redis,
    Keyspace keyspace,
    FamilySettings family,
    int maxValueBytes,
    TimeSpan clockSkew,
    IHttpContextAccessor http,
    ILogger<OnggiOutputCacheStore> logger,
    TimeProvider time
) : IOutputCacheBufferStore
{
    /// <summary>The most names at a time, so that one eviction does not hold up everybody else's commands.</summary>
    private const int PageSize = 256;

    // How long an eviction is remembered, and so how long the making of a response may take that is to be stored under a tag.
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(5);

    private static readonly RedisScript ReadScript = LuaScript.Load("output_read.lua", typeof(OnggiOutputCacheStore).Assembly);
    private static readonly RedisScript WriteScript = LuaScript.Load("output_write.lua", typeof(OnggiOutputCacheStore).Assembly);
    private static readonly RedisScript EvictScript = LuaScript.Load("output_evict.lua", typeof(OnggiOutputCacheStore).Assembly);

    private static readonly ReplyParser<Found> Response = static (ref reader) =>
        reader.Type == RespType.Integer ? new Found(default, reader.ReadInt64()) : new Found(new PooledBytes(reader.ReadSpan()), 0);

    public async ValueTask<byte[]?> GetAsync(string key, CancellationToken cancellationToken)
    {
        using var response = await ReadAsync(key, cancellationToken);
        return response.IsNull ? null : response.Span.ToArray();
    }

    public async ValueTask<bool> TryGetAsync(string key, PipeWriter destination, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(destination);
        using var response = await ReadAsync(key, cancellationToken);
        if (response.IsNull)
            return false;
        await destination.WriteAsync(response.Memory, cancellationToken);
        return true;
    }

    public ValueTask SetAsync(string key, byte[] value, string[]? tags, TimeSpan validFor, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(value);
        return WriteAsync(key, value, tags, validFor, cancellationToken);
    }

    public ValueTask SetAsync(
        string key,
        ReadOnlySequence<byte> value,
        ReadOnlyMemory<string> tags,
        TimeSpan validFor,
        CancellationToken cancellationToken
    ) => WriteAsync(key, value.IsSingleSegment ? value.First : value.ToArray(), tags, validFor, cancellationToken);

    /// <exception cref="RedisException">Redis refused or did not answer: some of the responses may be left. Make the call again.</exception>
    public async ValueTask EvictByTagAsync(string tag, CancellationToken cancellationToken)
    {
        var (members, evicted) = NamesOf(tag);
        var life = (long)Remembered.TotalMilliseconds;
        string[] removed = [];
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (true)
        {
            var page = await redis.Router.SendAsync(
                new Command(EvictScript, [members, evicted], [life, PageSize, .. removed.Select(static text => (RedisArg)text)]),
                ReplyParsers.TextArray,
                CommandOptions.Idempotent,
                cancellationToken
            );
            removed = [.. page.Select(static text => text!)];
            var names = removed.Where(static (_, i) => i % 2 == 0).ToList();
            // What comes again was stored anew since: begun after the eviction, or it would have been refused.
            if (!names.Exists(seen.Add))
                return;
            await redis.SendAsync(
                ["UNLINK", .. names.Select(static name => (RedisArg)name)],
                ReplyParsers.Ignore,
                CommandOptions.Idempotent,
                cancellationToken
            );
        }
    }

    private async ValueTask<PooledBytes> ReadAsync(string key, CancellationToken cancellationToken)
    {
        var asked = time.GetTimestamp();
        var found = await redis.Router.SendAsync(
            new Command(ReadScript, [NameOf(key)], []),
            Response,
            CommandOptions.Idempotent,
            cancellationToken
        );
        // A request may look for several; the making begins with the first that is not there.
        if (found.Response.IsNull)
            http.HttpContext?.Items.TryAdd(typeof(Beginning), new Beginning(found.Now, asked));
        return found.Response;
    }

    private async ValueTask WriteAsync(
        string key,
        ReadOnlyMemory<byte> value,
        ReadOnlyMemory<string> tags,
        TimeSpan validFor,
        CancellationToken cancellationToken
    )
    {
        if (value.Length > maxValueBytes)
        {
            throw new ArgumentException(
                $"A response of {value.Length} bytes is not stored; CacheOptions.MaxValueBytes allows {maxValueBytes}. Set OutputCacheOptions.MaximumBodySize below it."
            );
        }

        var name = NameOf(key);
        var life = Math.Max(1, (long)(validFor < family.MaxTtl ? validFor : family.MaxTtl).TotalMilliseconds);
        if (tags.IsEmpty)
        {
            await redis.SendAsync(["SET", name, value, "PX", life], ReplyParsers.Ignore, CommandOptions.None, cancellationToken);
            return;
        }

        var began = http.HttpContext?.Items.TryGetValue(typeof(Beginning), out var noted) == true ? noted as Beginning : null;
        var isForgotten = began is not null && time.GetElapsedTime(began.Asked) >= Remembered;
        // Before the first connection it is not known whether there is one server or many.
        await redis.WhenKnownAsync(cancellationToken);
        var tagNames = tags.ToArray().Distinct(StringComparer.Ordinal).Select(NamesOf).ToList();
        var stored =
            !isForgotten
            && (
                redis.Router is ClusterRouter
                    ? await WriteInPartsAsync(name, value, tagNames, life, began?.ServerMicroseconds ?? 0, cancellationToken)
                    : await WriteAtOnceAsync(name, value, tagNames, life, began?.ServerMicroseconds ?? 0, cancellationToken)
            );
        if (!stored)
            OutputCacheLog.Overtaken(logger, family.Family.Name);
    }

    private ValueTask<bool> WriteAtOnceAsync(
        string name,
        ReadOnlyMemory<byte> value,
        List<(string Members, string Evicted)> tags,
        long life,
        long began,
        CancellationToken cancellationToken
    ) =>
        redis.EvalAsync(
            WriteScript,
            [.. tags.SelectMany(static tag => new RedisArg[] { tag.Members, tag.Evicted }), name],
            [name, life, began, value],
            ReplyParsers.Boolean,
            cancellationToken
        );

    private async ValueTask<bool> WriteInPartsAsync(
        string name,
        ReadOnlyMemory<byte> value,
        List<(string Members, string Evicted)> tags,
        long life,
        long began,
        CancellationToken cancellationToken
    )
    {
        // Two servers, two clocks.
        if (began > 0)
            began = Math.Max(1, began - (long)clockSkew.TotalMicroseconds);
        var stored = false;
        try
        {
            await redis.SendAsync(["SET", name, value, "PX", life], ReplyParsers.Ignore, CommandOptions.None, cancellationToken);
            var entered = true;
            foreach (var (members, evicted) in tags)
                entered &= await redis.EvalAsync(
                    WriteScript,
                    [members, evicted],
                    [name, life, began],
                    ReplyParsers.Boolean,
                    cancellationToken
                );
            return stored = entered;
        }
        finally
        {
            // Also when the caller has gone: what no tag knows of could not be evicted.
            if (!stored)
                await redis.SendAsync(["UNLINK", name], ReplyParsers.Ignore, CommandOptions.Idempotent, CancellationToken.None);
        }
    }

    private string NameOf(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        return keyspace.WireName(new EntryKey(family.Family, key));
    }

    private (string Members, string Evicted) NamesOf(string tag)
    {
        var name = NameOf(tag);
        return (AuxiliaryName.Of(name, "t"), AuxiliaryName.Of(name, "e"));
    }

    /// <summary>When the making of a response began.</summary>
    /// <param name="ServerMicroseconds">By the server's clock.</param>
    /// <param name="Asked">By ours.</param>
    private sealed record Beginning(long ServerMicroseconds, long Asked);

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Found(PooledBytes Response, long Now);
}

/// <summary>What the output cache's store says.</summary>
internal static partial class OutputCacheLog
{
    [LoggerMessage(
        8200,
        LogLevel.Debug,
        "A response was made while one of its tags was evicted, or took too long to know; it is not stored under {Family}."
    )]
    public static partial void Overtaken(ILogger logger, string family);
}
