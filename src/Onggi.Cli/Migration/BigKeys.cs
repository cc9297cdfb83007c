using System.Globalization;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>Keys too large to be handed over in one piece: neither side may stand still for one of them. They are put together under a name of ours and then renamed.</summary>
/// <remarks>A key that is written meanwhile may come out as none of its states; the tracker names it then, and it is copied again. Streams, and values of kinds unknown here, go whole.</remarks>
internal sealed class BigKeys(MigrationRules rules)
{
    /// <summary>From how many bytes in memory a key is big.</summary>
    public const long Threshold = 8 << 20;

    private const int PieceBytes = 1 << 20;
    private const int PieceElements = 1000;

    // What is put together and then left behind by a killed run ends by itself.
    private static readonly TimeSpan LeftOver = TimeSpan.FromHours(1);
    private static readonly Version FieldsEnd = new(7, 4);

    private readonly Lock _gate = new();

    // Guarded by the gate.
    private readonly HashSet<(int Database, KeyName Key)> _keys = [];
    private long _parts;

    public int Count
    {
        get
        {
            lock (_gate)
                return _keys.Count;
        }
    }

    public IReadOnlyList<(int Database, KeyName Key)> All
    {
        get
        {
            lock (_gate)
                return [.. _keys];
        }
    }

    public void Add(int database, KeyName key)
    {
        lock (_gate)
            _keys.Add((database, key));
    }

    public bool Holds(KeyMove move)
    {
        lock (_gate)
            return _keys.Count > 0 && _keys.Contains((move.SourceDatabase, move.Source));
    }

    /// <summary>Copies one; <c>false</c> where it is gone, and then it is gone at the target too.</summary>
    public async Task<bool> CopyAsync(RedisClient source, Pipeline writer, KeyMove move, CancellationToken cancellationToken)
    {
        try
        {
            return await CopyPiecesAsync(source, writer, move, cancellationToken).ConfigureAwait(false);
        }
        catch (RedisServerException refused) when (refused.Code == "WRONGTYPE")
        {
            // It has become another type meanwhile: it is named as changed, and copied again.
            return true;
        }
    }

