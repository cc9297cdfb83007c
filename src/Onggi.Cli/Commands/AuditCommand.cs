using System.CommandLine;
using Onggi.Cli.Auditing;
using Onggi.Cli.Checks;
using Onggi.Cli.Output;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi audit</c>: what lies in Redis, compared with the catalog.</summary>
internal static class AuditCommand
{
    private const int DefaultSample = 10_000;
    private const int DefaultTop = 10;
    private const string DefaultBig = "1mb";

    public static Command Create(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var catalog = Inputs.Catalog("It is needed here.");
        var environment = Inputs.Environment();
        var sample = new Option<int>("--sample")
        {
            Description = "How many keys are looked into, chosen at random. All names are seen in any case.",
            HelpName = "COUNT",
            DefaultValueFactory = _ => DefaultSample,
        };
        Inputs.BoundSample(sample, 100);
        var exact = Inputs.Exact("Looks into every key.", sample);
        var big = new Option<string>("--big")
        {
            Description = "From which size on a key is big.",
            HelpName = "SIZE",
            DefaultValueFactory = _ => DefaultBig,
        };
        var top = new Option<int>("--top")
        {
            Description = "How many of the biggest and hottest keys are told.",
            HelpName = "COUNT",
            DefaultValueFactory = _ => DefaultTop,
        };
        Inputs.Bound(top, 0, 1000);
        var seed = new Option<int?>("--seed") { Description = "Chooses the same keys again.", HelpName = "NUMBER" };
        var suppressions = new Option<string?>("--suppressions")
        {
            Description = $"What is lived with: codes with a reason and an end. {Suppressions.DefaultFile} of this folder otherwise.",
            HelpName = "FILE",
        };
        var report = new Option<string?>("--report") { Description = "Writes everything into one HTML page.", HelpName = "FILE" };
        var metrics = new Option<string?>("--metrics")
        {
            Description =
                "Writes what Prometheus is to know, whole or not at all, for a textfile collector: keys and memory by family, findings by code, refused accesses by user.",
            HelpName = "FILE",
        };
        var json = Inputs.Json();
        var command = new Command(
            "audit",
            "Compares the live keyspace with the catalog: keys of no family, times to live, types, values that are no JSON, personal data in names, shares of memory, the biggest and hottest keys, "
                + "sessions and their indexes, refused accesses. Paced, and it changes nothing. Exit code 1 when it finds more than warnings."
        )
        {
            redis,
            catalog,
            environment,
            sample,
            exact,
            big,
            top,
            seed,
            suppressions,
            report,
            metrics,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var terms = new AuditTerms(
                    keyspace,
                    parsed.GetValue(exact) ? 0 : parsed.GetValue(sample),
                    Size(parsed.GetRequiredValue(big)),
                    parsed.GetValue(top),
                    parsed.GetValue(seed) ?? System.Environment.TickCount
                );
                var lived = Suppressions.Find(parsed.GetValue(suppressions));
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var result = await output
                        .ShowAsync(
                            "auditing",
                            "keys",
                            progress => new Auditor(client, terms, output).RunAsync(progress, cancellationToken),
                            cancellationToken
                        )
                        .ConfigureAwait(false);
                    result = result with { Findings = Left(result.Findings, lived, output) };
                    if (parsed.GetValue(json))
                        AuditWriter.WriteJson(result, keyspace, output);
                    else
                        AuditWriter.Write(result, keyspace, output);
                    if (parsed.GetValue(report) is { } file)
                    {
                        await File.WriteAllTextAsync(file, AuditWriter.Html(result, keyspace, output.Time.GetUtcNow()), cancellationToken)
                            .ConfigureAwait(false);
                        await output.Error.WriteLineAsync($"onggi: the report is in {file}.").ConfigureAwait(false);
                    }

                    if (parsed.GetValue(metrics) is { } page)
                        await WriteWholeAsync(page, AuditMetrics.Text(result, keyspace, output.Time.GetUtcNow()), cancellationToken)
                            .ConfigureAwait(false);
                    return result.Findings.All(finding => finding.IsWarning) ? OnggiTool.Ok : OnggiTool.Wrong;
                }
            }
        );
        return command;
    }

    // A collector that looks in between sees the old file, not half of the new one.
    private static async Task WriteWholeAsync(string file, string text, CancellationToken cancellationToken)
    {
        await File.WriteAllTextAsync(file + ".new", text, cancellationToken).ConfigureAwait(false);
        File.Move(file + ".new", file, overwrite: true);
    }

    private static IReadOnlyList<Finding> Left(IReadOnlyList<Finding> findings, Suppressions lived, ToolOutput output)
    {
        var today = DateOnly.FromDateTime(output.Time.GetUtcNow().UtcDateTime);
        return [.. findings.Where(finding => !lived.Covers(finding, today)), .. lived.Expired(today)];
    }

    private static long Size(string text) =>
        CatalogWords.TrySize(text, out var bytes)
            ? bytes
            : throw new ToolException($"--big \"{text}\" is no size. Write {CatalogWords.GuessSize(text)}.");
}
