using System.CommandLine;
using System.Globalization;
using Onggi.Cli.Operations;
using Onggi.Cli.Operations.Deleting;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi delete</c>: removes keys by pattern or family, at a pace that others do not notice.</summary>
internal static class DeleteCommand
{
    private const string Everything = "everything";

    public static Command Create(ToolOutput output)
    {
        var inputs = new DeleteInputs();
        var command = new Command(
            "delete",
            "Removes keys by pattern or by family. First it counts and changes nothing: how many, how large, whose, and some of them; then it asks. "
                + "It removes in batches, smaller ones as soon as other clients wait for them, and can be stopped at any time: the same command again goes on where it was."
        );
        foreach (var option in inputs.All)
            command.Add(option);
        command.Validators.Add(result =>
        {
            if ((result.GetValue(inputs.Pattern) is null) == (result.GetValue(inputs.Family) is null))
                result.AddError("Say what to delete: either --pattern or --family.");
            if (result.GetValue(inputs.Pattern) is { Length: 0 })
                result.AddError("The pattern is empty. Write one such as \"dev:customer:*\", in quotes so that the shell leaves it alone.");
        });
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.FindKeyspace(parsed.GetValue(inputs.Catalog), parsed.GetValue(inputs.Environment));
                var subject = parsed.GetValue(inputs.Family) is { } name
                    ? DeleteSubject.Of(FamilyChoice.Named(name, keyspace), keyspace!)
                    : DeleteSubject.Of(parsed.GetRequiredValue(inputs.Pattern)!, keyspace);
                RefuseEverything(subject, inputs, parsed);
                var client = await Inputs.ConnectAsync(parsed.GetValue(inputs.Redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                    return await RunAsync(client, subject, inputs, parsed, output, cancellationToken).ConfigureAwait(false);
            }
        );
        return command;
    }

    // Who can be asked is asked; who answers in advance must have meant it.
    private static void RefuseEverything(DeleteSubject subject, DeleteInputs inputs, ParseResult parsed)
    {
        if (subject.IsEverything && parsed.GetValue(inputs.Yes) && !parsed.GetValue(inputs.YesAll))
            throw new ToolException(
                $"{subject.Name} spares nothing of what this team has in Redis: sessions, locks and all. Name a family, or add --yes-all if everything is meant."
            );
    }