    private async Task<bool> CopyPiecesAsync(RedisClient source, Pipeline writer, KeyMove move, CancellationToken cancellationToken)
    {
        var part = $"{rules.EpochKey}:part:{Interlocked.Increment(ref _parts).ToString(CultureInfo.InvariantCulture)}";
        await writer.SendAsync(["UNLINK", part], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        var type = await source.SendAsync(["TYPE", move.Source.Bytes], ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
        var copied = type switch
        {
            "string" => await CopyTextAsync(source, writer, move.Source, part, cancellationToken).ConfigureAwait(false),
            "hash" when source.Server?.Version is not { } version || version < FieldsEnd => await CopyScannedAsync(
                    source,
                    writer,
                    "HSCAN",
                    "HSET",
                    move.Source,
                    part,
                    cancellationToken
                )
                .ConfigureAwait(false),
            "set" => await CopyScannedAsync(source, writer, "SSCAN", "SADD", move.Source, part, cancellationToken).ConfigureAwait(false),
            "zset" => await CopyScannedAsync(source, writer, "ZSCAN", "ZADD", move.Source, part, cancellationToken).ConfigureAwait(false),
            "list" => await CopyListAsync(source, writer, move.Source, part, cancellationToken).ConfigureAwait(false),
            "none" => false,
            _ => await CopyWholeAsync(source, writer, move.Source, part, cancellationToken).ConfigureAwait(false),
        };
        var ends = await source.SendAsync(["PEXPIRETIME", move.Source.Bytes], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        if (!copied || ends == -2)
        {
            await writer.SendAsync(["UNLINK", move.Target.Bytes, part], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
            return false;
        }

        RedisArg[] end = ends >= 0 ? ["PEXPIREAT", part, ends] : ["PERSIST", part];
        await writer.SendAsync(end, ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);
        // Its end may have come just now: then there is nothing to rename, and nothing may be left under the name.
        if (await writer.SendAsync(["EXISTS", part], ReplyParsers.Boolean, cancellationToken).ConfigureAwait(false))
            await writer.SendAsync(["RENAME", part, move.Target.Bytes], ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);
        else
            await writer.SendAsync(["UNLINK", move.Target.Bytes], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        return true;
    }

    private static async Task<bool> CopyTextAsync(
        RedisClient source,
        Pipeline writer,
        KeyName key,
        string part,
        CancellationToken cancellationToken
    )
    {
        for (var at = 0L; ; at += PieceBytes)
        {
            using var piece = await source
                .SendAsync(
                    ["GETRANGE", key.Bytes, at, at + PieceBytes - 1],
                    ReplyParsers.PooledBytes,
                    CommandOptions.Bulk,
                    cancellationToken
                )
                .ConfigureAwait(false);
            if (piece.Length == 0)
                return at > 0;
            await writer.SendAsync(["APPEND", part, piece.Memory], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
            if (at == 0)
                await EndLaterAsync(writer, part, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<bool> CopyListAsync(
        RedisClient source,
        Pipeline writer,
        KeyName key,
        string part,
        CancellationToken cancellationToken
    )
    {
        for (var at = 0; ; at += PieceElements)
        {
            var piece = await source
                .SendAsync(
                    ["LRANGE", key.Bytes, at, at + PieceElements - 1],
                    ReplyParsers.BytesArray,
                    CommandOptions.Bulk,
                    cancellationToken
                )
                .ConfigureAwait(false);
            if (piece.Length == 0)
                return at > 0;
            await AddAsync(writer, "RPUSH", part, piece, pairs: false, cancellationToken).ConfigureAwait(false);
            if (at == 0)
                await EndLaterAsync(writer, part, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<bool> CopyScannedAsync(
        RedisClient source,
        Pipeline writer,
        string scan,
        string add,
        KeyName key,
        string part,
        CancellationToken cancellationToken
    )
    {
        var (cursor, any) = ("0", false);
        do
        {
            var page = await source
                .SendAsync([scan, key.Bytes, cursor, "COUNT", PieceElements], ScanPage.Parser, CommandOptions.Bulk, cancellationToken)
                .ConfigureAwait(false);
            cursor = page.Cursor;
            if (page.Items.Length == 0)
                continue;
            // ZSCAN says member and score, ZADD wants them the other way round.
            if (add == "ZADD")
            {
                for (var i = 0; i + 1 < page.Items.Length; i += 2)
                    (page.Items[i], page.Items[i + 1]) = (page.Items[i + 1], page.Items[i]);
            }

            await AddAsync(writer, add, part, page.Items, add != "SADD", cancellationToken).ConfigureAwait(false);
            if (!any)
                await EndLaterAsync(writer, part, cancellationToken).ConfigureAwait(false);
            any = true;
        } while (cursor != "0");
        return any;
    }

    private static async Task<bool> CopyWholeAsync(
        RedisClient source,
        Pipeline writer,
        KeyName key,
        string part,
        CancellationToken cancellationToken
    )
    {
        using var dump = await source
            .SendAsync(["DUMP", key.Bytes], ReplyParsers.PooledBytes, CommandOptions.Bulk, cancellationToken)
            .ConfigureAwait(false);
        if (dump.IsNull)
            return false;
        await writer
            .SendAsync(["RESTORE", part, (long)LeftOver.TotalMilliseconds, dump.Memory, "REPLACE"], ReplyParsers.Ignore, cancellationToken)
            .ConfigureAwait(false);
        return true;
    }

    private static async Task AddAsync(
        Pipeline writer,
        string command,
        string part,
        byte[]?[] elements,
        bool pairs,
        CancellationToken cancellationToken
    )
    {
        // Elements may be large themselves: a command holds no more than a piece, or one element.
        var step = pairs ? 2 : 1;
        for (var at = 0; at < elements.Length; )
        {
            var words = new List<RedisArg> { command, part };
            for (var bytes = 0; at < elements.Length && (bytes == 0 || bytes < PieceBytes); )
            {
                for (var i = 0; i < step; i++)
                {
                    words.Add(elements[at]!);
                    bytes += 1 + elements[at++]!.Length;
                }
            }

            await writer.SendAsync([.. words], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task EndLaterAsync(Pipeline writer, string part, CancellationToken cancellationToken) =>
        await writer
            .SendAsync(["PEXPIRE", part, (long)LeftOver.TotalMilliseconds], ReplyParsers.Int64, cancellationToken)
            .ConfigureAwait(false);
}

/// <summary>A page of SCAN and its kin, as bytes.</summary>
internal sealed record ScanPage(string Cursor, byte[]?[] Items)
{
    public static readonly ReplyParser<ScanPage> Parser = static (ref reader) =>
    {
        reader.Read();
        var cursor = reader.ReadString()!;
        reader.Read();
        return new ScanPage(cursor, ReplyParsers.BytesArray(ref reader));
    };
}
