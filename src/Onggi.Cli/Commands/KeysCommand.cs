using System.CommandLine;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi keys</c>: what is in Redis, and whose it is.</summary>
internal static class KeysCommand
{
    private const int DefaultLimit = 1000;
    private const int DefaultSample = 20_000;

    /// <summary>How many keys are asked about at once: one round trip's worth, far below what a server notices.</summary>
    private const int BatchSize = 100;

    /// <summary>A size in bytes; <c>null</c> where the key is gone.</summary>
    private static readonly ReplyParser<long?> Size = static (ref reader) => reader.IsNull ? null : reader.ReadInt64();

    public static Command Create(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var catalog = Inputs.Catalog("Without one, keys have no families.");
        var environment = Inputs.Environment();
        var family = new Option<string?>("--family", "-f") { Description = "Only the keys of this family.", HelpName = "NAME" };
        var list = new Option<bool>("--list", "-l") { Description = "Lists the keys themselves instead of the families." };
        var sample = new Option<int>("--sample", "-s")
        {
            Description = "How many keys are looked at to tell of all.",
            DefaultValueFactory = _ => DefaultSample,
            HelpName = "COUNT",
        };
        Inputs.BoundSample(sample, 1);
        var exact = Inputs.Exact("Looks at every key.", sample);
        var limit = new Option<int>("--limit", "-n")
        {
            Description = "With --list: stops after so many keys; 0 lists all.",
            DefaultValueFactory = _ => DefaultLimit,
            HelpName = "COUNT",
        };
        Inputs.Bound(limit, 0, int.MaxValue);
        var json = Inputs.Json();
        var command = new Command(
            "keys",
            "Shows what is in Redis by family: how many keys, how large, how long they have left to live; and marks what belongs to nobody or never ends. "
                + "With --list each key by itself. It walks with SCAN, so it does not stop the server. Exit code 1 when something is marked."
        )
        {
            redis,
            catalog,
            environment,
            family,
            list,
            sample,
            exact,
            limit,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.FindKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var only = parsed.GetValue(family) is { } name ? FamilyChoice.Named(name, keyspace) : null;
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    if (!parsed.GetValue(list))
                        return await ShowTreeAsync(
                                client,
                                keyspace,
                                only,
                                parsed.GetValue(exact) ? null : parsed.GetValue(sample),
                                parsed.GetValue(json),
                                output,
                                cancellationToken
                            )
                            .ConfigureAwait(false);
                    var found = await FindAsync(client, keyspace, only, parsed.GetValue(limit), cancellationToken).ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        WriteJson(found, output);
                    else
                        WriteTable(found, keyspace, parsed.GetValue(limit), output);
                    return found.Exists(key => key.Mark is not null) ? OnggiTool.Wrong : OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static async Task<int> ShowTreeAsync(
        RedisClient client,
        Keyspace? keyspace,
        FamilySettings? only,
        int? sample,
        bool asJson,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var survey = await output
            .ShowAsync(
                "looking",
                "keys",
                // How much of a walk a family's keys are cannot be told, so they are all looked at.
                progress => KeyspaceSurvey.TakeAsync(client, keyspace, only, only is null ? sample : null, progress, cancellationToken),
                cancellationToken
            )
            .ConfigureAwait(false);
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteNumber("allKeys", survey.AllKeys);
                FamilyTable.WriteJson(json, survey);
                json.WriteEndObject();
            });
            return survey.HasMarks ? OnggiTool.Wrong : OnggiTool.Ok;
        }

