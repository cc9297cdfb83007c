using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Migration;

namespace Onggi.Cli.Migration;

/// <summary>What comes after: back to the beginning, or the old keys gone for good.</summary>
internal sealed class MigrationEnd(MigrationSession session, ToolProgress progress)
{
    private const int AtATime = 500;

    /// <summary>Makes the source the only side again, where it still is the true one: the fence is lifted, and what was copied is removed.</summary>
    /// <returns>How many keys were removed.</returns>
    /// <exception cref="ToolException">The target is the true side: then the keys must go back first.</exception>
    public async Task<long> UndoAsync(CancellationToken cancellationToken)
    {
        if (session.Control.Epoch.Phase == MigrationPhase.New)
            throw new ToolException("the new side is the true one: its keys must be moved back first.");
        if (session.State.Step is MigrationStep.Fencing or MigrationStep.Flipping)
            await session.LiftFenceAsync(cancellationToken).ConfigureAwait(false);
        return await CleanAsync(session.Rules, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Removes the copies at the new side, after the keys have gone back.</summary>
    /// <param name="forward">The rules as the file has them.</param>
    /// <param name="cancellationToken">Stops it; the next run goes on.</param>
    public Task<long> CleanBehindAsync(MigrationRules forward, CancellationToken cancellationToken) =>
        CleanAsync(forward, cancellationToken);

    /// <summary>Removes the old keys, of all rules, a few at a time.</summary>
    public async Task<long> RetireAsync(CancellationToken cancellationToken)
    {
        if (session.Control.Epoch.Phase != MigrationPhase.New || session.State.Back)
            throw new ToolException("the new side is not the true one: the old keys are the only ones, or about to be.");
        var removed = 0L;
        foreach (var rule in session.Rules.Rules)
        {
            foreach (var prefix in (string[])[rule.From, "{" + rule.From])
                removed += await RemoveAsync(
                        session.Servers.Source(rule.Database),
                        prefix,
                        key => !session.Map.IsSystem(key) && session.Map.RuleOf(rule.Database, key) == rule,
                        cancellationToken
                    )
                    .ConfigureAwait(false);
        }

        session.Enter(MigrationStep.Retired);
        return removed;
    }

    private async Task<long> CleanAsync(MigrationRules forward, CancellationToken cancellationToken)
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
                removed += await RemoveAsync(client, prefix, key => map.Origins(rule.TargetDatabase, key).Any(), cancellationToken)
                    .ConfigureAwait(false);
        }

        (session.State.Cursors, session.State.Copied) = ([], 0);
        session.Enter(MigrationStep.RolledBack);
        return removed;
    }

    // As long a rest as the work took: nobody else is to notice.
    private async Task<long> RemoveAsync(RedisClient client, string prefix, Func<KeyName, bool> isOurs, CancellationToken cancellationToken)
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
            RedisArg[] keys = [.. page.Items.Select(key => new KeyName(key!)).Where(isOurs).Select(key => (RedisArg)key.Bytes)];
            if (keys.Length == 0)
                continue;
            var began = session.Options.Time.GetTimestamp();
            removed += await writer.SendAsync(["UNLINK", .. keys], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
            progress.Add(keys.Length);
            await session.Options.ReachAsync("removing").ConfigureAwait(false);
            await Task.Delay(session.Options.Time.GetElapsedTime(began), session.Options.Time, cancellationToken).ConfigureAwait(false);
        }

        return removed;
    }
}