    private static async Task<int> RunAsync(
        RedisClient client,
        DeleteSubject subject,
        DeleteInputs inputs,
        ParseResult parsed,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var budget = TimeSpan.FromMilliseconds(parsed.GetValue(inputs.Latency));
        var onlyLook = parsed.GetValue(inputs.DryRun);
        var file = new DeleteStateFile(parsed.GetRequiredValue(inputs.State), output.Time);
        var state = onlyLook ? null : Resumed(file, subject, client, inputs, parsed);
        var probe = await LatencyProbe.StartAsync(client.Options, output.Time, cancellationToken).ConfigureAwait(false);
        await using (probe.ConfigureAwait(false))
        {
            var report = new DeleteReport(subject, client, probe);
            if (onlyLook || !(parsed.GetValue(inputs.Yes) || parsed.GetValue(inputs.YesAll)))
            {
                report.Radius = await LookAsync(client, subject, probe, new Pace(budget), output, cancellationToken).ConfigureAwait(false);
                if (!parsed.GetValue(inputs.Json))
                    report.WriteRadius(output);
                // What was begun is ended properly, also where nothing is left of it.
                if (onlyLook || (report.Radius.Count == 0 && state is null))
                    return report.Write(parsed.GetValue(inputs.Json), output);
                if (report.Radius.Count > 0)
                    await AskAsync(client, subject, report.Radius, output, cancellationToken).ConfigureAwait(false);
            }

            report.State = await PrepareAsync(state, client, subject, parsed.GetValue(inputs.Undo), output, cancellationToken)
                .ConfigureAwait(false);
            var undo = OpenUndo(report.State, isResumed: state is not null);
            try
            {
                var deleter = new KeyDeleter(client, subject, file, output.Time)
                {
                    Pace = new Pace(budget),
                    Probe = probe,
                    Undo = undo,
                };
                await DeleteAsync(deleter, report, output, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                if (undo is not null)
                    await undo.DisposeAsync().ConfigureAwait(false);
            }

            return report.Write(parsed.GetValue(inputs.Json), output);
        }
    }

    private static async Task<BlastRadius> LookAsync(
        RedisClient client,
        DeleteSubject subject,
        LatencyProbe probe,
        Pace pace,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var all = await client.SendAsync(["DBSIZE"], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        return await output
            .ShowAsync(
                "counting",
                "keys looked at",
                progress =>
                {
                    progress.Expect(all * subject.Patterns.Count);
                    return BlastRadius.MeasureAsync(client, subject, probe, pace, progress, output.Time, cancellationToken);
                },
                cancellationToken
            )
            .ConfigureAwait(false);
    }

    private static async Task AskAsync(
        RedisClient client,
        DeleteSubject subject,
        BlastRadius radius,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var all = subject.IsEverything || radius.Count == radius.AllKeys;
        var question =
            $"{Words.Place(client.Options)}: {Words.Count(radius.Count, "key", "keys")} will be removed{(all ? ", and nothing is spared" : "")}.";
        var word = all ? Everything : radius.Count.ToString(CultureInfo.InvariantCulture);
        await output
            .NeedYesAsync(question, word, all ? "--yes-all" : "--yes", "nothing was removed", cancellationToken)
            .ConfigureAwait(false);
    }

    // What an earlier run left, where it was the same.
    private static DeleteState? Resumed(
        DeleteStateFile file,
        DeleteSubject subject,
        RedisClient client,
        DeleteInputs inputs,
        ParseResult parsed
    )
    {
        if (parsed.GetValue(inputs.Anew) || file.Read() is not { } state)
            return null;
        if (state.Subject != subject.Name || state.Redis != Words.Place(client.Options))
            throw new ToolException(
                $"{file.Path} is of another delete that is not finished: {state.Subject} at {state.Redis}, {state.Removed} removed so far. Go on with that one first, or name another file with --state, or forget it with --anew."
            );
        if (parsed.GetValue(inputs.Undo) is { } undo && undo != state.Undo)
            throw new ToolException(
                $"the delete that {file.Path} is of keeps its keys in {state.Undo ?? "no file"}, not in {undo}. Go on with the same --undo, or begin again with --anew."
            );
        return state;
    }

    private static async Task<DeleteState> PrepareAsync(
        DeleteState? left,
        RedisClient client,
        DeleteSubject subject,
        string? undo,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var life = await KeyDeleter.RunIdAsync(client, cancellationToken).ConfigureAwait(false);
        if (left is null)
            return new DeleteState
            {
                Subject = subject.Name,
                Redis = Words.Place(client.Options),
                RunId = life,
                Began = output.Time.GetUtcNow(),
                Undo = undo,
            };
        var same = life.Length > 0 && life == left.RunId;
        if (!same)
            left.BeginAnew(life);
        await output
            .Error.WriteLineAsync(
                $"onggi: going on with what was begun at {left.Began:u}: {left.Removed} removed so far{(same ? "." : "; the server was started anew or cannot be told from another, so all names are looked at again.")}".AsMemory(),
                cancellationToken
            )
            .ConfigureAwait(false);
        return left;
    }

    private static async Task DeleteAsync(KeyDeleter deleter, DeleteReport report, ToolOutput output, CancellationToken cancellationToken)
    {
        var (client, subject, state) = (report.Client, report.Subject, report.State!);
        report.Before = state.Removed;
        var all = await client.SendAsync(["DBSIZE"], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        var began = output.Time.GetTimestamp();
        try
        {
            await output
                .ShowAsync(
                    "removing",
                    "keys looked at",
                    async progress =>
                    {
                        progress.Expect(all * subject.Patterns.Count);
                        await deleter.RunAsync(state, progress, cancellationToken).ConfigureAwait(false);
                        return true;
                    },
                    cancellationToken
                )
                .ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is RedisException or IOException or OperationCanceledException)
        {
            await output
                .Error.WriteLineAsync(
                    $"onggi: {Words.Count(state.Removed, "key was", "keys were")} removed{(state.Undo is null ? "" : $", {state.Saved} of them are in {state.Undo}")}. The same command again goes on from there: {deleter.File.Path} says where that is."
                )
                .ConfigureAwait(false);
            throw;
        }

        report.Elapsed = output.Time.GetElapsedTime(began);
    }

    private static UndoWriter? OpenUndo(DeleteState state, bool isResumed) =>
        state.Undo is null ? null
        : isResumed && (state.Saved > 0 || File.Exists(state.Undo)) ? UndoWriter.Continue(state.Undo)
        : UndoWriter.Create(state.Undo, new UndoHeader(state.Subject, state.Redis, state.Began));
}
