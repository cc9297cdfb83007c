using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Migration;
using Onggi.Cli.Output;
using Onggi.Migration;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi migrate …</c>: moves keys to other names, another database or another server while they are used.</summary>
internal static class MigrateCommands
{
    public static Command Create(ToolOutput output) =>
        new(
            "migrate",
            "Moves keys to other prefixes, another database or another server while they are used, by a file of rules. "
                + "Begin with plan, then run; docs/operations/migration.md leads through it."
        )
        {
            Plan(output),
            Run(output),
            Status(output),
            Verify(output),
            Rollback(output),
            Release(output),
            Retire(output),
        };

    private static Command Plan(ToolOutput output)
    {
        var common = new Common();
        var command = common.Add(
            new Command(
                "plan",
                "Looks at both sides and counts what would be moved; moves nothing. Exit code 1 when something stands in the way."
            )
        );
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = RulesFile.Load(parsed.GetRequiredValue(common.File));
                var (preflight, findings) = await LookAsync(rules, output, cancellationToken).ConfigureAwait(false);
                if (parsed.GetValue(common.Json))
                    output.Json(json => WriteJson(json, preflight, findings));
                else
                    WriteTables(preflight, findings, output);
                return findings.Any(finding => finding.Level == FindingLevel.Fails) ? OnggiTool.Wrong : OnggiTool.Ok;
            }
        );
        return command;
    }

    private static Command Run(ToolOutput output)
    {
        var common = new Common();
        var yes = Inputs.Yes("Cuts over");
        var hold = new Option<bool>("--no-cut-over") { Description = "Stops when both sides are equal; run again to go on." };
        var accept = new Option<bool>("--accept-source") { Description = "Goes on with a source that was restarted and has lost keys." };
        var command = common.Add(
            new Command(
                "run",
                "Copies, follows changes, compares, and cuts over. To choose the moment, run it with --no-cut-over first, and again when it suits. Killed or stopped, the same command goes on. "
                    + "Exit code 1 when something stands in the way or the answer was no."
            )
        );
        command.Options.Add(yes);
        command.Options.Add(hold);
        command.Options.Add(accept);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = RulesFile.Load(parsed.GetRequiredValue(common.File));
                var options = new MigrationOptions { AcceptSource = parsed.GetValue(accept), Time = output.Time };
                var session = await MigrationSession
                    .OpenAsync(rules, common.StateFile(parsed), back: null, options, cancellationToken)
                    .ConfigureAwait(false);
                await using (session.ConfigureAwait(false))
                {
                    if (Refuse(session) is { } reason)
                        throw new ToolException(reason);
                    if (!await LooksGoodAsync(session, output, cancellationToken).ConfigureAwait(false))
                        return OnggiTool.Wrong;
                    var mayCutOver = !parsed.GetValue(hold);
                    if (
                        mayCutOver
                        && !parsed.GetValue(yes)
                        && !await output.AskAsync(Question(session), "cut over", "--yes", cancellationToken).ConfigureAwait(false)
                    )
                        return OnggiTool.Wrong;
                    var result = await MoveAsync(session, output, _ => Task.FromResult(mayCutOver), cancellationToken)
                        .ConfigureAwait(false);
                    await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                    WriteResult(result, session, parsed.GetValue(common.Json), output);
                    return result.Flipped || parsed.GetValue(hold) ? OnggiTool.Ok : OnggiTool.Wrong;
                }
            }
        );
        return command;
    }

    private static Command Status(ToolOutput output)
    {
        var common = new Common();
        var command = common.Add(new Command("status", "Says how far it has come, and which side is the true one."));
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = RulesFile.Load(parsed.GetRequiredValue(common.File));
                var state = Checkpoint.Load(common.StateFile(parsed)) ?? new Checkpoint { Name = rules.Name };
                var servers = await MigrationServers
                    .OpenAsync(rules, MigrationServers.NamePrefix + "status", cancellationToken)
                    .ConfigureAwait(false);
                await using (servers.ConfigureAwait(false))
                {
                    var epoch = MigrationEpoch.Parse(
                        await Onggi
                            .Client.StringCommands.GetStringAsync(servers.Target(), rules.EpochKey, cancellationToken)
                            .ConfigureAwait(false)
                    );
                    WriteStatus(rules, state, epoch, parsed.GetValue(common.Json), output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static Command Verify(ToolOutput output)
    {
        var common = new Common();
        var command = common.Add(
            new Command(
                "verify",
                "Compares every key with its copy: value, and end to the millisecond. Exit code 1 when one differs. While writers write, what they change differs for a moment; "
                    + "after the cut-over, what they have changed since does."
            )
        );
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = RulesFile.Load(parsed.GetRequiredValue(common.File));
                var session = await MigrationSession
                    .OpenAsync(rules, common.StateFile(parsed), back: null, new MigrationOptions { Time = output.Time }, cancellationToken)
                    .ConfigureAwait(false);
                await using (session.ConfigureAwait(false))
                {
                    var (compared, found) = await output
                        .ShowAsync("comparing", "keys", progress => CompareAsync(session, progress, cancellationToken), cancellationToken)
                        .ConfigureAwait(false);
                    await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                    WriteDifferences(compared, found, parsed.GetValue(common.Json), output);
                    return found.Count == 0 ? OnggiTool.Ok : OnggiTool.Wrong;
                }
            }
        );
        return command;
    }

    private static Command Rollback(ToolOutput output)
    {
        var common = new Common();
        var yes = Inputs.Yes("Rolls back");
        var command = common.Add(
            new Command(
                "rollback",
                "Makes the old side the only one again. Before the cut-over the copies are removed; after it what was written since is moved back first, with a cut-over of its own."
            )
        );
        command.Options.Add(yes);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = RulesFile.Load(parsed.GetRequiredValue(common.File));
                if (
                    !parsed.GetValue(yes)
                    && !await output
                        .AskAsync(
                            $"The keys of \"{rules.Name}\" go back, and their copies are removed.",
                            "roll back",
                            "--yes",
                            cancellationToken
                        )
                        .ConfigureAwait(false)
                )
                    return OnggiTool.Wrong;
                var removed = await RollBackAsync(
                        rules,
                        common.StateFile(parsed),
                        new MigrationOptions { Time = output.Time },
                        output,
                        cancellationToken
                    )
                    .ConfigureAwait(false);
                output.Text.WriteLine($"The old side is the only one. {removed} copies were removed.");
                return OnggiTool.Ok;
            }
        );
        return command;
    }

    /// <summary>All of the way back, wherever the migration stands.</summary>
    internal static async Task<long> RollBackAsync(
        MigrationRules rules,
        string stateFile,
        MigrationOptions options,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var session = await MigrationSession.OpenAsync(rules, stateFile, back: null, options, cancellationToken).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            if (session.State.Step == MigrationStep.Retired)
                throw new ToolException("the old keys have been removed: there is no way back but a backup.");
            if (!session.State.Back && session.Control.Epoch.Phase != MigrationPhase.New)
            {
                var removed = await output
                    .ShowAsync(
                        "removing",
                        "keys",
                        progress => new MigrationEnd(session, progress).UndoAsync(cancellationToken),
                        cancellationToken
                    )
                    .ConfigureAwait(false);
                await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                return removed;
            }
        }

        var back = await MigrationSession.OpenAsync(rules, stateFile, back: true, options, cancellationToken).ConfigureAwait(false);
        await using (back.ConfigureAwait(false))
        {
            await MoveAsync(back, output, _ => Task.FromResult(true), cancellationToken).ConfigureAwait(false);
            var removed = await output
                .ShowAsync(
                    "removing",
                    "keys",
                    progress => new MigrationEnd(back, progress).CleanBehindAsync(rules, cancellationToken),
                    cancellationToken
                )
                .ConfigureAwait(false);
            await back.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
            return removed;
        }
    }

    private static Command Release(ToolOutput output)
    {
        var common = new Common();
        var command = common.Add(
            new Command(
                "release",
                "Gives the writers back the rights they had before the fence: after a rollback, once every service reads and writes the old side again."
            )
        );
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = RulesFile.Load(parsed.GetRequiredValue(common.File));
                var session = await MigrationSession
                    .OpenAsync(rules, common.StateFile(parsed), back: null, new MigrationOptions { Time = output.Time }, cancellationToken)
                    .ConfigureAwait(false);
                await using (session.ConfigureAwait(false))
                {
                    if (session.State.Step != MigrationStep.RolledBack)
                        throw new ToolException("only what was rolled back is released: the fence keeps old names from being written.");
                    var old = session.State.Back ? session.Servers.Target() : session.Servers.Source();
                    await new WriteFence(old, rules, session.Servers.IsOneServer)
                        .LiftAsync(session.State.Fenced, cancellationToken)
                        .ConfigureAwait(false);
                    output.Text.WriteLine(
                        session.State.Fenced.Count == 0
                            ? "There was no fence."
                            : $"As before: {string.Join("; ", session.State.Fenced.Select(right => $"{right.Key} {right.Value}"))}"
                    );
                    session.State.Fenced = [];
                    session.Save();
                    await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static Command Retire(ToolOutput output)
    {
        var common = new Common();
        var yes = Inputs.Yes("Removes the old keys");
        var command = common.Add(
            new Command("retire", "Removes the old keys, a few at a time. After that there is no way back but a backup.")
        );
        command.Options.Add(yes);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = RulesFile.Load(parsed.GetRequiredValue(common.File));
                var question =
                    $"All old keys are removed: {string.Join("; ", rules.Rules.Select(rule => $"db{rule.Database} {rule.From}*"))}.";
                if (!parsed.GetValue(yes) && !await output.AskAsync(question, "remove", "--yes", cancellationToken).ConfigureAwait(false))
                    return OnggiTool.Wrong;
                var session = await MigrationSession
                    .OpenAsync(rules, common.StateFile(parsed), back: null, new MigrationOptions { Time = output.Time }, cancellationToken)
                    .ConfigureAwait(false);
                await using (session.ConfigureAwait(false))
                {
                    var removed = await output
                        .ShowAsync(
                            "removing",
                            "keys",
                            progress => new MigrationEnd(session, progress).RetireAsync(cancellationToken),
                            cancellationToken
                        )
                        .ConfigureAwait(false);
                    await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                    output.Text.WriteLine($"{removed} old keys were removed.");
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static string? Refuse(MigrationSession session) =>
        session.State switch
        {
            { Back: true, Step: < MigrationStep.RolledBack } or { Step: MigrationStep.RollingBack } =>
                "the migration is being rolled back: let that end first (onggi migrate rollback).",
            { Step: MigrationStep.RolledBack } => "the migration was rolled back. To begin anew, put its state file away.",
            { Step: MigrationStep.Retired } => "the migration is over: the old keys have been removed.",
            _ => null,
        };

    private static string Question(MigrationSession session) =>
        $"When both sides are equal, {string.Join(", ", session.Rules.Writers)} will be refused to write the old names, and \"{session.Rules.Name}\" becomes new.";

    private static Task<MigrationResult> MoveAsync(
        MigrationSession session,
        ToolOutput output,
        Func<CancellationToken, Task<bool>> mayCutOver,
        CancellationToken cancellationToken
    ) =>
        output.ShowAsync(
            session.State.Back ? "moving back" : "moving",
            "keys",
            progress => new MigrationRun(session, progress).RunAsync(mayCutOver, cancellationToken),
            cancellationToken
        );

    // Once begun, what it looks for is there because of it.
    private static async Task<bool> LooksGoodAsync(MigrationSession session, ToolOutput output, CancellationToken cancellationToken)
    {
        if (session.State.Step > MigrationStep.Planned)
            return true;
        var findings = await output
            .ShowAsync(
                "looking",
                "keys",
                progress => new Preflight(session.Rules, session.Servers, session.Big, progress, output.Time).RunAsync(cancellationToken),
                cancellationToken
            )
            .ConfigureAwait(false);
        var bad = findings.Where(finding => finding.Level != FindingLevel.Ok).ToList();
        foreach (var finding in bad)
            await output
                .Error.WriteLineAsync(
                    $"{(finding.Level == FindingLevel.Fails ? "error" : "warning")} {finding.Code}: {finding.What} {finding.Fix}"
                )
                .ConfigureAwait(false);
        return bad.TrueForAll(finding => finding.Level != FindingLevel.Fails);
    }

    private static async Task<(Preflight Preflight, IReadOnlyList<Finding> Findings)> LookAsync(
        MigrationRules rules,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var servers = await MigrationServers
            .OpenAsync(rules, MigrationServers.NamePrefix + "plan", cancellationToken)
            .ConfigureAwait(false);
        await using (servers.ConfigureAwait(false))
        {
            return await output
                .ShowAsync(
                    "looking",
                    "keys",
                    async progress =>
                    {
                        var preflight = new Preflight(rules, servers, new BigKeys(rules), progress, output.Time);
                        return (preflight, await preflight.RunAsync(cancellationToken).ConfigureAwait(false));
                    },
                    cancellationToken
                )
                .ConfigureAwait(false);
        }
    }

    private static async Task<(long Compared, List<KeyMismatch> Found)> CompareAsync(
        MigrationSession session,
        ToolProgress progress,
        CancellationToken cancellationToken
    )
    {
        var comparison = new Comparison(session, progress, tracker: null);
        var found = await comparison.RunAsync(cancellationToken).ConfigureAwait(false);
        return (comparison.Compared, found);
    }

    private static void WriteTables(Preflight preflight, IReadOnlyList<Finding> findings, ToolOutput output)
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

    private static void WriteJson(Utf8JsonWriter json, Preflight preflight, IReadOnlyList<Finding> findings)
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

    private static void WriteResult(MigrationResult result, MigrationSession session, bool asJson, ToolOutput output)
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
                json.WriteEndObject();
            });
            return;
        }

        if (result.WasDone)
            output.Text.WriteLine($"\"{session.Rules.Name}\" was new already (epoch {session.Control.Epoch}).");
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
                    $"\"{session.Rules.Name}\" is new (epoch {session.Control.Epoch}); writers waited {result.Pause.TotalMilliseconds:0} ms."
                )
            );
        else if (!result.Flipped)
            output.Text.WriteLine("Not cut over. The copies go stale from now on; the same command catches up.");
    }

    private static void WriteStatus(MigrationRules rules, Checkpoint state, MigrationEpoch epoch, bool asJson, ToolOutput output)
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
                json.WriteStartObject("rightsBeforeTheFence");
                foreach (var (writer, patterns) in state.Fenced)
                    json.WriteString(writer, patterns);
                json.WriteEndObject();
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

    private static void WriteDifferences(long compared, List<KeyMismatch> found, bool asJson, ToolOutput output)
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

    /// <summary>What all of them take.</summary>
    private sealed class Common
    {
        public Argument<string> File { get; } =
            new("RULES") { Description = "The file of rules.", DefaultValueFactory = _ => "migration.json" };

        public Option<string?> State { get; } =
            new("--state") { Description = "Where it is written down how far it has come; RULES.state otherwise.", HelpName = "FILE" };

        public Option<bool> Json { get; } = Inputs.Json();

        public Command Add(Command command)
        {
            command.Arguments.Add(File);
            command.Options.Add(State);
            command.Options.Add(Json);
            return command;
        }

        public string StateFile(ParseResult parsed) => parsed.GetValue(State) ?? parsed.GetRequiredValue(File) + ".state";
    }
}
