using System.Globalization;
using Onggi.Cli.Operations.Deleting;
using Onggi.Cli.Output;
using Onggi.Client;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary>What <c>onggi delete</c> says: before, and after.</summary>
internal sealed class DeleteReport(DeleteSubject subject, RedisClient client, LatencyProbe probe)
{
    private const int ShownKeys = 5;

    public DeleteSubject Subject => subject;

    public RedisClient Client => client;

    public LatencyProbe Probe => probe;

    /// <summary>What it would remove; <c>null</c> when nobody looked.</summary>
    public BlastRadius? Radius { get; set; }

    /// <summary>What it removed; <c>null</c> when it did not.</summary>
    public DeleteState? State { get; set; }

    public TimeSpan Elapsed { get; set; }

    /// <summary>How many of them earlier runs had removed: not in this time.</summary>
    public long Before { get; set; }

    /// <summary>Says what would be removed.</summary>
    public void WriteRadius(ToolOutput output)
    {
        var radius = Radius!;
        if (radius.Count > 0)
        {
            var table = ToolOutput.Table("family", "owner", "keys", "size", "for example", "");
            table.Columns[2].RightAligned();
            table.Columns[3].RightAligned();
            foreach (var group in radius.Groups)
                table.AddRow(
                    new Markup(Markup.Escape(group.Name.Length > 0 ? group.Name : Words.None)),
                    new Markup(Markup.Escape(group.Owner ?? Words.None)),
                    new Markup(Number(group.Count)),
                    new Markup(Size(group.Bytes, 2 * group.Error)),
                    new Markup(Markup.Escape(string.Join('\n', group.Shown.Take(ShownKeys)))),
                    new Markup(Markup.Escape(WarningOf(group.Kind) ?? ""))
                );
            output.Console.Write(table);
        }

        output.Text.WriteLine(
            radius.Count == 0
                ? $"{subject.Name}: no key at {Words.Place(client.Options)}. Nothing to remove."
                : $"{subject.Name}: {Number(radius.Count)} of {Number(radius.AllKeys)} keys at {Words.Place(client.Options)}, {Size(radius.Bytes, radius.BytesError)}."
                    + (subject.HasCatalog ? "" : " No catalog, so it is not known whose they are.")
        );
    }

    /// <summary>Says what was done.</summary>
    /// <returns>The exit code.</returns>
    public int Write(bool asJson, ToolOutput output)
    {
        if (asJson)
            WriteJson(output);
        else if (State is { } state)
            output.Text.WriteLine(
                $"{Words.Count(state.Removed, "key", "keys")} removed{(Before > 0 ? $", {Number(state.Removed - Before)} of them now" : "")} in {Words.Time(Elapsed)} ({Number(Rate)}/s); another client waited {Milliseconds} ms at most."
                    + (state.Undo is null ? "" : $" {Number(state.Saved)} are in {state.Undo}: onggi undelete {state.Undo} puts them back.")
            );
        else if (Radius!.Count > 0)
            output.Text.WriteLine("Nothing was removed: this was a look.");
        return OnggiTool.Ok;
    }

    private long Rate => (long)((State!.Removed - Before) / Math.Max(Elapsed.TotalSeconds, 0.001));

    private string Milliseconds => probe.Worst.TotalMilliseconds.ToString("0.0", CultureInfo.InvariantCulture);

    private void WriteJson(ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("subject", subject.Name);
            json.WriteString("redis", Words.Place(client.Options));
            if (Radius is { } radius)
            {
                json.WriteNumber("keys", radius.Count);
                json.WriteNumber("allKeys", radius.AllKeys);
                json.WriteNumber("bytes", Math.Round(radius.Bytes));
                json.WriteNumber("bytesError", Math.Round(radius.BytesError));
                json.WriteStartArray("families");
                foreach (var group in radius.Groups)
                {
                    json.WriteStartObject();
                    if (group.Name.Length > 0)
                        json.WriteString("family", group.Name);
                    if (group.Owner is not null)
                        json.WriteString("owner", group.Owner);
                    if (group.Kind is not null)
                        json.WriteString("kind", group.Kind);
                    json.WriteNumber("keys", group.Count);
                    json.WriteNumber("bytes", Math.Round(group.Bytes));
                    json.WriteStartArray("sample");
                    foreach (var key in group.Shown)
                        json.WriteStringValue(key);
                    json.WriteEndArray();
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            }

            json.WriteBoolean("done", State is not null);
            if (State is { } state)
            {
                json.WriteNumber("removed", state.Removed);
                json.WriteNumber("removedNow", state.Removed - Before);
                json.WriteNumber("seconds", Math.Round(Elapsed.TotalSeconds, 3));
                json.WriteNumber("worstWaitMilliseconds", Math.Round(probe.Worst.TotalMilliseconds, 3));
                if (state.Undo is not null)
                {
                    json.WriteString("undo", state.Undo);
                    json.WriteNumber("saved", state.Saved);
                }
            }

            json.WriteEndObject();
        });

    private static string? WarningOf(string? kind) =>
        kind switch
        {
            "session" => "everybody is signed out; services may not hear of it: onggi sessions revoke tells them",
            "token" => "revoked tokens are good again until they end, and refresh tokens are lost",
            "lock" => "two may work on the same thing at once",
            "limit" => "who has spent a budget gets a new one",
            "stream" => "what nobody has handled yet is lost",
            "system" => "caches of all services begin anew, events are numbered from 1",
            _ => null,
        };

    private static string Size(double bytes, double error) =>
        error < 1 ? Words.Size((long)bytes) : $"about {Words.Size((long)bytes)} ± {Words.Size((long)error)}";

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
