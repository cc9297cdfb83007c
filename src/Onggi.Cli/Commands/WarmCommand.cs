using System.CommandLine;
using System.Globalization;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi warm</c>: asks services to fill their caches, and says what really came of it.</summary>
internal static class WarmCommand
{
    private const string DefaultPath = "/api/cache/warmup";
    private const string TokenVariable = "ONGGI_TOKEN";
    private const int DefaultTimeout = 600;

    public static Command Create(ToolOutput output)
    {
        var services = new Argument<string[]>("URL")
        {
            Description = "The services, http://host:port each.",
            Arity = ArgumentArity.OneOrMore,
        }.NoOption();
        var names = new Option<string[]>("--name")
        {
            Description = "Only this warm-up; may be given several times. Otherwise all that a service has.",
            HelpName = "NAME",
        };
        var path = new Option<string>("--path")
        {
            Description = "Where the services have their warm-up endpoints.",
            DefaultValueFactory = _ => DefaultPath,
            HelpName = "PATH",
        };
        var tokenFile = new Option<string?>("--token-file")
        {
            Description = $"A file with the bearer token; otherwise the variable {TokenVariable}, otherwise none.",
            HelpName = "FILE",
        };
        var timeout = new Option<int>("--timeout")
        {
            Description = "How many seconds one warm-up may take.",
            DefaultValueFactory = _ => DefaultTimeout,
            HelpName = "SECONDS",
        };
        Inputs.Bound(timeout, 1, 86_400);
        var json = Inputs.Json();
        var command = new Command(
            "warm",
            "Asks services to fill their caches from their sources, and waits. Exit code 1 when a warm-up failed or Redis did not take some of it; 2 when nobody could be reached."
        )
        {
            services,
            names,
            path,
            tokenFile,
            timeout,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var addresses = parsed.GetRequiredValue(services).Select(Address).ToList();
                using var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
                using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
                var client = new WarmUpClient(
                    http,
                    parsed.GetRequiredValue(path),
                    Token(parsed.GetValue(tokenFile)),
                    TimeSpan.FromSeconds(parsed.GetValue(timeout)),
                    output.Time
                );
                var results = await output
                    .ShowAsync(
                        "warming",
                        "entries",
                        progress => RunAsync(client, addresses, parsed.GetValue(names) ?? [], progress, cancellationToken),
                        cancellationToken
                    )
                    .ConfigureAwait(false);
                if (parsed.GetValue(json))
                    WriteJson(results, output);
                else
                    Write(results, output);
                return results.All(result => result.IsWell) ? OnggiTool.Ok
                    : results.Any(result => result.IsReached) ? OnggiTool.Wrong
                    : OnggiTool.Failed;
            }
        );
        return command;
    }

    private static async Task<List<WarmUpResult>> RunAsync(
        WarmUpClient client,
        List<Uri> services,
        string[] names,
        ToolProgress progress,
        CancellationToken cancellationToken
    )
    {
        // One after another: they may share a source, and a source is what warming hurts.
        var results = new List<WarmUpResult>();
        foreach (var service in services)
            results.AddRange(await client.RunAsync(service, names, progress, cancellationToken).ConfigureAwait(false));
        return results;
    }

    private static Uri Address(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? address
            : throw new ToolException($"{Words.Key(text)} is no address. Write http://host:port.");

    private static string? Token(string? file)
    {
        var token = file is null
            ? System.Environment.GetEnvironmentVariable(TokenVariable)
            : Inputs.Read(file, "Name the file that holds the bearer token.");
        token = token?.Trim();
        if (token?.Any(char.IsWhiteSpace) == true)
            throw new ToolException("the token has blanks in it: only the token itself is wanted, without the word Bearer.");
        return string.IsNullOrEmpty(token) ? null : token;
    }

    private static void Write(List<WarmUpResult> results, ToolOutput output)
    {
        if (results.Count == 0)
        {
            output.Text.WriteLine("These services have no warm-ups.");
            return;
        }

        var table = ToolOutput.Table("service", "warm-up", "stored", "failed", "seconds", "");
        foreach (var column in (int[])[2, 3, 4])
            table.Columns[column].RightAligned();
        foreach (var result in results)
        {
            var isReport = result.Problem is null;
            table.AddRow(
                new Text(result.Service.Authority),
                new Text(result.Name is null ? Words.None : Words.Key(result.Name)),
                new Text(isReport ? result.Stored.ToString("N0", CultureInfo.InvariantCulture) : Words.None),
                new Text(isReport ? result.Failed.ToString("N0", CultureInfo.InvariantCulture) : Words.None),
                new Text(isReport ? result.Seconds.ToString("0.0", CultureInfo.InvariantCulture) : Words.None),
                new Markup(
                    result.Problem is { } problem ? $"[red]{Markup.Escape(problem)}[/]"
                    : result.Failed > 0 ? "[yellow]Redis did not take all of it: its readers load the rest[/]"
                    : result.Joined ? "it ran already"
                    : "done"
                )
            );
        }

        output.Console.Write(table);
    }

    private static void WriteJson(List<WarmUpResult> results, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var result in results)
            {
                json.WriteStartObject();
                json.WriteString("service", result.Service.ToString());
                if (result.Name is not null)
                    json.WriteString("name", result.Name);
                json.WriteBoolean("ok", result.IsWell);
                if (result.Problem is not null)
                    json.WriteString("problem", result.Problem);
                else
                {
                    json.WriteNumber("stored", result.Stored);
                    json.WriteNumber("failed", result.Failed);
                    json.WriteNumber("seconds", result.Seconds);
                    json.WriteBoolean("joined", result.Joined);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
}
