using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Backup;

/// <summary>What backup is to be made.</summary>
internal sealed record BackupTerms
{
    /// <summary>The connection string; <c>null</c> for the variable's.</summary>
    public string? Redis { get; init; }

    public required BackupScope Scope { get; init; }

    /// <summary>A file that is not there yet, or a folder.</summary>
    public required string Out { get; init; }

    public bool IsRdb { get; init; }

    /// <summary>The redis-server to prove it with; <c>null</c> for no proof.</summary>
    public string? Server { get; init; }

    public int? Keep { get; init; }

    public TimeSpan? KeepFor { get; init; }

    public bool AllowsEmpty { get; init; }
}

/// <summary>What was made.</summary>
/// <param name="Path">The file.</param>
/// <param name="Keys">How many keys it holds.</param>
/// <param name="Archive">Its description; <c>null</c> for an RDB.</param>
/// <param name="Footer">Its counts; <c>null</c> for an RDB.</param>
/// <param name="Proof">That it was proven; <c>null</c> where it was not asked for, or failed.</param>
/// <param name="Differences">Why the proof failed; empty where it did not.</param>
/// <param name="Removed">Older backups that went.</param>
internal sealed record BackupMade(
    string Path,
    long Keys,
    ArchiveHeader? Archive,
    ArchiveFooter? Footer,
    BackupProof? Proof,
    IReadOnlyList<string> Differences,
    IReadOnlyList<string> Removed
);

/// <summary>Makes a backup and proves it: the file has its name only when it is whole, and proven where that was asked for.</summary>
internal sealed class BackupMaker(BackupTerms terms, ToolOutput output)
{
    /// <summary>What a file's name ends with while it is written.</summary>
    public const string PartEnding = ".part";

    /// <summary>What its name ends with when the proof failed.</summary>
    public const string UnprovenEnding = ".unproven";

