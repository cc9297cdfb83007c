using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Migration;
using Onggi.Cli.Output;
using Onggi.Migration;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary>What <c>onggi migrate</c> writes.</summary>
internal static class MigrateReports
{
    public static void WriteTables(Preflight preflight, IReadOnlyList<Finding> findings, ToolOutput output)
    {
        var counts = ToolOutput.Table("rule", "keys", "memory", "moves");
        foreach (var count in preflight.Counts)
            counts.AddRow(
                Markup.Escape(count.Rule.ToString()),
                count.Keys.ToString("N0", CultureInfo.InvariantCulture),
                Words.Size(count.Bytes),
                count.Rule.Moves ? "yes"
                    : count.Rule.Class == MigrationClass.Lock ? "no: waits until none is held"
                    : "no: is loaded again"
            );
        output.Console.Write(counts);
        foreach (var finding in findings)
        {
            output.Text.WriteLine($"{Word(finding.Level), -7} {finding.Code} {finding.What}");
            if (finding.Fix.Length > 0 && finding.Level != FindingLevel.Ok)
                output.Text.WriteLine($"        {finding.Fix}");
        }
    }

    private static string Word(FindingLevel level) =>
        level switch
        {
            FindingLevel.Ok => "ok",
            FindingLevel.Warning => "warning",
            _ => "error",
        };

