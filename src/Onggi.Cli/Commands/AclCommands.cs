using System.CommandLine;
using Onggi.Cli.Access;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi acl</c>: users of Redis with the least rights, made from the catalog.</summary>
internal static class AclCommands
{
    public static Command Create(ToolOutput output) =>
        new(
            "acl",
            "Users of Redis with the least rights that each service needs, made from the catalog: its own families, those that name it as a reader, the keys that its events invalidate."
        )
        {
            Show(output),
            File(output),
            Apply(output),
            Check(output),
            Rotate(output),
        };

    private static Command Show(ToolOutput output)
    {
        var (catalog, environment, replicated) = Source();
        var json = Inputs.Json();
        var command = new Command("show", "Shows the users and their rules. Asks no server.") { catalog, environment, replicated, json };
        command.SetAction(parsed =>
        {
            var users = Users(parsed, catalog, environment, replicated, out _);
            if (parsed.GetValue(json))
                WriteJson(users, output);
            else
                foreach (var user in users)
                    output.Text.WriteLine($"{user.Name}: {user.Purpose}\n  {string.Join(' ', user.Rules)}\n");
            return OnggiTool.Ok;
        });
        return command;
    }

    private static Command File(ToolOutput output)
    {
        var (catalog, environment, replicated) = Source();
        var secrets = Secrets();
        var file = new Option<string>("--out", "-o")
        {
            Description = "The file to write; what stands there is replaced.",
            HelpName = "FILE",
            DefaultValueFactory = _ => "users.acl",
        };
        var json = Inputs.Json();
        var command = new Command(
            "file",
            "Writes the file that redis.conf names under aclfile. Passwords that lack are made: each in a file of its own that only its owner reads. The ACL file holds their digests only."
        )
        {
            catalog,
            environment,
            replicated,
            secrets,
            file,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var users = Users(parsed, catalog, environment, replicated, out _);
                var store = new AccessSecrets(parsed.GetRequiredValue(secrets));
                var made = store.Generate(users);
                var lines = users.Select(user => user.Line(store.DigestsOf(user)));
                var name = parsed.GetRequiredValue(file);
                await System.IO.File.WriteAllTextAsync(name, string.Join('\n', lines) + "\n", cancellationToken).ConfigureAwait(false);
                if (parsed.GetValue(json))
                    output.Json(writer =>
                    {
                        writer.WriteStartObject();
                        writer.WriteString("file", name);
                        WriteNames(writer, "users", users.Select(user => user.Name));
                        writer.WriteString("secrets", store.Folder);
                        WriteNames(writer, "passwordsMade", made);
                        writer.WriteEndObject();
                    });
                else
                    output.Text.WriteLine(
                        $"{name}: {Words.Count(users.Count, "user", "users")}. {store.Folder}: {Words.Count(made.Count, "password", "passwords")} made, the others kept."
                    );
                return OnggiTool.Ok;
            }
        );
        return command;
    }

    private static Command Apply(ToolOutput output)
    {
        var (catalog, environment, replicated) = Source();
        var redis = Inputs.Redis();
        var secrets = Secrets();
        var yes = Inputs.Yes("Changes the users");
        var json = Inputs.Json();
        var command = new Command(
            "apply",
            "Gives a running Redis the users of the catalog: says whose they are, asks, and sets them. Connections stay. With an aclfile in redis.conf they are saved there, too."
        )
        {
            catalog,
            environment,
            replicated,
            redis,
            secrets,
            yes,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var users = Users(parsed, catalog, environment, replicated, out _);
                var store = new AccessSecrets(parsed.GetRequiredValue(secrets));
                store.Generate(users);
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    await AskAsync(client, users, parsed.GetValue(yes), output, cancellationToken).ConfigureAwait(false);
                    await new AccessServer(client).SetAsync(users.Where(user => user.IsOn), store, cancellationToken).ConfigureAwait(false);
                    bool saved;
                    // The default user is shut out at last, and that may be who we are: so from here on as the operator, which proves him, too.
                    var op = await Inputs
                        .ConnectAsync(
                            parsed.GetValue(redis),
                            options => (options.User, options.Password) = (AccessPlan.Operator, store.PasswordOf(AccessPlan.Operator)),
                            cancellationToken
                        )
                        .ConfigureAwait(false);
                    await using (op.ConfigureAwait(false))
                    {
                        var server = new AccessServer(op);
                        await server.SetAsync(users.Where(user => !user.IsOn), store, cancellationToken).ConfigureAwait(false);
                        saved = await WriteSavedAsync(server, output, cancellationToken).ConfigureAwait(false);
                    }

                    if (parsed.GetValue(json))
                        output.Json(writer =>
                        {
                            writer.WriteStartObject();
                            WriteNames(writer, "users", users.Select(user => user.Name));
                            writer.WriteBoolean("saved", saved);
                            writer.WriteEndObject();
                        });
                    else
                        output.Text.WriteLine($"{Words.Count(users.Count, "user is", "users are")} as the catalog says.");
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static Command Check(ToolOutput output)
    {
        var (catalog, environment, _) = Source();
        var redis = Inputs.Redis();
        var all = new Option<bool>("--all", "-a") { Description = "Shows what is right, too." };
        var json = Inputs.Json();
        var command = new Command(
            "check",
            "Asks a running Redis by ACL DRYRUN who may do what, and compares it with the catalog: own keys, others' keys, and of every user, the operator too, each command that the server knows. Nothing is executed. Exit code 1 when something differs."
        )
        {
            catalog,
            environment,
            redis,
            all,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var (asked, cells) = await AccessMatrix.AskAsync(client, keyspace, cancellationToken).ConfigureAwait(false);
                    var shown = cells.Where(cell => parsed.GetValue(all) || !cell.IsRight).ToList();
                    if (parsed.GetValue(json))
                        WriteJson(shown, output);
                    else
                        WriteTable(asked, cells, shown, output);
                    return cells.All(cell => cell.IsRight) ? OnggiTool.Ok : OnggiTool.Wrong;
                }
            }
        );
        return command;
    }

    private static Command Rotate(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var secrets = Secrets();
        var user = new Argument<string>("USER") { Description = "Whose password." };
        var finish = new Option<bool>("--finish")
        {
            Description = "Takes the old password away: when all clients log in with the new one.",
        };
        var json = Inputs.Json();
        var command = new Command(
            "rotate",
            "Changes a user's password without an interruption. First a second one is added, beside the old one, in USER.next; then the services get it and start anew; then --finish takes the old one away."
        )
        {
            user,
            redis,
            secrets,
            finish,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var name = parsed.GetRequiredValue(user);
                var store = new AccessSecrets(parsed.GetRequiredValue(secrets));
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var server = new AccessServer(client);
                    var said = parsed.GetValue(finish)
                        ? await server.FinishAsync(name, store, cancellationToken).ConfigureAwait(false)
                        : await server.BeginAsync(name, store, cancellationToken).ConfigureAwait(false);
                    var saved = await WriteSavedAsync(server, output, cancellationToken).ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        output.Json(writer =>
                        {
                            writer.WriteStartObject();
                            writer.WriteString("user", name);
                            writer.WriteBoolean("finished", parsed.GetValue(finish));
                            writer.WriteBoolean("saved", saved);
                            writer.WriteEndObject();
                        });
                    else
                        output.Text.WriteLine(said);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static (Option<string?> Catalog, Option<string?> Environment, Option<bool> Replicated) Source() =>
        (
            Inputs.Catalog("It is needed here."),
            Inputs.Environment(),
            new Option<bool>("--replicated") { Description = "Adds the users of replicas and Sentinels." }
        );

    private static Option<string> Secrets() =>
        new("--secrets", "-s")
        {
            Description = "The folder with the passwords, one file per user. Keep it out of the repository.",
            HelpName = "FOLDER",
            DefaultValueFactory = _ => "secrets",
        };

    private static IReadOnlyList<AccessUser> Users(
        ParseResult parsed,
        Option<string?> catalog,
        Option<string?> environment,
        Option<bool> replicated,
        out Keyspace keyspace
    )
    {
        keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
        return keyspace.Services.Count > 0
            ? AccessPlan.Of(keyspace, parsed.GetValue(replicated))
            : throw new ToolException(
                "the catalog names no services, so there is nobody to give rights to: write them under \"services\"."
            );
    }

    private static async Task AskAsync(
        RedisClient client,
        IReadOnlyList<AccessUser> users,
        bool yes,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var question =
            $"{client.Options}: the users {string.Join(", ", users.Select(user => user.Name))} get the rules of the catalog, whatever they were.";
        if (!yes)
            await output.NeedYesAsync(question, "yes", "--yes", "nothing was changed", cancellationToken).ConfigureAwait(false);
    }

    private static async Task<bool> WriteSavedAsync(AccessServer server, ToolOutput output, CancellationToken cancellationToken)
    {
        if (await server.TrySaveAsync(cancellationToken).ConfigureAwait(false))
            return true;
        await output
            .Error.WriteLineAsync(
                "onggi: this Redis has no aclfile, or may not write it (in a cluster it is a Secret: onggi deploy secrets): what was set is forgotten when it restarts.".AsMemory(),
                cancellationToken
            )
            .ConfigureAwait(false);
        return false;
    }

    private static void WriteNames(System.Text.Json.Utf8JsonWriter json, string field, IEnumerable<string> names)
    {
        json.WriteStartArray(field);
        foreach (var name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
    }

    private static void WriteTable(int asked, IReadOnlyList<AccessMatrix.Cell> cells, List<AccessMatrix.Cell> shown, ToolOutput output)
    {
        if (shown.Count > 0)
        {
            var table = ToolOutput.Table("user", "command", "catalog", "Redis", "");
            foreach (var cell in shown)
                table.AddRow(
                    new Markup(Markup.Escape(cell.User)),
                    new Markup(Markup.Escape(cell.Command)),
                    new Markup(Word(cell.Expected)),
                    new Markup(cell.IsRight ? Word(cell.Actual) : $"[red]{Word(cell.Actual)}[/]"),
                    new Markup(Markup.Escape(cell.Why))
                );
            output.Console.Write(table);
        }

        var wrong = cells.Count(cell => !cell.IsRight);
        output.Text.WriteLine(
            $"{asked} questions; {(wrong == 0 ? "all as the catalog says." : $"{wrong} differ. To set the users right: onggi acl apply.")}"
        );
    }

    private static string Word(bool? allowed) =>
        allowed switch
        {
            true => "may",
            false => "may not",
            null => "no such user",
        };

    private static void WriteJson(IEnumerable<AccessMatrix.Cell> cells, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var cell in cells)
            {
                json.WriteStartObject();
                json.WriteString("user", cell.User);
                json.WriteString("command", cell.Command);
                json.WriteBoolean("expected", cell.Expected);
                if (cell.Actual is { } actual)
                    json.WriteBoolean("actual", actual);
                json.WriteString("why", cell.Why);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });

    private static void WriteJson(IEnumerable<AccessUser> users, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var user in users)
            {
                json.WriteStartObject();
                json.WriteString("name", user.Name);
                json.WriteString("purpose", user.Purpose);
                json.WriteStartArray("rules");
                foreach (var rule in user.Rules)
                    json.WriteStringValue(rule);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
}
