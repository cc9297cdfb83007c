using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;

namespace PhoneBill.Demo;

/// <summary>Shows the steps as they happen, and all of them at the end, for people or as JSON.</summary>
public sealed class Report(IAnsiConsole console)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly List<Step> _steps = [];
    private IReadOnlyList<KeyGroup> _keys = [];

    public bool AllAsTold => _steps.TrueForAll(step => step.Ok);

    public void Started(Stage stage, TimeSpan took)
    {
        var step = new Step("start", "Redis, KOS and four services, one of them twice, are up")
        {
            Milliseconds = took.TotalMilliseconds,
            Note = $"{stage.Services.Count} processes, one Redis on 127.0.0.1:{stage.Ports.Redis}",
        };
        Add(step);
        console.MarkupLine(
            "    [grey]allkeys-lru, as the plan wants it: fine for a cache; it would also throw away sessions and locks, so production gives those a Redis of their own.[/]"
        );
    }

    /// <summary>A chapter of the story begins.</summary>
    public void Say(string text) => console.MarkupLine($"\n[bold]{Markup.Escape(text)}[/]");

    public void Add(Step step)
    {
        _steps.Add(step);
        var mark = step.Ok ? "[green]✓[/]" : "[red]✗[/]";
        var tier = step.Tier is null ? "" : $" [{ColorOf(step.Tier)}]{step.Tier}[/]";
        console.MarkupLine($"  {mark} {Markup.Escape(step.Title)} [bold]{Milliseconds(step)}[/]{tier} [grey]{Markup.Escape(step.Note)}[/]");
        foreach (var missed in step.Missed)
            console.MarkupLine($"      [red]{Markup.Escape(missed)}[/]");
    }

    public void Close(IReadOnlyList<KeyGroup> keys)
    {
        _keys = keys;
        var table = new Table().Title("What happened").RoundedBorder().AddColumns("Step", "Tier", "Time", "As told");
        table.Columns[2].RightAligned();
        foreach (var step in _steps)
            table.AddRow(Markup.Escape(step.Title), step.Tier ?? "", Milliseconds(step), step.Ok ? "yes" : "[red]no[/]");
        console.WriteLine();
        console.Write(table);

        var list = new Table().Title("Keys in Redis").RoundedBorder().AddColumns("Family", "Keys", "Time to live", "For example");
        list.Columns[1].RightAligned();
        foreach (var group in keys)
            list.AddRow(
                Markup.Escape(group.Family),
                group.Count.ToString(CultureInfo.InvariantCulture),
                group.TimeToLive,
                Markup.Escape(group.Example)
            );
        console.Write(list);
    }

    public void ShowUrls(Stage stage)
    {
        var table = new Table().Title("Where to look").RoundedBorder().AddColumns("Service", "URL", "Pages");
        foreach (var service in stage.Services)
        {
            var pages = service.Name == "kos" ? "/openapi/v1.json  /admin/calls" : "/openapi/v1.json  /health  /metrics";
            table.AddRow(service.Name, service.Url, pages);
        }

        table.AddRow("redis", $"127.0.0.1:{stage.Ports.Redis}", "passwords by user in " + Markup.Escape(stage.Redis.Secrets));
        console.Write(table);
    }

    public async Task WriteJsonAsync(TextWriter writer, Stage stage)
    {
        var document = new
        {
            Ok = AllAsTold,
            Steps = _steps.Select(step => new
            {
                step.Name,
                step.Tier,
                Ms = Math.Round(step.Milliseconds, 1),
                step.Ok,
                step.Title,
                step.Note,
                step.Missed,
                step.Details,
            }),
            Keys = _keys,
            Urls = stage.Services.ToDictionary(service => service.Name, service => service.Url),
        };
        await writer.WriteLineAsync(JsonSerializer.Serialize(document, Json));
    }

    private static string Milliseconds(Step step) => step.Milliseconds >= 10 ? $"{step.Milliseconds:0} ms" : $"{step.Milliseconds:0.0} ms";

    private static string ColorOf(string tier) =>
        tier switch
        {
            "memory" => "green",
            "redis" => "blue",
            _ => "yellow",
        };
}
