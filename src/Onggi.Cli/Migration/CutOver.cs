using Onggi.Client;
using Onggi.Migration;

namespace Onggi.Cli.Migration;

/// <summary>The moment in which the other side becomes the true one: no write may be answered that is not there afterwards.</summary>
/// <remarks>
/// <para>1 where there are two servers, writes are held (CLIENT PAUSE WRITE), so that those without our shim wait instead of being refused; on one server that would hold our own, and so it would on the way back · 2 what has changed is copied ·
/// 3 the fence: one step of the server, after which writes of old names are refused and not done · 4 the names of all writes before it are waited for, copied, compared · 5 locks that are not moved are waited for ·
/// 6 the epoch is changed · 7 writes are let go on.</para>
/// <para>That nothing is lost rests on 3 and 4 alone: a pause that ends early, or is not there, only makes 4 longer.</para>
/// </remarks>
internal sealed class CutOver(MigrationSession session, MigrationRun run, ChangeTracker tracker)
{
    private static readonly TimeSpan LockPoll = TimeSpan.FromMilliseconds(20);

    private bool _pausing;

    /// <summary>Cuts over; <c>false</c> where it was given up, and everything is to be compared again: the writers go on at the old side.</summary>
    public async Task<bool> TryAsync(MigrationPhase wanted, CancellationToken cancellationToken)
    {
        if (session.Rights.Count == 0)
            session.Rights = await session.Fence.ReadAsync(cancellationToken).ConfigureAwait(false);
        session.Enter(MigrationStep.Fencing);
        await session.Options.ReachAsync("fencing").ConfigureAwait(false);
        var began = session.Options.Time.GetTimestamp();
        try
        {
            await PauseAsync(cancellationToken).ConfigureAwait(false);
            await tracker.DrainAsync(cancellationToken).ConfigureAwait(false);
            await run.RoundAsync(cancellationToken).ConfigureAwait(false);
            // mutant: SkipFence
            if (!session.Options.SkipFence)
                await session.Fence.ApplyAsync(session.Rights, cancellationToken).ConfigureAwait(false);
            await session.Options.ReachAsync("fenced").ConfigureAwait(false);
            if (!await FinishAsync(cancellationToken).ConfigureAwait(false))
            {
                await RetreatAsync().ConfigureAwait(false);
                return false;
            }

            await OpenTheOtherSideAsync(cancellationToken).ConfigureAwait(false);
            session.Enter(MigrationStep.Flipping);
            await session.Options.ReachAsync("flipping").ConfigureAwait(false);
            run.Result.FlipTried = true;
            await session.Control.EnterAsync(wanted, cancellationToken).ConfigureAwait(false);
            await session.Options.ReachAsync("flipped").ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is not KilledHere && !run.Result.FlipTried)
        {
            await RetreatAsync().ConfigureAwait(false);
            throw;
        }

        await UnpauseAsync().ConfigureAwait(false);
        run.Result.Pause = session.Options.Time.GetElapsedTime(began);
        return true;
    }

    private async Task PauseAsync(CancellationToken cancellationToken)
    {
        // The epoch is where the new names are: on the way back a hold would keep us from changing it.
        if (session.Servers.IsOneServer || session.State.Back)
            return;
        _pausing = true;
        await session
            .Servers.Source()
            .SendAsync(
                ["CLIENT", "PAUSE", (long)session.Options.PauseLimit.TotalMilliseconds, "WRITE"],
                ReplyParsers.Ignore,
                cancellationToken
            )
            .ConfigureAwait(false);
    }

    private async Task UnpauseAsync()
    {
        if (!_pausing)
            return;
        _pausing = false;
        await session.Servers.Source().SendAsync(["CLIENT", "UNPAUSE"], ReplyParsers.Ignore, CancellationToken.None).ConfigureAwait(false);
    }

    // Every write before the fence is named when this has drained; there is none after it.
    private async Task<bool> FinishAsync(CancellationToken cancellationToken)
    {
        await tracker.DrainAsync(cancellationToken).ConfigureAwait(false);
        var names = tracker.Take();
        var moves = await run.MovesOfAsync(names, cancellationToken).ConfigureAwait(false);
        await session
            .InLanesAsync(moves, batch => session.Copier.CopyAsync(batch, cancellationToken), cancellationToken)
            .ConfigureAwait(false);
        foreach (var batch in moves.Chunk(session.Options.BatchKeys))
        {
            var mismatches = await session.Comparer.CompareAsync(batch, cancellationToken).ConfigureAwait(false);
            // Once more: a key may have ended between the two questions.
            if (mismatches.Count > 0)
                mismatches = await session
                    .Comparer.CompareAsync(mismatches.ConvertAll(mismatch => mismatch.Move), cancellationToken)
                    .ConfigureAwait(false);
            run.Result.DifferentAtLast += mismatches.Count;
            if (mismatches.Count > 0)
                return false;
        }

        return !tracker.MayMiss && await LocksEndAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task<bool> LocksEndAsync(CancellationToken cancellationToken)
    {
        var locks = session.Rules.Rules.Where(rule => rule is { Class: MigrationClass.Lock, Moves: false }).ToList();
        if (locks.Count == 0)
            return true;
        await UnpauseAsync().ConfigureAwait(false);
        var began = session.Options.Time.GetTimestamp();
        foreach (var rule in locks)
        {
            while (await FirstAsync(rule, cancellationToken).ConfigureAwait(false) is { } held)
            {
                if (session.Options.Time.GetElapsedTime(began) > session.Options.LockPatience)
                    throw new ToolException(
                        $"the lock {held} was held for {session.Options.LockPatience.TotalSeconds:0} s behind the fence. The writers go on at the old side. Cut over when it is free, or let the rule move its locks: \"move\": true."
                    );
                await Task.Delay(LockPoll, session.Options.Time, cancellationToken).ConfigureAwait(false);
            }
        }

        return true;
    }

    private async Task<string?> FirstAsync(MigrationRule rule, CancellationToken cancellationToken)
    {
        // Auxiliary keys (a fence counter, say) outlive the lock, and hold nobody up.
        var client = session.Servers.Source(rule.Database);
        for (var cursor = "0"; ; )
        {
            var page = await MigrationSession
                .PageAsync(client, cursor, KeyMap.Glob(rule.From), 1000, cancellationToken)
                .ConfigureAwait(false);
            foreach (var name in page.Items.Select(key => new KeyName(key!)))
            {
                if (session.Map.RuleOf(rule.Database, name) == rule)
                    return name.ToString();
            }

            cursor = page.Cursor;
            if (cursor == "0")
                return null;
        }
    }

    // On the way back between two servers the old one still has the fence of the way there.
    private async Task OpenTheOtherSideAsync(CancellationToken cancellationToken)
    {
        if (session.OtherFence is { } other)
            await other.LiftAsync(session.State.Fenced, cancellationToken).ConfigureAwait(false);
    }

    private async Task RetreatAsync()
    {
        await session.LiftFenceAsync(CancellationToken.None).ConfigureAwait(false);
        await UnpauseAsync().ConfigureAwait(false);
        session.Enter(MigrationStep.Comparing);
    }
}
