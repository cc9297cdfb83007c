using System.CommandLine;
using Onggi.Cli.Migration;
using Onggi.Cli.Output;
using Onggi.Migration;

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
                    output.Json(json => MigrateReports.WriteJson(json, preflight, findings));
                else
                    MigrateReports.WriteTables(preflight, findings, output);
                return findings.Any(finding => finding.Level == FindingLevel.Fails) ? OnggiTool.Wrong : OnggiTool.Ok;
            }
        );
        return command;
    }

    private static Command Run(ToolOutput output)
    {
        var common = new Common();
        var yes = Inputs.Yes("Cuts over");
        var hold = new Option<bool>("--no-cut-over")
        {
            Description = "Stops when both sides are equal; the same command without it goes on.",
        };
        var follow = new Option<bool>("--follow")
        {
            Description = "Follows changes until it is stopped (Ctrl-C), and does not cut over: services compare their reads meanwhile.",
        };
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
        command.Options.Add(follow);
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
                    {
                        await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                        return OnggiTool.Wrong;
                    }
                    var follows = parsed.GetValue(follow);
                    var mayCutOver = !parsed.GetValue(hold) && !follows;
                    if (
                        mayCutOver
                        && !parsed.GetValue(yes)
                        && !await output.AskAsync(Question(session), "cut over", "--yes", cancellationToken).ConfigureAwait(false)
                    )
                        return OnggiTool.Wrong;
                    var result = await MoveAsync(session, output, AnswerAsync, cancellationToken).ConfigureAwait(false);
                    await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                    MigrateReports.WriteResult(result, session, parsed.GetValue(common.Json), output);
                    return OnggiTool.Ok;

                    async Task<bool> AnswerAsync(CancellationToken token)
                    {
                        if (follows)
                            await Task.Delay(Timeout.InfiniteTimeSpan, output.Time, token).ConfigureAwait(false);
                        return mayCutOver;
                    }
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
                    MigrateReports.WriteStatus(rules, state, epoch, parsed.GetValue(common.Json), output);
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
                    MigrateReports.WriteDifferences(compared, found, parsed.GetValue(common.Json), output);
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
