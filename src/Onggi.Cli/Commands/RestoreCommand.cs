using System.CommandLine;
using Onggi.Cli.Backup;
using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi restore</c>: puts the keys of a backup into a Redis.</summary>
internal static class RestoreCommand
{
    public static Command Create(ToolOutput output)
    {
        var inputs = new RestoreInputs();
        var command = inputs.Add(
            new Command(
                "restore",
                "Puts the keys of an archive, or of an RDB, into a Redis: says what it would do, asks, restores with exact ends, and compares. Nothing is written before the whole backup has been read "
                    + "and the target has been asked. Keys that are there already are refused. Exit code 1 when something differs afterwards."
            )
        );
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var path = parsed.GetRequiredValue(inputs.File);
                if (!File.Exists(path))
                    throw new ToolException($"there is no file {path}.");
                if (ArchiveReader.IsArchive(path))
                    return await RestoreAsync(path, parsed, inputs, output, cancellationToken).ConfigureAwait(false);
                // What the rest can do with archives it can then do with an RDB, too.
                var folder = Directory.CreateTempSubdirectory("onggi-restore-");
                try
                {
                    var archive = Path.Combine(folder.FullName, "rdb" + BackupFolder.ArchiveEnding);
                    await ConvertAsync(path, archive, parsed, inputs, output, cancellationToken).ConfigureAwait(false);
                    return await RestoreAsync(archive, parsed, inputs, output, cancellationToken).ConfigureAwait(false);
                }
                finally
                {
                    folder.Delete(recursive: true);
                }
            }
        );
        return command;
    }

    private static async Task ConvertAsync(
        string rdb,
        string archive,
        ParseResult parsed,
        RestoreInputs inputs,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var program = ScratchServer.Find(parsed.GetValue(inputs.Server));
        var keyspace = Inputs.FindKeyspace(parsed.GetValue(inputs.Catalog), parsed.GetValue(inputs.Environment));
        var scratch = await RdbFile.LoadAsync(program, rdb, output.Time, cancellationToken).ConfigureAwait(false);
        await using (scratch.ConfigureAwait(false))
        {
            var database = parsed.GetValue(inputs.Database);
            var client = await scratch.ConnectAsync(database, cancellationToken).ConfigureAwait(false);
            await using (client.ConfigureAwait(false))
                await output
                    .ShowAsync(
                        "reading the RDB",
                        "keys",
                        progress =>
                            new BackupRun(client, new BackupScope(keyspace, null, ""), progress).WriteAsync(archive, cancellationToken),
                        cancellationToken
                    )
                    .ConfigureAwait(false);
        }
    }

    private static async Task<int> RestoreAsync(
        string path,
        ParseResult parsed,
        RestoreInputs inputs,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        using var archive = ArchiveReader.Open(path);
        var terms = inputs.Terms(archive, parsed);
        var whenThere = inputs.WhenThere(parsed);
        var client = await BackupServers.ConnectAsync(parsed.GetValue(inputs.Redis), cancellationToken).ConfigureAwait(false);
        await using (client.ConfigureAwait(false))
        {
            var run = new RestoreRun(archive, terms, client, whenThere);
            var counts = await output
                .ShowAsync("looking", "keys", progress => run.LookAsync(progress, cancellationToken), cancellationToken)
                .ConfigureAwait(false);
            var (json, keys) = (parsed.GetValue(inputs.Json), counts.Sum(count => count.Keys));
            if (!json)
                WriteCounts(counts, archive, output);
            var inTheWay = whenThere == Backup.WhenThere.Refuse ? counts.Sum(count => count.There) : 0;
            var onlyLook = parsed.GetValue(inputs.DryRun);
            if (inTheWay > 0 && !onlyLook)
                throw new ToolException($"{ThereAlready(inTheWay)} Nothing was written.");
            await CheckMemoryAsync(client, counts, archive, path, parsed.GetValue(inputs.IgnoreMemory), output, cancellationToken)
                .ConfigureAwait(false);
            if (onlyLook)
            {
                if (json)
                    WriteJson(counts, result: null, output);
                else
                    output.Text.WriteLine($"A dry run: nothing was written.{(inTheWay > 0 ? $" {ThereAlready(inTheWay)}" : "")}");
                return inTheWay > 0 ? OnggiTool.Wrong : OnggiTool.Ok;
            }

            var question = $"{BackupReports.Count(keys)} keys are restored to {client.Options}.";
            if (!parsed.GetValue(inputs.Yes))
                await output.NeedYesAsync(question, "restore", "--yes", "nothing was restored", cancellationToken).ConfigureAwait(false);
            await WriteAsync(run, keys, output, cancellationToken).ConfigureAwait(false);
            if (json)
                WriteJson(counts, run.Result, output);
            else
                WriteResult(run.Result, output);
            return run.IsWell ? OnggiTool.Ok : OnggiTool.Wrong;
        }
    }

    private static string ThereAlready(long keys) =>
        $"{BackupReports.Count(keys)} of these keys are there already: --replace replaces them, --keep-existing leaves them as they are, --prefix-to gives the restored ones other names.";

    private static async Task WriteAsync(RestoreRun run, long keys, ToolOutput output, CancellationToken cancellationToken)
    {
        try
        {
            await output
                .ShowAsync("restoring", "keys", progress => run.WriteAsync(progress, keys, cancellationToken), cancellationToken)
                .ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is RedisException or OperationCanceledException or ToolException)
        {
            await output
                .Error.WriteLineAsync(
                    $"{BackupReports.Count(run.Result.Restored)} of {BackupReports.Count(keys)} keys were restored for certain. The same command goes on with --keep-existing (or with --replace, from the beginning)."
                )
                .ConfigureAwait(false);
            throw;
        }
    }

    private static async Task CheckMemoryAsync(
        RedisClient client,
        IReadOnlyList<RestoreCount> counts,
        ArchiveReader archive,
        string path,
        bool ignore,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var info = await ServerInfo.ReadAsync(client, cancellationToken).ConfigureAwait(false);
        if (info.Count("maxmemory") is not { } limit || limit == 0)
            return;
        var proof = BackupProof.Load(path) is { } stands && stands.Sum == archive.Sum ? stands : null;
        var needed = RestoreRun.MemoryFor(counts.Sum(count => count.Bytes), archive.Footer, proof);
        var room = Math.Max(0, limit - (info.Count("used_memory") ?? 0));
        if (needed > room && !ignore)
            throw new ToolException(
                $"the target has room for {Words.Size(room)}, and the keys take about {Words.Size(needed)}. Nothing was written. Raise maxmemory, restore fewer families (--family), or add --ignore-memory if you know better."
            );
        if (info["maxmemory_policy"] is { } policy && policy != "noeviction")
            await output
                .Error.WriteLineAsync($"warning: the target evicts ({policy}): what is restored may be evicted when it is full.")
                .ConfigureAwait(false);
    }

    private static void WriteCounts(IReadOnlyList<RestoreCount> counts, ArchiveReader archive, ToolOutput output)
    {
        var table = ToolOutput.Table("family", "kind", "keys", "size", "there already", "ended since", "left out", "for example");
        foreach (var count in counts.OrderBy(count => count.Family, StringComparer.Ordinal))
            table.AddRow(
                Markup.Escape(count.Family),
                Markup.Escape(count.Kind),
                BackupReports.Count(count.Keys),
                Words.Size(count.Bytes),
                BackupReports.Count(count.There),
                BackupReports.Count(count.Ended),
                BackupReports.Count(count.LeftOut),
                Markup.Escape(count.Sample ?? Words.None)
            );
        output.Console.Write(table);
        var age = output.Time.GetUtcNow() - DateTimeOffset.FromUnixTimeMilliseconds(archive.Header.CreatedAt);
        output.Text.WriteLine(
            $"From {archive.Header.Product} {archive.Header.Version}, {Words.Time(TimeSpan.FromSeconds(Math.Max(0, (long)age.TotalSeconds)))} old."
        );
        if (counts.Any(count => count is { Kind: "cache", Keys: > 0 }))
            output.Text.WriteLine("Caches among them are as old as the backup: rather leave them out (--no-caches) and warm them.");
    }

    private static void WriteResult(RestoreResult result, ToolOutput output)
    {
        output.Text.WriteLine(
            $"{BackupReports.Count(result.Restored)} keys were restored and compared{(result.Kept > 0 ? $"; {BackupReports.Count(result.Kept)} were there already and stayed" : "")}{(result.Ended > 0 ? $"; {BackupReports.Count(result.Ended)} had ended since the backup" : "")}."
        );
        foreach (var difference in result.Differences)
            output.Text.WriteLine($"differs: {difference}");
        output.Text.WriteLine(
            result.Different == 0
                ? "All are equal: values, and ends to the millisecond."
                : $"{BackupReports.Count(result.Different)} differ: somebody writes them already, or they were evicted."
        );
    }

    private static void WriteJson(IReadOnlyList<RestoreCount> counts, RestoreResult? result, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("families");
            foreach (var count in counts)
            {
                json.WriteStartObject();
                json.WriteString("family", count.Family);
                json.WriteNumber("keys", count.Keys);
                json.WriteNumber("bytes", count.Bytes);
                json.WriteNumber("there", count.There);
                json.WriteNumber("ended", count.Ended);
                json.WriteNumber("leftOut", count.LeftOut);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            if (result is not null)
            {
                json.WriteNumber("restored", result.Restored);
                json.WriteNumber("kept", result.Kept);
                json.WriteNumber("ended", result.Ended);
                json.WriteNumber("different", result.Different);
            }

            json.WriteEndObject();
        });

    /// <summary>What it takes.</summary>
    private sealed class RestoreInputs
    {
        private readonly Option<string?> _from = new("--prefix-from")
        {
            Description = "Only keys that begin so, auxiliary ones behind their brace.",
            HelpName = "PREFIX",
        };

        private readonly Option<string?> _to = new("--prefix-to")
        {
            Description = "What they begin with when they are restored. Names inside of values stay as they are.",
            HelpName = "PREFIX",
        };

        private readonly Option<string[]> _families = new("--family", "-f")
        {
            Description = "Only keys of this family; may stand several times.",
            HelpName = "NAME",
            DefaultValueFactory = _ => [],
        };

        private readonly Option<bool> _noCaches = new("--no-caches")
        {
            Description = "Leaves out families of kind cache: they are loaded again.",
        };

        private readonly Option<bool> _system = new("--with-system")
        {
            Description =
                "Restores Onggi's own keys (PREFIXonggi:…), too. They belong to the life of a server, so they are left out otherwise.",
        };

        private readonly Option<bool> _replace = new("--replace") { Description = "Replaces keys that are there already." };

        private readonly Option<bool> _keep = new("--keep-existing")
        {
            Description = "Leaves keys that are there already as they are. So a restore that was stopped goes on.",
        };

        public Argument<string> File { get; } = new("FILE") { Description = "An archive or an RDB." };

        public Option<string?> Redis { get; } = Inputs.Redis();

        public Option<string?> Catalog { get; } = Inputs.Catalog("It is needed for the families of an RDB; an archive has its own.");

        public Option<string?> Environment { get; } = Inputs.Environment();

        public Option<int> Database { get; } =
            new("--rdb-database")
            {
                Description = "Of an RDB, restores this database.",
                HelpName = "NUMBER",
                DefaultValueFactory = _ => 0,
            };

        public Option<bool> DryRun { get; } = new("--dry-run") { Description = "Says what it would do, and does not." };

        public Option<bool> IgnoreMemory { get; } =
            new("--ignore-memory") { Description = "Restores although there seems to be too little room." };

        public Option<bool> Yes { get; } = Inputs.Yes("Restores");

        public Option<string?> Server { get; } = BackupCommands.Server();

        public Option<bool> Json { get; } = Inputs.Json();

        public Command Add(Command command)
        {
            command.Arguments.Add(File);
            foreach (
                var option in (Option[])
                    [
                        Redis,
                        _from,
                        _to,
                        _families,
                        _noCaches,
                        _system,
                        _replace,
                        _keep,
                        DryRun,
                        Yes,
                        IgnoreMemory,
                        Catalog,
                        Environment,
                        Database,
                        Server,
                        Json,
                    ]
            )
                command.Options.Add(option);
            Inputs.Bound(Database, 0, 1023);
            command.Validators.Add(result =>
            {
                if (result.GetValue(_replace) && result.GetValue(_keep))
                    result.AddError("--replace and --keep-existing: one of them.");
            });
            return command;
        }

        public RestoreTerms Terms(ArchiveReader archive, ParseResult parsed)
        {
            var (from, to) = (parsed.GetValue(_from), parsed.GetValue(_to));
            if (to is not null && string.IsNullOrEmpty(from))
                from = archive.Header.Prefix;
            if (to is not null && from!.Length == 0)
                throw new ToolException("the backup is of all keys: say with --prefix-from which of them --prefix-to is for.");
            return new RestoreTerms(
                archive,
                from,
                to,
                parsed.GetValue(_families) ?? [],
                withCaches: !parsed.GetValue(_noCaches),
                withSystem: parsed.GetValue(_system)
            );
        }

        public WhenThere WhenThere(ParseResult parsed) =>
            parsed.GetValue(_replace) ? Backup.WhenThere.Replace
            : parsed.GetValue(_keep) ? Backup.WhenThere.Keep
            : Backup.WhenThere.Refuse;
    }
}