    /// <summary>Makes it.</summary>
    /// <exception cref="ToolException">It cannot be made, or is of no keys; nothing is left of it then.</exception>
    /// <exception cref="RedisException">The server does not answer, or refuses; likewise.</exception>
    public async Task<BackupMade> RunAsync(CancellationToken cancellationToken)
    {
        var scope = terms.Scope;
        var source = new BackupSource(scope.System, scope.Environment, terms.IsRdb ? "" : scope.Prefix, terms.IsRdb ? -1 : 0);
        var path = Directory.Exists(terms.Out) ? BackupFolder.NameFor(terms.Out, source, output.Time.GetUtcNow(), terms.IsRdb) : terms.Out;
        if (File.Exists(path))
            throw new ToolException($"there is a file {path} already: nothing is written over a backup.");
        var part = path + PartEnding;
        try
        {
            return terms.IsRdb
                ? await MakeRdbAsync(path, part, source, cancellationToken).ConfigureAwait(false)
                : await MakeArchiveAsync(path, part, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            File.Delete(part);
        }
    }

    private async Task<BackupMade> MakeArchiveAsync(string path, string part, CancellationToken cancellationToken)
    {
        var client = await BackupServers.ConnectAsync(terms.Redis, cancellationToken).ConfigureAwait(false);
        ArchiveHeader header;
        ArchiveFooter footer;
        await using (client.ConfigureAwait(false))
            (header, footer, _) = await output
                .ShowAsync(
                    "saving",
                    "keys",
                    progress =>
                        BackupServers.WhileConnectedAsync(
                            client,
                            token => new BackupRun(client, terms.Scope, progress).WriteAsync(part, token),
                            cancellationToken
                        ),
                    cancellationToken
                )
                .ConfigureAwait(false);
        RefuseEmpty(footer.Keys);
        var (proof, differences) = terms.Server is null
            ? (null, [])
            : await ProveAsync(part, terms.Server, output, cancellationToken).ConfigureAwait(false);
        path = Name(path, part, proof, differences);
        return new BackupMade(path, footer.Keys, header, footer, proof, differences, Retain(proof));
    }

    private async Task<BackupMade> MakeRdbAsync(string path, string part, BackupSource source, CancellationToken cancellationToken)
    {
        var client = await BackupServers.ConnectAsync(terms.Redis, cancellationToken).ConfigureAwait(false);
        long created;
        await using (client.ConfigureAwait(false))
        {
            created = output.Time.GetUtcNow().ToUnixTimeMilliseconds();
            await output
                .ShowAsync(
                    "taking the RDB",
                    "files",
                    async progress =>
                    {
                        await RdbFile.TakeAsync(client.Options, part, cancellationToken).ConfigureAwait(false);
                        return progress.Done;
                    },
                    cancellationToken
                )
                .ConfigureAwait(false);
        }

        if (terms.Server is null)
        {
            File.Move(part, path);
            return new BackupMade(path, -1, null, null, null, [], []);
        }

        var proof = await ProveRdbAsync(part, terms.Server, source, created, output, cancellationToken).ConfigureAwait(false);
        RefuseEmpty(proof.Keys);
        path = Name(path, part, proof, []);
        return new BackupMade(path, proof.Keys, null, null, proof, [], Retain(proof));
    }

    /// <summary>Proves an archive.</summary>
    /// <returns>The proof, or why there is none.</returns>
    public static Task<(BackupProof? Proof, IReadOnlyList<string> Differences)> ProveAsync(
        string path,
        string server,
        ToolOutput output,
        CancellationToken cancellationToken
    ) =>
        output.ShowAsync<(BackupProof?, IReadOnlyList<string>)>(
            "proving",
            "keys",
            async progress =>
            {
                using var archive = ArchiveReader.Open(path);
                var run = new ArchiveProof(server, progress, output.Time);
                var proof = await run.RunAsync(archive, cancellationToken).ConfigureAwait(false);
                return run.Different == 0
                    ? (proof, [])
                    : (
                        null,
                        [.. run.Differences, .. run.Different > run.Differences.Count ? [$"{run.Different} in all"] : Array.Empty<string>()]
                    );
            },
            cancellationToken
        );

    /// <summary>Proves an RDB: its checksums are right, and a server loads it.</summary>
    /// <exception cref="ToolException">It is broken, or of a newer version.</exception>
    public static async Task<BackupProof> ProveRdbAsync(
        string path,
        string server,
        BackupSource source,
        long createdAt,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var began = output.Time.GetTimestamp();
        var scratch = await RdbFile.LoadAsync(server, path, output.Time, cancellationToken).ConfigureAwait(false);
        await using (scratch.ConfigureAwait(false))
        {
            var info = await ServerInfo.ReadAsync(scratch.Client, cancellationToken).ConfigureAwait(false);
            return new BackupProof
            {
                Sum = RdbFile.SumOf(path),
                IsRdb = true,
                CreatedAt = createdAt,
                VerifiedAt = output.Time.GetUtcNow().ToUnixTimeMilliseconds(),
                VerifiedWith = scratch.Version,
                Seconds = output.Time.GetElapsedTime(began).TotalSeconds,
                Keys = info.Databases.Values.Sum(),
                Memory = await scratch.MemoryAsync(cancellationToken).ConfigureAwait(false),
                Source = source,
            };
        }
    }

    // One that was not proven keeps another name, so that nobody counts on it; it is not thrown away, for it may be all there is one day.
    private static string Name(string path, string part, BackupProof? proof, IReadOnlyList<string> differences)
    {
        if (differences.Count > 0)
            path += UnprovenEnding;
        proof?.Save(path);
        File.Move(part, path, overwrite: differences.Count > 0);
        return path;
    }

    private void RefuseEmpty(long keys)
    {
        if (keys == 0 && !terms.AllowsEmpty)
            throw new ToolException(
                "there is no key to save: a Redis that was restarted empty looks so, and such a backup would push out the good ones. If that is meant, add --allow-empty."
            );
    }

    private IReadOnlyList<string> Retain(BackupProof? proof)
    {
        if (proof is null || (terms.Keep is null && terms.KeepFor is null))
            return [];
        var surplus = BackupFolder.Surplus(
            BackupFolder.List(terms.Out),
            proof.Source,
            terms.IsRdb,
            terms.Keep,
            terms.KeepFor,
            output.Time.GetUtcNow()
        );
        foreach (var file in surplus)
            BackupFolder.Remove(file);
        return [.. surplus.Select(file => file.Path)];
    }
}
