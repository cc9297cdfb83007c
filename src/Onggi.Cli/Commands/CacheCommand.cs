using System.CommandLine;
using Onggi.Caching;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Client;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi cache bound show|set|reset</c>: how long the services' memories may answer without having heard from Redis.</summary>
internal static class CacheCommand
{
    public static Command Create(ToolOutput output) =>
        new("cache", "The services' caches.")
        {
            new Command(
                "bound",
                "How long the services' memories may answer without having heard from Redis: the longest that a change can stay unseen, and what a strict invalidation waits for."
            )
            {
                Show(output),
                Set(output),
                Reset(output),
            },
        };

    private static Command Show(ToolOutput output)
    {
        var inputs = new Shared();
        var json = Inputs.Json();
        var command = new Command("show", "Shows the bound in force, and the ceiling where one is set.") { json };
        inputs.AddTo(command);
        command.SetAction(
            (parsed, cancellationToken) =>
                inputs.RunAsync(
                    parsed,
                    async ceiling =>
                    {
                        var bound = await ceiling.ReadAsync(cancellationToken).ConfigureAwait(false);
                        if (parsed.GetValue(json))
                            WriteJson(ceiling.Key, bound, output);
                        else
                            Write(bound, output);
                        return OnggiTool.Ok;
                    },
                    cancellationToken
                )
        );
        return command;
    }

    private static Command Set(ToolOutput output)
    {
        var milliseconds = new Argument<int>("MS")
        {
            Description = $"The ceiling in milliseconds, {BoundCeiling.Least} to {BoundCeiling.Most}.",
        };
        milliseconds.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var text }] && int.TryParse(text, out var value) && !BoundCeiling.Allows(value))
                result.AddError($"MS is {BoundCeiling.Least} to {BoundCeiling.Most}, not {value}.");
        });
        var inputs = new Shared();
        var command = new Command(
            "set",
            "Sets a ceiling, whatever the services ask for in MaxStaleness. They take it over at once, and their memories begin anew; it ends when the old bound is over for everybody. It holds over restarts and failovers, until reset or until Redis loses its data."
        )
        {
            milliseconds,
        };
        inputs.AddTo(command);
        command.SetAction(
            (parsed, cancellationToken) =>
                inputs.RunAsync(
                    parsed,
                    async ceiling =>
                    {
                        var wanted = parsed.GetValue(milliseconds);
                        var set = await ceiling.SetAsync(wanted, cancellationToken).ConfigureAwait(false);
                        if (set.BoundMs > wanted)
                        {
                            output.Error.WriteLine(
                                $"The ceiling is set. Who has not heard of it answers for {BoundCeiling.EndOf(set).TotalMilliseconds:0} ms more at most; waiting for that."
                            );
                            set = await ceiling.LowerAsync(set, output.Time, cancellationToken).ConfigureAwait(false);
                        }

                        Write(set, output);
                        return OnggiTool.Ok;
                    },
                    cancellationToken
                )
        );
        return command;
    }

    private static Command Reset(ToolOutput output)
    {
        var inputs = new Shared();
        var command = new Command("reset", "Takes the ceiling away: the largest MaxStaleness that a service asks for holds again.");
        inputs.AddTo(command);
        command.SetAction(
            (parsed, cancellationToken) =>
                inputs.RunAsync(
                    parsed,
                    async ceiling =>
                    {
                        Write(await ceiling.SetAsync(0, cancellationToken).ConfigureAwait(false), output);
                        return OnggiTool.Ok;
                    },
                    cancellationToken
                )
        );
        return command;
    }

    private static void Write(FleetBound bound, ToolOutput output)
    {
        output.Text.WriteLine(
            bound.CeilingMs > 0
                ? $"Ceiling: {bound.CeilingMs} ms, since {DateTimeOffset.FromUnixTimeMilliseconds(bound.SinceMs):u}. No memory answers for longer without having heard from Redis."
                : "No ceiling is set: each service's memory answers for its own MaxStaleness."
        );
        output.Text.WriteLine($"Bound: {bound.BoundMs} ms. A strict invalidation waits for that.");
    }

    private static void WriteJson(string key, FleetBound bound, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("key", key);
            json.WriteNumber("boundMs", bound.BoundMs);
            if (bound.CeilingMs > 0)
            {
                json.WriteNumber("ceilingMs", bound.CeilingMs);
                json.WriteString("ceilingSince", DateTimeOffset.FromUnixTimeMilliseconds(bound.SinceMs));
            }

            json.WriteEndObject();
        });

    /// <summary>Which fleet it is: a Redis and an environment of the catalog.</summary>
    private sealed class Shared
    {
        private readonly Option<string?> _redis = Inputs.Redis();
        private readonly Option<string?> _catalog = Inputs.Catalog("It is needed here.");
        private readonly Option<string?> _environment = Inputs.Environment();

        public void AddTo(Command command)
        {
            command.Add(_redis);
            command.Add(_catalog);
            command.Add(_environment);
        }

        public async Task<int> RunAsync(ParseResult parsed, Func<BoundCeiling, Task<int>> run, CancellationToken cancellationToken)
        {
            var keyspace = Inputs.NeedKeyspace(parsed.GetValue(_catalog), parsed.GetValue(_environment));
            var client = await Inputs.ConnectAsync(parsed.GetValue(_redis), cancellationToken).ConfigureAwait(false);
            await using (client.ConfigureAwait(false))
                return await run(new BoundCeiling(client, OnggiCache.EpochName(keyspace))).ConfigureAwait(false);
        }
    }
}
