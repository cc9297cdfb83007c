using Onggi.Cli.Operations.Deleting;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Migration;

namespace Onggi.Cli.Migration;

/// <summary>What comes after: back to the beginning, or the old keys gone for good.</summary>
internal sealed class MigrationEnd(MigrationSession session, ToolProgress progress)
{
    private const int AtATime = 500;

    /// <summary>Keys under the new names that are no copies, or no longer: where it is not known what was copied, they stay.</summary>
    public long Left { get; private set; }

    /// <summary>Makes the source the only side again, where it still is the true one: the fence is lifted, and what was copied is removed.</summary>
    /// <returns>How many keys were removed.</returns>
    /// <exception cref="ToolException">The target is the true side: then the keys must go back first. Or nothing was begun: then nothing under the new names is ours.</exception>
    public async Task<long> UndoAsync(CancellationToken cancellationToken)
    {
        if (session.Control.Epoch.Phase == MigrationPhase.New)
            throw new ToolException("the new side is the true one: its keys must be moved back first.");
        if (session.State.Step == MigrationStep.Planned && session.Control.Epoch.Number == 0)
            throw new ToolException(
                "nothing was begun: there is neither an epoch nor a state that says so. What stands under the new names is somebody's, and stays."
            );
        if (session.State.Step is MigrationStep.Fencing or MigrationStep.Flipping)
            await session.LiftFenceAsync(cancellationToken).ConfigureAwait(false);
        return await CleanAsync(session.Rules, isOurs: session.State.Step != MigrationStep.Planned, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <summary>Removes the copies at the new side, after the keys have gone back.</summary>
    /// <param name="forward">The rules as the file has them.</param>
    /// <param name="cancellationToken">Stops it; the next run goes on.</param>
    public Task<long> CleanBehindAsync(MigrationRules forward, CancellationToken cancellationToken) =>
        CleanAsync(forward, isOurs: true, cancellationToken);

    /// <summary>Removes the old keys, of all rules, a few at a time.</summary>
    /// <param name="undo">The file in which they are kept, one for each database where there are several; <c>null</c> for none.</param>
    /// <param name="cancellationToken">Stops it; the next run goes on.</param>
    /// <exception cref="ToolException">The new side is not the true one; or the file is there, gone, or another one than before.</exception>
    public async Task<long> RetireAsync(string? undo, CancellationToken cancellationToken)
    {
        if (session.Control.Epoch.Phase != MigrationPhase.New || session.State.Back)
            throw new ToolException("the new side is not the true one: the old keys are the only ones, or about to be.");
        var isBegun = session.State.Step == MigrationStep.Retiring;
        if (isBegun && undo != session.State.Undo)
            throw new ToolException(
                $"what was removed so far is kept in {session.State.Undo ?? "no file"}, not in {undo ?? "none"}. Go on with the same --undo."
            );
        if (!isBegun && undo is not null && UndoFiles(session.Rules, undo).FirstOrDefault(File.Exists) is { } there)
            throw new ToolException($"{there} is there already, and may be all that is left of other keys: name another file.");
        session.State.Undo = undo;
        session.Enter(MigrationStep.Retiring);
        var removed = 0L;
        foreach (var rules in session.Rules.Rules.GroupBy(rule => rule.Database))
        {
            var bundle = OpenUndo(undo, rules.Key);
            try
            {
                foreach (var rule in rules)
                    removed += await RetireAsync(rule, bundle, cancellationToken).ConfigureAwait(false);
                if (bundle is not null)
                    await bundle.FinishAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                if (bundle is not null)
                    await bundle.DisposeAsync().ConfigureAwait(false);
            }
        }

        session.Enter(MigrationStep.Retired);
        return removed;
    }

    /// <summary>The files in which the old keys are kept.</summary>
    public static IReadOnlyList<string> UndoFiles(MigrationRules rules, string undo)
    {
        var databases = rules.Rules.Select(rule => rule.Database).Distinct().ToList();
        return databases.Count == 1 ? [undo] : databases.ConvertAll(database => UndoFile(undo, database));
    }

    private static string UndoFile(string undo, int database) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{undo}.db{database}");

    private UndoWriter? OpenUndo(string? undo, int database)
    {
        if (undo is null)
            return null;
        var file = UndoFiles(session.Rules, undo) is [var only] ? only : UndoFile(undo, database);
        return File.Exists(file)
            ? UndoWriter.Continue(file)
            : UndoWriter.Create(
                file,
                new UndoHeader(
                    $"old keys of the migration {session.Rules.Name}",
                    Words.Place(session.Servers.Source(database).Options),
                    session.Options.Time.GetUtcNow()
                )
            );
    }

    private async Task<long> RetireAsync(MigrationRule rule, UndoWriter? bundle, CancellationToken cancellationToken)
    {
        var (client, removed) = (session.Servers.Source(rule.Database), 0L);
        foreach (var prefix in (string[])[rule.From, "{" + rule.From])
            removed += await RemoveAsync(
                    client,
                    prefix,
                    async keys =>
                    {
                        keys.RemoveAll(key => session.Map.IsSystem(key) || session.Map.RuleOf(rule.Database, key) != rule);
                        if (bundle is not null)
                            await bundle.SaveAsync(client, keys.ConvertAll(key => key.Bytes), cancellationToken).ConfigureAwait(false);
                    },
                    cancellationToken
                )
                .ConfigureAwait(false);
        return removed;
    }

    private async Task<long> CleanAsync(MigrationRules forward, bool isOurs, CancellationToken cancellationToken)
    {
        session.Enter(MigrationStep.RollingBack);
        await session.Control.EnterAsync(MigrationPhase.Old, cancellationToken).ConfigureAwait(false);
        var map = new KeyMap(forward);
        var removed = 0L;
        foreach (var rule in forward.Rules.Where(rule => rule.Moves))
        {
            // The side they were copied to: after the way back it is the source.
            var client = session.State.Back ? session.Servers.Source(rule.TargetDatabase) : session.Servers.Target(rule.TargetDatabase);
            foreach (var prefix in (string[])[rule.To, "{" + rule.To])
                removed += await RemoveAsync(
                        client,
                        prefix,
                        async keys =>
                        {
                            keys.RemoveAll(key => !map.Origins(rule.TargetDatabase, key).Any());
                            if (!isOurs)
                                await KeepOthersAsync(rule.TargetDatabase, keys, cancellationToken).ConfigureAwait(false);
                        },
                        cancellationToken
                    )
                    .ConfigureAwait(false);
        }

        (session.State.Cursors, session.State.Copied) = ([], 0);
        session.Enter(MigrationStep.RolledBack);
        return removed;
    }

    // Whoever lost the state has lost what he began with: only what is equal to its source is a copy for certain.
    private async Task KeepOthersAsync(int database, List<KeyName> keys, CancellationToken cancellationToken)
    {
        var pairs = keys.SelectMany(key => session.Map.Origins(database, key)).ToList();
        var differ = await session.Comparer.CompareAsync(pairs, cancellationToken).ConfigureAwait(false);
        var copies = pairs.Except(differ.Select(mismatch => mismatch.Move)).Select(pair => pair.Target).ToHashSet();
        Left += keys.RemoveAll(key => !copies.Contains(key));
    }

    // As long a rest as the work took: nobody else is to notice.
    private async Task<long> RemoveAsync(
        RedisClient client,
        string prefix,
        Func<List<KeyName>, Task> choose,
        CancellationToken cancellationToken
    )
    {
        var removed = 0L;
        progress.Note = "removing";
        var writer = await session.Control.OpenAsync(client, cancellationToken).ConfigureAwait(false);
        await using var held = writer.ConfigureAwait(false);
        for (var cursor = "0"; cursor != "done"; )
        {
            var page = await MigrationSession
                .PageAsync(client, cursor, KeyMap.Glob(prefix), AtATime, cancellationToken)
                .ConfigureAwait(false);
            cursor = page.Cursor == "0" ? "done" : page.Cursor;
            var keys = page.Items.Select(key => new KeyName(key!)).ToList();
            var began = session.Options.Time.GetTimestamp();
            await choose(keys).ConfigureAwait(false);
            if (keys.Count == 0)
                continue;
            RedisArg[] words = ["UNLINK", .. keys.Select(key => (RedisArg)key.Bytes)];
            removed += await writer.SendAsync(words, ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
            progress.Add(keys.Count);
            await session.Options.ReachAsync("removing").ConfigureAwait(false);
            await Task.Delay(session.Options.Time.GetElapsedTime(began), session.Options.Time, cancellationToken).ConfigureAwait(false);
        }

        return removed;
    }
}
