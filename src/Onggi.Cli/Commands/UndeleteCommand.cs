using System.CommandLine;
using System.Globalization;
using Onggi.Cli.Operations.Deleting;
using Onggi.Cli.Output;
using Onggi.Keys;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi undelete</c>: puts the keys of an undo bundle back.</summary>
internal static class UndeleteCommand
{
    public static Command Create(ToolOutput output)
    {
        var file = new Argument<string>("FILE") { Description = "What onggi delete --undo wrote." }.NoOption();
        var redis = Inputs.Redis();
        var catalog = Inputs.Catalog("Without one, cached values are not told from others, and are put back, too.");
        var environment = Inputs.Environment();
        var replace = new Option<bool>("--replace")
        {
            Description = "Overwrites keys that were written meanwhile; otherwise they stay as they are.",
        };
        var caches = new Option<bool>("--caches")
        {
            Description = "Puts cached values back, too, although their source may have newer ones by now.",
        };
        var yes = Inputs.Yes("Overwrites, or puts keys of another database here,");
        var json = Inputs.Json();
        var command = new Command(
            "undelete",
            "Puts back what onggi delete --undo has saved: values, types and the moments at which keys end. Keys that exist stay. Exit code 1 when not all could be put back."
        )
        {
            file,
            redis,
            catalog,
            environment,
            replace,
            caches,
            yes,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var path = parsed.GetRequiredValue(file);
                var keyspace = parsed.GetValue(caches) ? null : Inputs.FindKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var bundle = Open(path);
                await using (bundle.ConfigureAwait(false))
                {
                    var header = UndoBundle.ReadHeader(bundle, path);
                    var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                    await using (client.ConfigureAwait(false))
                    {
                        if (header.Database != client.Options.Database && !parsed.GetValue(yes))
                            throw new ToolException(
                                $"{path} holds keys of database {Number(header.Database)} ({header.Redis}), and this is database {Number(client.Options.Database)}. Add defaultDatabase={Number(header.Database)} to the connection string; or --yes, if they are to go here."
                            );
                        var question =
                            $"{path}: {header.Subject} of {header.Redis}, removed from {header.Began:u} on. At {Words.Place(client.Options)} keys of the same names will be overwritten.";
                        if (parsed.GetValue(replace) && !parsed.GetValue(yes))
                            await output
                                .NeedYesAsync(question, "replace", "--yes", "nothing was put back", cancellationToken)
                                .ConfigureAwait(false);
                        var undeleter = new Undeleter(client, keyspace, parsed.GetValue(replace), output.Time);
                        var result = await output
                            .ShowAsync(
                                "restoring",
                                "bytes",
                                progress => undeleter.RunAsync(bundle, progress, cancellationToken),
                                cancellationToken
                            )
                            .ConfigureAwait(false);
                        return Write(result, path, parsed.GetValue(json), output);
                    }
                }
            }
        );
        return command;
    }

    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 20);
        }
        catch (Exception problem) when (problem is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ToolException($"there is no file {path}. Name what onggi delete --undo wrote.");
        }
    }

    private static int Write(UndoResult result, string path, bool asJson, ToolOutput output)
    {
        if (asJson)
            WriteJson(result, output);
        else
            WriteText(result, path, output);
        return result is { Existing: 0, Refused: 0, IsWhole: true } ? OnggiTool.Ok : OnggiTool.Wrong;
    }

    private static void WriteText(UndoResult result, string path, ToolOutput output)
    {
        output.Text.WriteLine($"{Words.Count(result.Restored, "key", "keys")} put back.");
        if (result.Existing > 0)
            output.Text.WriteLine(
                $"{Number(result.Existing)} exist and stay as they are: {string.Join(", ", result.ExistingNames)}{(result.Existing > result.ExistingNames.Count ? " …" : "")}. To overwrite them: --replace."
            );
        if (result.Ended > 0)
            output.Text.WriteLine($"{Number(result.Ended)} have ended meanwhile.");
        if (result.Cached > 0)
            output.Text.WriteLine(
                $"{Number(result.Cached)} cached values were left out: their source has them, perhaps newer. To put them back all the same: --caches."
            );
        if (result.Refused > 0)
            output.Text.WriteLine($"{Number(result.Refused)} were refused by Redis: {result.Refusal}");
        if (!result.IsWhole)
            output.Text.WriteLine(
                $"{path} breaks off: the delete was stopped, or the file was cut. What stands in it has been put back; what was not saved was not removed."
            );
    }

    private static void WriteJson(UndoResult result, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteNumber("restored", result.Restored);
            json.WriteNumber("existing", result.Existing);
            json.WriteNumber("ended", result.Ended);
            json.WriteNumber("cachedLeftOut", result.Cached);
            json.WriteNumber("refused", result.Refused);
            if (result.Refusal is not null)
                json.WriteString("refusal", result.Refusal);
            json.WriteBoolean("whole", result.IsWhole);
            json.WriteEndObject();
        });

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