        if (survey.Looked > 0)
            output.Console.Write(FamilyTable.Of(survey, keyspace is not null, output.Console.Profile.Width));
        output.Text.WriteLine(
            (
                survey.IsExact
                    ? $"{Words.Count(survey.Looked, "key", "keys")}, {Words.Size(survey.Groups.Sum(group => group.Bytes))}"
                    : $"About {survey.AllKeys} keys, told from {survey.Looked} of them; --exact looks at each"
            )
                + (
                    keyspace is null ? "; no catalog, so nobody's keys cannot be told."
                    : survey.HasMarks ? "; some are marked: --list shows which."
                    : "."
                )
        );
        return survey.HasMarks ? OnggiTool.Wrong : OnggiTool.Ok;
    }

    private static async Task<List<FoundKey>> FindAsync(
        RedisClient client,
        Keyspace? keyspace,
        FamilySettings? only,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var found = new List<FoundKey>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var batch = new List<string>(BatchSize);
        foreach (var pattern in only?.ScanPatterns ?? ["*"])
        {
            await foreach (var key in client.ScanAsync(pattern, cancellationToken: cancellationToken).ConfigureAwait(false))
            {
                if (!seen.Add(key) || (only is not null && keyspace!.FamilyOf(key) != only))
                    continue;
                batch.Add(key);
                if (batch.Count == BatchSize)
                    await AskAsync(client, keyspace, batch, found, cancellationToken).ConfigureAwait(false);
                if (limit > 0 && found.Count + batch.Count >= limit)
                    break;
            }

            if (limit > 0 && found.Count + batch.Count >= limit)
                break;
        }

        await AskAsync(client, keyspace, batch, found, cancellationToken).ConfigureAwait(false);
        return found;
    }

    /// <summary>Asks for type, time to live and size of the keys, all at once; keys that ended meanwhile are left out.</summary>
    private static async Task AskAsync(
        RedisClient client,
        Keyspace? keyspace,
        List<string> batch,
        List<FoundKey> found,
        CancellationToken cancellationToken
    )
    {
        var answers = batch.ConvertAll(key =>
            (
                Key: key,
                Type: client.SendAsync(["TYPE", key], ReplyParsers.Text, cancellationToken).AsTask(),
                Ttl: client.TimeToLiveAsync(key, cancellationToken).AsTask(),
                Size: client.SendAsync(["MEMORY", "USAGE", key], Size, cancellationToken).AsTask()
            )
        );
        batch.Clear();
        foreach (var (key, typeTask, ttlTask, sizeTask) in answers)
        {
            var (type, ttl, size) = (
                await typeTask.ConfigureAwait(false),
                await ttlTask.ConfigureAwait(false),
                await sizeTask.ConfigureAwait(false)
            );
            if (size is null || type is null or "none")
                continue;
            found.Add(FoundKey.Of(key, type, ttl, size.Value, keyspace));
        }
    }

    private static void WriteTable(List<FoundKey> found, Keyspace? keyspace, int limit, ToolOutput output)
    {
        var table = ToolOutput.Table("key", "family", "type", "ttl", "size", "");
        table.Columns[4].RightAligned();
        foreach (var key in found)
            table.AddRow(
                new Markup(Markup.Escape(Words.Key(key.Name))),
                new Markup(Markup.Escape(key.Family ?? Words.None)),
                new Markup(key.Type),
                new Markup(key.Ttl is { } ttl ? Words.Time(ttl) : "never ends"),
                new Markup(Words.Size(key.Bytes)),
                new Markup(key.Mark is null ? "" : $"[yellow]{Markup.Escape(key.Mark)}[/]")
            );
        output.Console.Write(table);
        var marked = found.Count(key => key.Mark is not null);
        output.Text.WriteLine(
            $"{Words.Count(found.Count, "key", "keys")}, {Words.Size(found.Sum(key => key.Bytes))}"
                + (
                    keyspace is null ? "; no catalog, so nobody's keys cannot be told."
                    : marked > 0 ? $"; {marked} marked."
                    : "."
                )
                + (limit > 0 && found.Count >= limit ? $" Stopped at --limit {limit}; there may be more." : "")
        );
    }

    private static void WriteJson(List<FoundKey> found, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var key in found)
            {
                json.WriteStartObject();
                json.WriteString("key", key.Name);
                if (key.Family is not null)
                    json.WriteString("family", key.Family);
                json.WriteString("type", key.Type);
                if (key.Ttl is { } ttl)
                    json.WriteNumber("ttlSeconds", Math.Round(ttl.TotalSeconds, 3));
                json.WriteNumber("bytes", key.Bytes);
                if (key.Mark is not null)
                    json.WriteString("mark", key.Mark);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });

    /// <summary>A key as it was found; its mark says what is wrong with it.</summary>
    private sealed record FoundKey(string Name, string? Family, string Type, TimeSpan? Ttl, long Bytes, string? Mark)
    {
        public static FoundKey Of(string name, string type, TimeSpan? ttl, long bytes, Keyspace? keyspace)
        {
            var family = keyspace?.FamilyOf(name);
            var mark =
                keyspace is null ? null
                : family is null ? "nobody's"
                : ttl is null && family.Ttl != TimeSpan.MaxValue ? "has no time to live"
                : null;
            return new FoundKey(name, family?.Family.Name, type, ttl, bytes, mark);
        }
    }
}
