using System.Globalization;
using System.Security.Cryptography;
using Onggi.Cli.Migration;
using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Backup;

/// <summary>Writes the keys of a server into an archive. Reads only.</summary>
/// <remarks>
/// Each key is as it was at one moment; the moments of two keys lie apart, between the beginning and the end. By SCAN's guarantee every key is in it that was there all the time; one that was
/// made or removed meanwhile may be in it or not. A server that is another one at the end (restarted, failed over) has not kept that guarantee, and the archive is refused.
/// </remarks>
/// <param name="client">The source.</param>
/// <param name="scope">Which keys.</param>
/// <param name="progress">How far it has come.</param>
internal sealed class BackupRun(RedisClient client, BackupScope scope, ToolProgress progress)
{
    private const int PageKeys = 512;
    private const int Lanes = 3;

    private readonly HashSet<UInt128> _seen = [];
    private long _named;

    /// <summary>Makes the archive.</summary>
    /// <returns>Its footer and the sum that stands for it.</returns>
    /// <exception cref="RedisException">The server does not answer, or refuses.</exception>
    /// <exception cref="ToolException">The server was restarted or failed over meanwhile; or a key cannot be read.</exception>
    public async Task<(ArchiveHeader Header, ArchiveFooter Footer, string Sum)> WriteAsync(string path, CancellationToken cancellationToken)
    {
        var before = await ServerInfo.ReadAsync(client, cancellationToken).ConfigureAwait(false);
        if (before["cluster_enabled"] == "1")
            throw new ToolException("this is a node of a cluster, which holds a part of the keys only: clusters are not supported.");
        var header = new ArchiveHeader
        {
            CreatedAt = await client.NowAsync(cancellationToken).ConfigureAwait(false),
            Product = client.Server?.Product ?? "redis",
            Version = before["valkey_version"] ?? before["redis_version"] ?? "",
            Database = client.Options.Database,
            Prefix = scope.Prefix,
            System = scope.System,
            Environment = scope.Environment,
            Catalog = scope.Catalog,
            SourceMemory = before.Count("used_memory") ?? 0,
            SourceKeys = before.Databases.Values.Sum(),
        };
        progress.Expect(before.Databases.GetValueOrDefault(header.Database));
        using var writer = new ArchiveWriter(path, header);
        await CopyAsync(writer, cancellationToken).ConfigureAwait(false);
        var after = await ServerInfo.ReadAsync(client, cancellationToken).ConfigureAwait(false);
        if (after.RunId != before.RunId)
            throw new ToolException("Redis was restarted or failed over meanwhile: what was read is not all there was. Begin again.");
        var now = await client.NowAsync(cancellationToken).ConfigureAwait(false);
        return (header, writer.Finish(scope.Families, now, _named - writer.Tally.Keys), writer.Sum);
    }

    private async Task CopyAsync(ArchiveWriter writer, CancellationToken cancellationToken)
    {
        var reader = new KeyReader(client);
        var lanes = new Queue<Task<List<KeyRecord>>>();
        var cursor = "0";
        do
        {
            RedisArg[] scan = ["SCAN", cursor, "COUNT", PageKeys];
            var page = await client.SendAsync(scan, ScanPage.Parser, cancellationToken).ConfigureAwait(false);
            cursor = page.Cursor;
            var keys = page.Items.OfType<byte[]>().Where(IsNew).ToList();
            progress.Add(page.Items.Length - keys.Count);
            lanes.Enqueue(reader.ReadAsync(keys, cancellationToken));
            if (lanes.Count > Lanes)
                await WriteAsync(lanes.Dequeue()).ConfigureAwait(false);
        } while (cursor != "0");
        while (lanes.TryDequeue(out var lane))
            await WriteAsync(lane).ConfigureAwait(false);

        async Task WriteAsync(Task<List<KeyRecord>> reading)
        {
            var records = await reading.ConfigureAwait(false);
            foreach (var record in records)
                writer.Add(record with { Family = scope.FamilyOf(record.Key) });
            progress.Add(records.Count);
        }
    }

    // SCAN may name a key twice. Half a SHA-256 stands for its name: the name itself would take several times the memory.
    private bool IsNew(byte[] key)
    {
        if (!scope.Holds(key))
            return false;
        Span<byte> digest = stackalloc byte[32];
        SHA256.HashData(key, digest);
        if (!_seen.Add(System.Buffers.Binary.BinaryPrimitives.ReadUInt128LittleEndian(digest)))
            return false;
        _named++;
        return true;
    }
}

/// <summary>The clock of a server.</summary>
internal static class ServerClock
{
    extension(RedisClient client)
    {
        /// <summary>Milliseconds since 1970.</summary>
        public async Task<long> NowAsync(CancellationToken cancellationToken)
        {
            var parts = await client.SendAsync(["TIME"], ReplyParsers.TextArray, cancellationToken).ConfigureAwait(false);
            return (long.Parse(parts[0]!, CultureInfo.InvariantCulture) * 1000)
                + (long.Parse(parts[1]!, CultureInfo.InvariantCulture) / 1000);
        }
    }
}
