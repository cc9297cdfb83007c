using System.CommandLine;
using System.Globalization;
using Onggi.Cli.Backup;
using Onggi.Cli.Output;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi backup …</c>: makes backups that are proven, and looks after them.</summary>
internal static class BackupCommands
{
    public static Command Create(ToolOutput output) =>
        new(
            "backup",
            "Makes backups of the keys, and proves each by restoring it into a scratch redis-server and comparing every key. docs/operations/backup.md says what is in one and what is not."
        )
        {
            Make(output),
            Verify(output),
            List(output),
            Metrics(output),
        };

    /// <summary>The redis-server that proves backups.</summary>
    public static Option<string?> Server() =>
        new("--redis-server")
        {
            Description =
                $"The redis-server that proves the backup; otherwise the variable {ScratchServer.Variable}, otherwise redis-server on the PATH.",
            HelpName = "PATH",
        };

    private static Command Make(ToolOutput output)
    {
        var inputs = new MakeInputs();
        var command = inputs.Add(
            new Command(
                "create",
                "Saves the keys of the catalog's prefix, or all, into an archive, and proves it. It only reads. Each key is as it was at one moment, all of them between beginning and end; "
                    + "with --rdb all are of the same moment. Exit code 1 when the proof finds a difference: the file ends in .unproven then."
            )
        );
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var terms = inputs.Terms(parsed);
                var made = await new BackupMaker(terms, output).RunAsync(cancellationToken).ConfigureAwait(false);
                if (parsed.GetValue(inputs.Json))
                    BackupReports.WriteJson(made, output);
                else
                    BackupReports.Write(made, terms, output);
                return made.Differences.Count == 0 ? OnggiTool.Ok : OnggiTool.Wrong;
            }
        );
        return command;
    }

    private static Command Verify(ToolOutput output)
    {
        var file = new Argument<string>("FILE") { Description = "An archive or an RDB." };
        var (server, json) = (Server(), Inputs.Json());
        var command = new Command(
            "verify",
            "Proves a backup again: restores it into a scratch redis-server and compares every key. Asks no other server. Exit code 1 when it is broken or something differs."
        )
        {
            file,
            server,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var (path, program) = (parsed.GetRequiredValue(file), ScratchServer.Find(parsed.GetValue(server)));
                if (!File.Exists(path))
                    throw new ToolException($"there is no file {path}.");
                var (proof, problems) = await ProveAsync(path, program, output, cancellationToken).ConfigureAwait(false);
                if (proof is null)
                    File.Delete(path + BackupProof.Ending);
                else
                    proof.Save(path);
                if (parsed.GetValue(json))
                    BackupReports.WriteJson(path, proof, problems, output);
                else
                    BackupReports.Write(path, proof, problems, output);
                return proof is null ? OnggiTool.Wrong : OnggiTool.Ok;
            }
        );
        return command;
    }

    private static async Task<(BackupProof? Proof, IReadOnlyList<string> Problems)> ProveAsync(
        string path,
        string program,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        try
        {
            if (ArchiveReader.IsArchive(path))
                return await BackupMaker.ProveAsync(path, program, output, cancellationToken).ConfigureAwait(false);
            var known = BackupProof.Load(path);
            var written = new DateTimeOffset(File.GetLastWriteTimeUtc(path)).ToUnixTimeMilliseconds();
            var proof = await BackupMaker
                .ProveRdbAsync(
                    path,
                    program,
                    known?.Source ?? new BackupSource("", "", "", -1),
                    known?.CreatedAt ?? written,
                    output,
                    cancellationToken
                )
                .ConfigureAwait(false);
            return (proof, []);
        }
        catch (BrokenBackupException problem)
        {
            return (null, [problem.Message]);
        }
    }

    private static Command List(ToolOutput output)
    {
        var (folder, json) = (Folder(), Inputs.Json());
        var command = new Command(
            "list",
            "Lists the backups of a folder: age, size, keys, and when each was last proven. Exit code 1 when none is proven, or one is broken."
        )
        {
            folder,
            json,
        };
        command.SetAction(parsed =>
        {
            var files = BackupFolder.List(parsed.GetRequiredValue(folder));
            if (parsed.GetValue(json))
                BackupReports.WriteJson(files, output);
            else
                BackupReports.Write(files, output);
            return files.Any(file => file.IsVerified) && files.All(file => file.Problem is null) ? OnggiTool.Ok : OnggiTool.Wrong;
        });
        return command;
    }

    private static Command Metrics(ToolOutput output)
    {
        var folder = Folder();
        var file = new Option<string?>("--out", "-o")
        {
            Description = "The file to write, whole or not at all, for a textfile collector; standard output otherwise.",
            HelpName = "FILE",
        };
        var command = new Command(
            "metrics",
            "Writes what Prometheus is to know of a folder's backups: when the last proven one was begun, its size, its keys."
        )
        {
            folder,
            file,
        };
        command.SetAction(parsed =>
        {
            var text = BackupFolder.Metrics(BackupFolder.List(parsed.GetRequiredValue(folder)));
            if (parsed.GetValue(file) is not { } name)
            {
                output.Text.Write(text);
                return OnggiTool.Ok;
            }

            System.IO.File.WriteAllText(name + ".new", text);
            System.IO.File.Move(name + ".new", name, overwrite: true);
            return OnggiTool.Ok;
        });
        return command;
    }

    private static Argument<string> Folder() => new("DIR") { Description = "The folder of the backups." };

    /// <summary>What create takes.</summary>
    private sealed class MakeInputs
    {
        private readonly Option<string?> _redis = Inputs.Redis();
        private readonly Option<string?> _catalog = Inputs.Catalog("Without one, all keys are saved, and have no families.");
        private readonly Option<string?> _environment = Inputs.Environment();

        private readonly Option<string> _out = new("--out", "-o")
        {
            Description = "The file to write, or a folder, where it gets a name of its own.",
            HelpName = "FILE",
            Required = true,
        };

        private readonly Option<string?> _prefix = new("--prefix")
        {
            Description = "Saves the keys that begin so; otherwise those of the catalog's prefix.",
            HelpName = "PREFIX",
        };

        private readonly Option<bool> _all = new("--all") { Description = "Saves all keys of the database, whatever the catalog says." };

        private readonly Option<bool> _rdb = new("--rdb")
        {
            Description =
                "Takes an RDB instead: all keys of all databases at one moment, by the replication stream (redis-cli --rdb). The server forks for it.",
        };

        private readonly Option<bool> _noVerify = new("--no-verify")
        {
            Description = "Does not prove it. Prove it elsewhere: onggi backup verify.",
        };
        private readonly Option<string?> _server = Server();

        private readonly Option<int?> _keep = new("--keep")
        {
            Description = "Of the folder's backups of these keys, keeps the newest so many proven ones, once this one is proven.",
            HelpName = "COUNT",
        };

        private readonly Option<int?> _keepDays = new("--keep-days")
        {
            Description = "Removes those that are older. The newest proven one always stays.",
            HelpName = "DAYS",
        };

        private readonly Option<bool> _empty = new("--allow-empty") { Description = "Saves also where there is no key." };

        public Option<bool> Json { get; } = Inputs.Json();

        public Command Add(Command command)
        {
            foreach (
                var option in (Option[])
                    [_redis, _catalog, _environment, _out, _prefix, _all, _rdb, _noVerify, _server, _keep, _keepDays, _empty, Json]
            )
                command.Options.Add(option);
            command.Validators.Add(result =>
            {
                if (result.GetValue(_all) && result.GetValue(_prefix) is not null)
                    result.AddError("--all and --prefix: one of them.");
                if (result.GetValue(_rdb) && (result.GetValue(_all) || result.GetValue(_prefix) is not null))
                    result.AddError("--rdb takes all keys of all databases: leave --all and --prefix away.");
                foreach (var (name, value) in new[] { ("--keep", result.GetValue(_keep)), ("--keep-days", result.GetValue(_keepDays)) })
                {
                    if (value is < 1)
                        result.AddError($"{name} is 1 or more, not {value.Value.ToString(CultureInfo.InvariantCulture)}.");
                    if (value is not null && result.GetValue(_noVerify))
                        result.AddError($"{name} with --no-verify: only a proven backup pushes older ones out.");
                }
            });
            return command;
        }

        public BackupTerms Terms(ParseResult parsed)
        {
            var (file, environment) = (parsed.GetValue(_catalog), parsed.GetValue(_environment));
            file ??= File.Exists(Inputs.DefaultCatalog) ? Inputs.DefaultCatalog : null;
            var keyspace = Inputs.FindKeyspace(file, environment);
            var prefix = parsed.GetValue(_all) || parsed.GetValue(_rdb) ? "" : parsed.GetValue(_prefix) ?? keyspace?.Prefix ?? "";
            var (keep, days, path) = (parsed.GetValue(_keep), parsed.GetValue(_keepDays), parsed.GetRequiredValue(_out));
            if ((keep ?? days) is not null && !Directory.Exists(path))
                throw new ToolException($"--keep and --keep-days need a folder, and {path} is none.");
            return new BackupTerms
            {
                Redis = parsed.GetValue(_redis),
                Scope = new BackupScope(keyspace, file is null ? null : Inputs.ReadCatalog(file), prefix),
                Out = path,
                IsRdb = parsed.GetValue(_rdb),
                // Looked for first: to find out after an hour that there is none would be late.
                Server = parsed.GetValue(_noVerify) ? null : ScratchServer.Find(parsed.GetValue(_server)),
                Keep = keep,
                KeepFor = days is { } most ? TimeSpan.FromDays(most) : null,
                AllowsEmpty = parsed.GetValue(_empty),
            };
        }
    }
}
