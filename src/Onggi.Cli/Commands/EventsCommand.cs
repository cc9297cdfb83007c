using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi events tail</c>: what happens, as it happens.</summary>
internal static class EventsCommand
{
    public static Command Create(ToolOutput output) => new("events", "What happens in the services.") { Tail(output) };

    private static Command Tail(ToolOutput output)
    {
        var type = new Argument<string?>("TYPE")
        {
            Description = "The event, as the catalog names it; all of them otherwise.",
            Arity = ArgumentArity.ZeroOrOne,
        }.NoOption();
        var redis = Inputs.Redis();
        var catalog = Inputs.Catalog("It is needed here.");
        var environment = Inputs.Environment();
        var since = new Option<int>("--since")
        {
            Description = "Begins with those of the last so many seconds, as far as Redis has kept them.",
            DefaultValueFactory = _ => 0,
            HelpName = "SECONDS",
        };
        Inputs.Bound(since, 0, 3600);
        var count = new Option<int>("--count", "-n")
        {
            Description = "Ends after so many; 0 goes on until Ctrl-C.",
            DefaultValueFactory = _ => 0,
            HelpName = "COUNT",
        };
        Inputs.Bound(count, 0, int.MaxValue);
        var personal = new Option<bool>("--show-personal")
        {
            Description = "Shows payloads of events that are about persons, as the catalog says.",
        };
        var json = new Option<bool>("--json") { Description = "Writes one JSON object a line." };
        var command = new Command(
            "tail",
            "Shows events as they are published, one line each: time, type, number, who published it, payload. What was missed and cannot be had any more is said."
        )
        {
            type,
            redis,
            catalog,
            environment,
            since,
            count,
            personal,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var only = Known(parsed.GetValue(type), keyspace);
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    using var meters = new ToolMeters();
                    var events = ToolEvents.Create(client, keyspace, meters, output.Time);
                    await using (events.ConfigureAwait(false))
                    {
                        var view = new View(keyspace, output, parsed.GetValue(json), parsed.GetValue(personal), parsed.GetValue(count));
                        await view.RunAsync(events, only, TimeSpan.FromSeconds(parsed.GetValue(since)), cancellationToken)
                            .ConfigureAwait(false);
                        return OnggiTool.Ok;
                    }
                }
            }
        );
        return command;
    }

    private static string? Known(string? type, Keyspace keyspace)
    {
        if (type is null || keyspace.KnowsEvent(type))
            return type;
        List<string> known = [.. keyspace.Events.Select(settings => settings.Type), .. BuiltIns.Events];
        throw new ToolException($"the catalog has no event \"{type}\". {CatalogWords.Suggest(type, known, "")}");
    }

    private sealed class View(Keyspace keyspace, ToolOutput output, bool asJson, bool showPersonal, int most)
    {
        private const int DataCharacters = 400;

        // Beginnings of types whose payload says who has signed in.
        private const string OfPersons = "auth.";

        private static readonly JsonWriterOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

        private readonly Lock _gate = new();
        private readonly TaskCompletionSource _enough = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly HashSet<string> _personal =
        [
            .. keyspace
                .Events.Where(settings =>
                    keyspace.Families.Any(family => family.Personal.Count > 0 && settings.Families.Contains(family.Family.Name))
                )
                .Select(settings => settings.Type),
        ];

        private int _shown;

        public async Task RunAsync(OnggiEvents events, string? only, TimeSpan since, CancellationToken cancellationToken)
        {
            var options = new SubscribeOptions { Replay = since, OnGap = TellAsync };
            var subscription = only is null
                ? await events.SubscribeAllAsync(ShowAsync, options, cancellationToken).ConfigureAwait(false)
                : await events
                    .SubscribeAsync(new EventType<JsonElement>(only), ShowAsync, options, cancellationToken)
                    .ConfigureAwait(false);
            await output
                .Error.WriteLineAsync($"onggi: listening to {only ?? "all events"}; Ctrl-C ends it.".AsMemory(), cancellationToken)
                .ConfigureAwait(false);
            await using (subscription.ConfigureAwait(false))
                await _enough.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        private ValueTask ShowAsync(Event<JsonElement> one, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                if (most > 0 && _shown >= most)
                    return ValueTask.CompletedTask;
                output.Text.WriteLine(asJson ? Json(one) : Line(one));
                output.Text.Flush();
                if (++_shown == most)
                    _enough.TrySetResult();
            }

            return ValueTask.CompletedTask;
        }

        private ValueTask TellAsync(EventGap gap, CancellationToken cancellationToken)
        {
            lock (_gate)
                output.Error.WriteLine(
                    $"onggi: {(gap.Count is { } count ? Words.Count(count, "event", "events") : "some events")} of {gap.Type} missed: {gap.Reason}."
                );
            return ValueTask.CompletedTask;
        }

        private string Line(Event<JsonElement> one)
        {
            var number = one.Sequence is { } sequence ? $"#{sequence.ToString(CultureInfo.InvariantCulture)}" : "#–";
            var data = one.Data.ValueKind == JsonValueKind.Undefined ? "" : one.Data.GetRawText();
            var shown =
                data.Length == 0 ? ""
                : Hides(one.Type) ? "(about a person: --show-personal)"
                : SafeText.Line(Encoding.UTF8.GetBytes(data), DataCharacters);
            return $"{one.Time.UtcDateTime:O} {Words.Key(one.Type)} {number} {(one.Source.Length > 0 ? Words.Key(one.Source) : Words.None)} {shown}".TrimEnd();
        }

        private string Json(Event<JsonElement> one)
        {
            using var stream = new MemoryStream();
            using (var json = new Utf8JsonWriter(stream, OneLine))
            {
                json.WriteStartObject();
                json.WriteString("time", one.Time);
                json.WriteString("type", one.Type);
                json.WriteString("source", one.Source);
                json.WriteString("id", one.Id);
                if (one.Sequence is { } sequence)
                    json.WriteNumber("seq", sequence);
                if (Hides(one.Type))
                    json.WriteBoolean("hidden", value: true);
                else
                    WriteBody(json, one);
                json.WriteEndObject();
            }

            return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
        }

        private static void WriteBody(Utf8JsonWriter json, Event<JsonElement> one)
        {
            json.WriteStartObject("metadata");
            foreach (var (name, value) in one.Metadata)
                json.WriteString(name, value);
            json.WriteEndObject();
            if (one.Data.ValueKind == JsonValueKind.Undefined)
                return;
            json.WritePropertyName("data");
            one.Data.WriteTo(json);
        }

        private bool Hides(string type) =>
            !showPersonal && (_personal.Contains(type) || type.StartsWith(OfPersons, StringComparison.Ordinal));
    }
}
