using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi status</c>: how Redis is, once or all the time.</summary>
internal static class StatusCommand
{
    private const int DefaultSample = 5000;

    /// <summary>How many times the figures are asked for before the keys are looked at again.</summary>
    private const int LookAtKeysEvery = 15;

    public static Command Create(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var catalog = Inputs.Catalog("Without one, the beginnings of names stand for families.");
        var environment = Inputs.Environment();
        var watch = new Option<bool>("--watch", "-w")
        {
            Description = "Stays, and shows it anew until Ctrl-C. Without a terminal it is shown once.",
        };
        var every = new Option<int>("--every")
        {
            Description = "How many seconds between two looks.",
            DefaultValueFactory = _ => 1,
            HelpName = "SECONDS",
        };
        Inputs.Bound(every, 1, 3600);
        var sample = new Option<int>("--sample", "-s")
        {
            Description = "How many keys are looked at to tell the families' shares; with 0 none is, and no shares are told.",
            DefaultValueFactory = _ => DefaultSample,
            HelpName = "COUNT",
        };
        Inputs.BoundSample(sample, 0);
        var json = Inputs.Json();
        var command = new Command(
            "status",
            "Shows how Redis is: memory, clients, load, hit rate, evictions, persistence, replicas, slow commands, and whose the keys are."
        )
        {
            redis,
            catalog,
            environment,
            watch,
            every,
            sample,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.FindKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var view = new View(client, keyspace, parsed.GetValue(sample), output);
                    if (parsed.GetValue(watch) && output.IsTerminal && !parsed.GetValue(json))
                        await view.WatchAsync(TimeSpan.FromSeconds(parsed.GetValue(every)), cancellationToken).ConfigureAwait(false);
                    else
                        await view.ShowAsync(parsed.GetValue(json), cancellationToken).ConfigureAwait(false);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private sealed class View(RedisClient client, Keyspace? keyspace, int sample, ToolOutput output)
    {
        public async Task ShowAsync(bool asJson, CancellationToken cancellationToken)
        {
            // First what it says, then the keys: looking at them counts as hits.
            var report = await StatusReport.ReadAsync(client, keys: null, cancellationToken).ConfigureAwait(false);
            report = report with { Keys = await LookAsync(cancellationToken).ConfigureAwait(false) };
            if (asJson)
                output.Json(json => Write(json, report));
            else
                output.Console.Write(Draw(report, before: null));
        }

        public async Task WatchAsync(TimeSpan every, CancellationToken cancellationToken)
        {
            var keys = await LookAsync(cancellationToken).ConfigureAwait(false);
            var before = await StatusReport.ReadAsync(client, keys, cancellationToken).ConfigureAwait(false);
            await output
                .Console.Live(Draw(before, before: null))
                .AutoClear(false)
                .StartAsync(async live =>
                {
                    for (var round = 1; ; round++)
                    {
                        await Task.Delay(every, output.Time, cancellationToken).ConfigureAwait(false);
                        var now = await StatusReport.ReadAsync(client, keys, cancellationToken).ConfigureAwait(false);
                        live.UpdateTarget(Draw(now, before));
                        before = now;
                        if (round % LookAtKeysEvery != 0)
                            continue;
                        // Looking counts as hits, which are nobody's news.
                        keys = await LookAsync(cancellationToken).ConfigureAwait(false);
                        before = await StatusReport.ReadAsync(client, keys, cancellationToken).ConfigureAwait(false);
                    }
                })
                .ConfigureAwait(false);
        }

        private async Task<KeyspaceSurvey?> LookAsync(CancellationToken cancellationToken) =>
            sample == 0
                ? null
                : await KeyspaceSurvey
                    .TakeAsync(client, keyspace, only: null, sample, new ToolProgress(output.Time), cancellationToken)
                    .ConfigureAwait(false);

        private Rows Draw(StatusReport report, StatusReport? before)
        {
            var grid = new Grid().AddColumn(new GridColumn().NoWrap()).AddColumn();
            grid.AddRow(new Text("at"), new Text(client.Options.ToString()!));
            foreach (var (word, text) in report.Lines(before))
                grid.AddRow(new Text(word), new Text(text));
            List<IRenderable> parts = [grid];
            if (report.Keys is { Looked: > 0 } keys)
                parts.Add(FamilyTable.Of(keys, keyspace is not null, output.Console.Profile.Width));
            return new Rows(parts);
        }

        private void Write(Utf8JsonWriter json, StatusReport report)
        {
            json.WriteStartObject();
            json.WriteString("redis", client.Options.ToString());
            json.WriteString("version", report.Info["redis_version"]);
            json.WriteString("mode", report.Info["redis_mode"]);
            json.WriteString("role", report.Role);
            json.WriteNumber("uptimeSeconds", report.Uptime.TotalSeconds);
            json.WriteNumber("memoryBytes", report.Memory);
            json.WriteNumber("memoryLimitBytes", report.MemoryLimit);
            json.WriteString("memoryPolicy", report.Info["maxmemory_policy"]);
            json.WriteNumber("clients", report.Clients);
            if (report.ClientLimit is { } most)
                json.WriteNumber("clientLimit", most);
            json.WriteNumber("rejectedConnections", report.Rejected);
            json.WriteNumber("commandsPerSecond", report.OperationsPerSecond);
            json.WriteNumber("hits", report.Hits);
            json.WriteNumber("misses", report.Misses);
            if (report.HitRate is { } rate)
                json.WriteNumber("hitRate", Math.Round(rate, 4));
            json.WriteNumber("evictedKeys", report.Evicted);
            json.WriteBoolean("aof", report.Info["aof_enabled"] == "1");
            json.WriteString("rdbLastStatus", report.Info["rdb_last_bgsave_status"]);
            json.WriteNumber("replicas", report.Info.Count("connected_slaves") ?? 0);
            if (report.SlowCommands is { } slow)
                json.WriteNumber("slowCommands", slow);
            json.WriteNumber("keys", report.Info.Databases.Values.Sum());
            if (report.Keys is { } keys)
                FamilyTable.WriteJson(json, keys);
            json.WriteEndObject();
        }
    }
}
