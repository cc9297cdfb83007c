using System.CommandLine;
using Onggi.Cli.Migration;
using Onggi.Cli.Output;
using Onggi.Migration;

namespace Onggi.Cli.Commands;

/// <summary>What a rollback has done.</summary>
/// <param name="Removed">How many copies were removed.</param>
/// <param name="Left">How many keys under the new names stay, because they are not known to be copies.</param>
/// <param name="WasDone">Whether it was done before.</param>
/// <param name="FenceNotSaved">Why a restart would give other rights than now; <c>null</c> where it would not.</param>
internal sealed record RolledBack(long Removed, long Left = 0, bool WasDone = false, string? FenceNotSaved = null);

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
                var rules = common.Rules(parsed);
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
                    + "Exit code 1 when something stands in the way."
            )
        );
        command.Options.Add(yes);
        command.Options.Add(hold);
        command.Options.Add(follow);
        command.Options.Add(accept);
        command.SetAction(
            (parsed, cancellationToken) =>
                common.UseAsync(
                    parsed,
                    new MigrationOptions { AcceptSource = parsed.GetValue(accept), Time = output.Time },
                    session => RunAsync(session, parsed, cancellationToken),
                    cancellationToken
                )
        );
        return command;

        async Task<int> RunAsync(MigrationSession session, ParseResult parsed, CancellationToken cancellationToken)
        {
            if (Refuse(session) is { } reason)
                throw new ToolException(reason);
            if (!await LooksGoodAsync(session, output, cancellationToken).ConfigureAwait(false))
                return OnggiTool.Wrong;
            var follows = parsed.GetValue(follow);
            var mayCutOver = !parsed.GetValue(hold) && !follows;
            if (mayCutOver && !parsed.GetValue(yes))
                await output
                    .NeedYesAsync(Question(session), "cut over", "--yes", "nothing was moved", cancellationToken)
                    .ConfigureAwait(false);
            var result = await MoveAsync(session, output, AnswerAsync, cancellationToken).ConfigureAwait(false);
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

    private static Command Status(ToolOutput output)
    {
        var common = new Common();
        var command = common.Add(new Command("status", "Says how far it has come, and which side is the true one."));
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = common.Rules(parsed);
                var state = Checkpoint.Load(common.StateFile(parsed)) ?? new Checkpoint { Name = rules.Name };
                var servers = await MigrationServers
                    .OpenAsync(rules, MigrationServers.NamePrefix + "status", cancellationToken)
                    .ConfigureAwait(false);
                await using (servers.ConfigureAwait(false))
                {
                    var epoch = MigrationControl.Parse(
                        rules,
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
            (parsed, cancellationToken) =>
                common.UseAsync(
                    parsed,
                    new MigrationOptions { Time = output.Time },
                    async session =>
                    {
                        var (compared, found) = await output
                            .ShowAsync(
                                "comparing",
                                "keys",
                                progress => CompareAsync(session, progress, cancellationToken),
                                cancellationToken
                            )
                            .ConfigureAwait(false);
                        MigrateReports.WriteDifferences(compared, found, parsed.GetValue(common.Json), output);
                        return found.Count == 0 ? OnggiTool.Ok : OnggiTool.Wrong;
                    },
                    cancellationToken
                )
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
                var rules = common.Rules(parsed);
                if (!parsed.GetValue(yes))
                    await output
                        .NeedYesAsync(
                            $"The keys of \"{rules.Name}\" go back, and their copies are removed.",
                            "roll back",
                            "--yes",
                            "nothing was rolled back",
                            cancellationToken
                        )
                        .ConfigureAwait(false);
                var result = await RollBackAsync(
                        rules,
                        common.StateFile(parsed),
                        new MigrationOptions { Time = output.Time },
                        output,
                        cancellationToken
                    )
                    .ConfigureAwait(false);
                MigrateReports.WriteRollback(result, parsed.GetValue(common.Json), output);
                return OnggiTool.Ok;
            }
        );
        return command;
    }

    /// <summary>All of the way back, wherever the migration stands.</summary>
    internal static async Task<RolledBack> RollBackAsync(
        MigrationRules rules,
        string stateFile,
        MigrationOptions options,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var undone = await MigrationSession
            .UseAsync(rules, stateFile, back: null, options, UndoAsync, cancellationToken)
            .ConfigureAwait(false);
        return undone
            ?? await MigrationSession
                .UseAsync(rules, stateFile, back: true, options, MoveBackAsync, cancellationToken)
                .ConfigureAwait(false);

        // Null where the keys must go back first.
        async Task<RolledBack?> UndoAsync(MigrationSession session)
        {
            if (session.State.Step == MigrationStep.Retired)
                throw new ToolException("the old keys have been removed: there is no way back but a backup.");
            // What stands under the new names since then is somebody's.
            if (session.State.Step == MigrationStep.RolledBack)
                return new RolledBack(0, WasDone: true);
            if (session.State.Back || session.Control.Epoch.Phase == MigrationPhase.New)
                return null;
            return await output
                .ShowAsync(
                    "removing",
                    "keys",
                    async progress =>
                    {
                        var end = new MigrationEnd(session, progress);
                        return new RolledBack(await end.UndoAsync(cancellationToken).ConfigureAwait(false), end.Left);
                    },
                    cancellationToken
                )
                .ConfigureAwait(false);
        }

        async Task<RolledBack> MoveBackAsync(MigrationSession back)
        {
            var moved = await MoveAsync(back, output, _ => Task.FromResult(true), cancellationToken).ConfigureAwait(false);
            var removed = await output
                .ShowAsync(
                    "removing",
                    "keys",
                    progress => new MigrationEnd(back, progress).CleanBehindAsync(rules, cancellationToken),
                    cancellationToken
                )
                .ConfigureAwait(false);
            return new RolledBack(removed, FenceNotSaved: moved.FenceNotSaved);
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
            (parsed, cancellationToken) =>
                common.UseAsync(
                    parsed,
                    new MigrationOptions { Time = output.Time },
                    async session =>
                    {
                        if (session.State.Step != MigrationStep.RolledBack)
                            throw new ToolException("only what was rolled back is released: the fence keeps old names from being written.");
                        var (rights, notSaved) = await session.ReleaseAsync(cancellationToken).ConfigureAwait(false);
                        MigrateReports.WriteReleased(rights, notSaved, parsed.GetValue(common.Json), output);
                        return OnggiTool.Ok;
                    },
                    cancellationToken
                )
        );
        return command;
    }

    private static Command Retire(ToolOutput output)
    {
        var common = new Common();
        var yes = Inputs.Yes("Removes the old keys");
        var undo = new Option<string?>("--undo", "-u")
        {
            Description =
                "Saves each old key with its value and its end to this file before it is removed, one file for each database; onggi undelete puts them back.",
            HelpName = "FILE",
        };
        var command = common.Add(
            new Command(
                "retire",
                "Removes the old keys, also of rules that were not moved, a few at a time. After that there is no way back but the file of --undo, or a backup."
            )
        );
        command.Options.Add(yes);
        command.Options.Add(undo);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var rules = common.Rules(parsed);
                var question =
                    $"All old keys are removed: {string.Join("; ", rules.Rules.Select(rule => $"db{rule.Database} {rule.From}*"))}{(parsed.GetValue(undo) is null ? ", and kept nowhere (--undo)" : "")}.";
                if (!parsed.GetValue(yes))
                    await output.NeedYesAsync(question, "remove", "--yes", "nothing was removed", cancellationToken).ConfigureAwait(false);
                return await common
                    .UseAsync(
                        parsed,
                        new MigrationOptions { Time = output.Time },
                        async session =>
                        {
                            var file = parsed.GetValue(undo);
                            var removed = await output
                                .ShowAsync(
                                    "removing",
                                    "keys",
                                    progress => new MigrationEnd(session, progress).RetireAsync(file, cancellationToken),
                                    cancellationToken
                                )
                                .ConfigureAwait(false);
                            MigrateReports.WriteRetired(
                                removed,
                                file is null ? [] : MigrationEnd.UndoFiles(rules, file),
                                parsed.GetValue(common.Json),
                                output
                            );
                            return OnggiTool.Ok;
                        },
                        cancellationToken
                    )
                    .ConfigureAwait(false);
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
            { Step: MigrationStep.Retiring } => "the old keys are being removed: let that end first (onggi migrate retire).",
            { Step: MigrationStep.Retired } => "the migration is over: the old keys have been removed.",
            _ => null,
        };

    private static string Question(MigrationSession session) =>
        $"When both sides are equal, {string.Join(", ", session.Rules.Writers)} may no longer write the old names, and the new side of \"{session.Rules.Name}\" is the true one.";

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

        public MigrationRules Rules(ParseResult parsed) => RulesFile.Load(parsed.GetRequiredValue(File));

        /// <summary>Works on the migration that the command line names, in the direction in which it is.</summary>
        public Task<int> UseAsync(
            ParseResult parsed,
            MigrationOptions options,
            Func<MigrationSession, Task<int>> work,
            CancellationToken cancellationToken
        ) => MigrationSession.UseAsync(Rules(parsed), StateFile(parsed), back: null, options, work, cancellationToken);

        public string StateFile(ParseResult parsed) => parsed.GetValue(State) ?? parsed.GetRequiredValue(File) + ".state";
    }
}
