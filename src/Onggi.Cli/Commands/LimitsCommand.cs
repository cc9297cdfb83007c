using System.CommandLine;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi limits show|reset</c>: what somebody has spent of a budget.</summary>
internal static class LimitsCommand
{
    public static Command Create(ToolOutput output) => new("limits", "How much may be done per time.") { Show(output), Reset(output) };

    private static Command Show(ToolOutput output)
    {
        var (key, redis, catalog, environment) = Shared();
        var json = Inputs.Json();
        var command = new Command(
            "show",
            "Shows what is spent of a budget, rule by rule, and when all of it is there again. The bounds themselves stand in the services."
        )
        {
            key,
            redis,
            catalog,
            environment,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var name = LimitKeyOf(parsed, key, catalog, environment);
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var state = await LimitState.ReadAsync(client, name, cancellationToken).ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        WriteJson(name, state, output);
                    else
                        Write(name, state, output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static Command Reset(ToolOutput output)
    {
        var (key, redis, catalog, environment) = Shared();
        var yes = Inputs.Yes("Gives the whole budget back");
        var json = Inputs.Json();
        var command = new Command(
            "reset",
            "Gives somebody the whole budget back: forgets what was spent, and which places are taken. Who was just denied may still be denied for up to a second by a service that remembers it."
        )
        {
            key,
            redis,
            catalog,
            environment,
            yes,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var name = LimitKeyOf(parsed, key, catalog, environment);
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var question = $"{client.Options}: what {Words.Key(name)} has spent will be forgotten.";
                    if (!parsed.GetValue(yes))
                        await output.NeedYesAsync(question, "reset", "--yes", "nothing was reset", cancellationToken).ConfigureAwait(false);
                    var (rules, places) = LimitState.KeysOf(name);
                    var removed = await client.UnlinkAsync([rules, places], cancellationToken).ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        output.Json(writer =>
                        {
                            writer.WriteStartObject();
                            writer.WriteString("key", name);
                            writer.WriteBoolean("reset", removed > 0);
                            writer.WriteEndObject();
                        });
                    else
                        output.Text.WriteLine(
                            removed > 0 ? $"{Words.Key(name)} has its whole budget." : $"{Words.Key(name)} had spent nothing."
                        );
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static (Argument<string> Key, Option<string?> Redis, Option<string?> Catalog, Option<string?> Environment) Shared() =>
        (
            new Argument<string>("KEY") { Description = "The budget's name in Redis, prefix and all: dev:rate_limit:login:42." }.NoOption(),
            Inputs.Redis(),
            Inputs.Catalog("It is needed here."),
            Inputs.Environment()
        );

    private static string LimitKeyOf(ParseResult parsed, Argument<string> key, Option<string?> catalog, Option<string?> environment)
    {
        var keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
        var families = FamilyChoice.OfKind("limit", keyspace);
        var name = parsed.GetRequiredValue(key);
        return !name.StartsWith('{') && keyspace.FamilyOf(name) is { Kind: "limit" }
            ? name
            : throw new ToolException(
                $"{Words.Key(name)} is the key of no budget. Budgets are {string.Join(", ", families.Select(family => family.Pattern))}{(keyspace.HashesPersonalIdentifiers ? ", with persons hashed" : "")}."
            );
    }

    private static void Write(string name, LimitState state, ToolOutput output)
    {
        if (state.IsEmpty)
        {
            output.Text.WriteLine($"{Words.Key(name)}: nothing is spent.");
            return;
        }

        output.Text.WriteLine(
            $"{Words.Key(name)}:{(state.FullIn is { } full ? $" all is there again in {Words.Time(full)}, if nothing more is spent." : "")}"
        );
        foreach (var (rule, text) in state.Rules)
            output.Text.WriteLine($"  {rule}: {text}");
        if (state.Places > 0)
            output.Text.WriteLine($"  {Words.Count(state.Places, "place is", "places are")} taken");
    }

    private static void WriteJson(string name, LimitState state, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("key", name);
            json.WriteBoolean("spent", !state.IsEmpty);
            if (state.FullIn is { } full)
                json.WriteNumber("fullInSeconds", Math.Round(full.TotalSeconds, 3));
            json.WriteStartObject("rules");
            foreach (var (rule, text) in state.Rules)
                json.WriteString(rule, text);
            json.WriteEndObject();
            json.WriteNumber("places", state.Places);
            json.WriteEndObject();
        });
}