    public static void WriteJson(Utf8JsonWriter json, Preflight preflight, IReadOnlyList<Finding> findings)
    {
        json.WriteStartObject();
        json.WriteStartArray("rules");
        foreach (var count in preflight.Counts)
        {
            json.WriteStartObject();
            json.WriteNumber("db", count.Rule.Database);
            json.WriteString("from", count.Rule.From);
            json.WriteNumber("toDb", count.Rule.TargetDatabase);
            json.WriteString("to", count.Rule.To);
            json.WriteBoolean("moves", count.Rule.Moves);
            json.WriteNumber("keys", count.Keys);
            json.WriteNumber("bytes", count.Bytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("otherKeys", preflight.Others);
        json.WriteStartArray("findings");
        foreach (var finding in findings)
        {
            json.WriteStartObject();
            json.WriteString("code", finding.Code);
            json.WriteString("level", Word(finding.Level));
            json.WriteString("what", finding.What);
            if (finding.Fix.Length > 0)
                json.WriteString("fix", finding.Fix);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void WriteResult(MigrationResult result, MigrationSession session, bool asJson, ToolOutput output)
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteString("name", session.Rules.Name);
                json.WriteString("epoch", session.Control.Epoch.ToString());
                json.WriteBoolean("cutOver", result.Flipped);
                json.WriteNumber("copied", result.Copied);
                json.WriteNumber("copiedAgain", result.Again);
                json.WriteNumber("compared", result.Compared);
                json.WriteNumber("repaired", result.Repaired);
                json.WriteNumber("copySeconds", Math.Round(result.CopyTime.TotalSeconds, 3));
                json.WriteNumber("pauseMilliseconds", Math.Round(result.Pause.TotalMilliseconds, 1));
                WriteNotSaved(json, result.FenceNotSaved);
                json.WriteEndObject();
            });
            return;
        }

        WriteNotSaved(result.FenceNotSaved, output);
        if (result.WasDone)
            output.Text.WriteLine(
                $"\"{session.Rules.Name}\" was cut over already: the new side is the true one (epoch {session.Control.Epoch})."
            );
        else
            output.Text.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{result.Copied:N0} keys copied in {result.CopyTime.TotalSeconds:0.00} s, {result.Again:N0} copied again after changes, {result.Compared:N0} compared, {result.Repaired:N0} repaired."
                )
            );
        if (result is { Flipped: true, WasDone: false })
            output.Text.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"\"{session.Rules.Name}\" is cut over: the new side is the true one (epoch {session.Control.Epoch}); writers waited {result.Pause.TotalMilliseconds:0} ms."
                )
            );
        else if (!result.Flipped)
            output.Text.WriteLine("Not cut over. The copies go stale from now on; the same command catches up.");
    }

    public static void WriteRollback(RolledBack result, bool asJson, ToolOutput output)
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteNumber("removed", result.Removed);
                json.WriteNumber("left", result.Left);
                json.WriteBoolean("wasDone", result.WasDone);
                WriteNotSaved(json, result.FenceNotSaved);
                json.WriteEndObject();
            });
            return;
        }

        WriteNotSaved(result.FenceNotSaved, output);
        output.Text.WriteLine(
            result.WasDone
                ? "It was rolled back before: nothing was removed."
                : $"The old side is the only one. {result.Removed} copies were removed."
        );
        if (result.Left > 0)
            output.Text.WriteLine(
                $"{result.Left} keys under the new names are not equal to old ones, and no state says that they are copies: they stay."
            );
    }

    public static void WriteReleased(IReadOnlyDictionary<string, string> rights, string? notSaved, bool asJson, ToolOutput output)
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                WriteRights(json, "rights", rights);
                WriteNotSaved(json, notSaved);
                json.WriteEndObject();
            });
            return;
        }

        WriteNotSaved(notSaved, output);
        output.Text.WriteLine(
            rights.Count == 0
                ? "There was no fence."
                : $"As before: {string.Join("; ", rights.Select(right => $"{right.Key} {right.Value}"))}"
        );
    }

    public static void WriteRetired(long removed, IReadOnlyList<string> undo, bool asJson, ToolOutput output)
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteNumber("removed", removed);
                json.WriteStartArray("undo");
                foreach (var file in undo)
                    json.WriteStringValue(file);
                json.WriteEndArray();
                json.WriteEndObject();
            });
            return;
        }

        output.Text.WriteLine($"{removed} old keys were removed.");
        if (undo.Count > 0)
            output.Text.WriteLine(
                $"They are in {string.Join(", ", undo)}: onggi undelete puts them back, with the old server and database in --redis or {Inputs.RedisVariable}: host:port,…,defaultDatabase=1"
            );
    }

    private static void WriteRights(Utf8JsonWriter json, string name, IReadOnlyDictionary<string, string> rights)
    {
        json.WriteStartObject(name);
        foreach (var (writer, patterns) in rights)
            json.WriteString(writer, patterns);
        json.WriteEndObject();
    }

    private static void WriteNotSaved(Utf8JsonWriter json, string? problem)
    {
        if (problem is not null)
            json.WriteString("fenceNotSaved", problem);
    }

    private static void WriteNotSaved(string? problem, ToolOutput output)
    {
        if (problem is not null)
            output.Error.WriteLine(
                $"warning: the users could not be written into the aclfile, and a restart undoes what was set: {problem}"
            );
    }

    public static void WriteStatus(MigrationRules rules, Checkpoint state, MigrationEpoch epoch, bool asJson, ToolOutput output)
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteString("name", rules.Name);
                json.WriteString("epochKey", rules.EpochKey);
                json.WriteString("epoch", epoch.ToString());
                json.WriteString("trueSide", epoch.Phase == MigrationPhase.New ? "new" : "old");
                json.WriteString("step", state.Step.ToString());
                json.WriteBoolean("back", state.Back);
                json.WriteNumber("copied", state.Copied);
                if (state.PauseMilliseconds is { } pause)
                    json.WriteNumber("pauseMilliseconds", Math.Round(pause, 1));
                WriteRights(json, "rightsBeforeTheFence", state.Fenced);
                json.WriteEndObject();
            });
            return;
        }

        output.Text.WriteLine(
            $"{rules.Name}: the {(epoch.Phase == MigrationPhase.New ? "new" : "old")} side is the true one ({rules.EpochKey} = {epoch})."
        );
        output.Text.WriteLine(
            $"Step: {state.Step}{(state.Back ? ", on the way back" : "")}. {state.Copied} keys copied by the first walk."
        );
        foreach (var (writer, patterns) in state.Fenced)
            output.Text.WriteLine($"Before the fence {writer} had: {patterns}");
    }

    public static void WriteDifferences(long compared, List<KeyMismatch> found, bool asJson, ToolOutput output)
    {
        const int Shown = 20;
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteNumber("compared", compared);
                json.WriteNumber("different", found.Count);
                json.WriteNumber("maxEndDifferenceMilliseconds", found.Select(one => one.EndDifference).DefaultIfEmpty().Max());
                json.WriteStartArray("keys");
                foreach (var mismatch in found.Take(1000))
                {
                    json.WriteStartObject();
                    json.WriteString("kind", mismatch.Kind.ToString().ToLowerInvariant());
                    json.WriteString("source", mismatch.Move.Source.ToString());
                    json.WriteString("target", mismatch.Move.Target.ToString());
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                json.WriteEndObject();
            });
            return;
        }

        foreach (var mismatch in found.Take(Shown))
            output.Text.WriteLine($"{mismatch.Kind.ToString().ToLowerInvariant(), -8} {mismatch.Move.Source} → {mismatch.Move.Target}");
        if (found.Count > Shown)
            output.Text.WriteLine($"… and {found.Count - Shown} more.");
        output.Text.WriteLine($"{compared.ToString("N0", CultureInfo.InvariantCulture)} keys compared, {found.Count} differ.");
    }
}
