using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Migration;

namespace Onggi.Cli.Migration;

/// <summary>What a run did.</summary>
internal sealed class MigrationResult
{
    /// <summary>Whether the target is the true side now.</summary>
    public bool Flipped { get; set; }

    /// <summary>Whether the epoch may have been changed.</summary>
    public bool FlipTried { get; set; }

    /// <summary>Whether it was before the run began.</summary>
    public bool WasDone { get; set; }

    public long Copied { get; set; }

    public long Bytes { get; set; }

    public TimeSpan CopyTime { get; set; }

    /// <summary>How many keys were copied again because they had changed.</summary>
    public long Again { get; set; }

    public int Rounds { get; set; }

    public long Compared { get; set; }

    public TimeSpan CompareTime { get; set; }

    /// <summary>How many keys differed, missing or surplus ones included, that no change explained; they were copied again, and everything compared once more.</summary>
    public long Repaired { get; set; }

    /// <summary>How many of the keys copied behind the fence differed afterwards; the cut-over does not happen then.</summary>
    public long DifferentAtLast { get; set; }

    /// <summary>Why a restart of a server would take the fence away; <c>null</c> where it would not, or where the server keeps its users in memory anyway.</summary>
    public string? FenceNotSaved { get; set; }

    /// <summary>How long writers could not write.</summary>
    public TimeSpan Pause { get; set; }

    /// <summary>How many cut-overs were begun.</summary>
    public int Attempts { get; set; }
}

/// <summary>Moves keys while they are used. Every step may be killed and is done again by the next run.</summary>
/// <remarks>
/// 1 listen for changes · 2 copy all · 3 copy what has changed, until it is little · 4 compare all, while writers write: what differs and was not named as changed is repaired, and everything is
/// compared once more · 5 the cut-over (<see cref="CutOver"/>). What is equal at 4 and not named since is equal; what is named since is copied and compared behind the fence.
/// </remarks>
internal sealed class MigrationRun(MigrationSession session, ToolProgress progress)
{
    private const int MostComparisons = 6;

    private readonly MigrationSession _session = session;
    private ChangeTracker? _tracker;
    private bool _killed;

    public MigrationResult Result { get; } = new();

    private ChangeTracker Tracker => _tracker!;

    /// <summary>Runs until the target is the true side, or until the answer is no.</summary>
    /// <param name="mayCutOver">Asked once everything is copied and equal; changes are followed meanwhile.</param>
    /// <param name="cancellationToken">Stops it; the next run goes on.</param>
    /// <exception cref="ToolException">It cannot go on without a decision; the message says which.</exception>
    /// <exception cref="RedisException">A server does not answer, is full, or refuses. The fence does not stand then, unless its own removal failed.</exception>
    public async Task<MigrationResult> RunAsync(Func<CancellationToken, Task<bool>> mayCutOver, CancellationToken cancellationToken)
    {
        var wanted = _session.State.Back ? MigrationPhase.Old : MigrationPhase.New;
        if (IsDone(wanted))
        {
            Result.WasDone = Result.Flipped = true;
            // Killed between the change of the epoch and this.
            Result.FenceNotSaved = await _session.SaveRightsAsync(cancellationToken).ConfigureAwait(false);
            if (_session.State.Step < MigrationStep.Done)
                _session.Enter(MigrationStep.Done);
            return Result;
        }

        _tracker = await ChangeTracker
            .StartAsync(_session.Servers.Source(), KeyMap.Prefixes(_session.Rules.Rules), _session.Options.Time, cancellationToken)
            .ConfigureAwait(false);
        await using (_tracker.ConfigureAwait(false))
        {
            try
            {
                await MoveAsync(wanted, mayCutOver, cancellationToken).ConfigureAwait(false);
                return Result;
            }
            finally
            {
                // Nobody follows from here on: the copies go stale, and are not to be compared by those who use them.
                if (!_killed && !Result.FlipTried && !_session.State.Back)
                    await _session.Control.TryEnterAsync(MigrationPhase.Old).ConfigureAwait(false);
            }
        }
    }

    private async Task MoveAsync(MigrationPhase wanted, Func<CancellationToken, Task<bool>> mayCutOver, CancellationToken cancellationToken)
    {
        try
        {
            await LiftLeftOverFenceAsync(cancellationToken).ConfigureAwait(false);
            await MeetSourceAsync(cancellationToken).ConfigureAwait(false);
            if (!_session.State.Back)
                await _session.Control.EnterAsync(MigrationPhase.Mirror, cancellationToken).ConfigureAwait(false);
            await _session.Options.ReachAsync("listening").ConfigureAwait(false);
            await CopyAllAsync(cancellationToken).ConfigureAwait(false);
            await CatchUpAsync(cancellationToken).ConfigureAwait(false);
            await CompareUntilEqualAsync(cancellationToken).ConfigureAwait(false);
            if (!_session.State.Back)
                await _session.Control.EnterAsync(MigrationPhase.Shadow, cancellationToken).ConfigureAwait(false);
            _session.Enter(MigrationStep.Ready);
            await _session.Options.ReachAsync("ready").ConfigureAwait(false);
            if (await FollowWhileAskedAsync(mayCutOver, cancellationToken).ConfigureAwait(false))
                await CutOverAsync(wanted, cancellationToken).ConfigureAwait(false);
        }
        catch (KilledHere)
        {
            _killed = true;
            throw;
        }
    }

    /// <summary>Copies what has changed since it was last asked; how many names there were.</summary>
    public async Task<int> RoundAsync(CancellationToken cancellationToken)
    {
        var names = Tracker.Take();
        try
        {
            Result.Rounds++;
            Result.Again += names.Count;
            await _session
                .InLanesAsync(
                    await MovesOfAsync(names, cancellationToken).ConfigureAwait(false),
                    batch => _session.Copier.CopyAsync(batch, cancellationToken),
                    cancellationToken
                )
                .ConfigureAwait(false);
            return names.Count;
        }
        catch
        {
            // They are not copied, or nobody knows.
            Tracker.PutBack(names);
            throw;
        }
    }

    /// <summary>Copies what has changed until that is little.</summary>
    public async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        progress.Note = "copying what has changed";
        for (var i = 0; i < _session.Options.MostRounds && Tracker.Waiting > _session.Options.FewChanges; i++)
            await RoundAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Compares everything until nothing differs but what has just changed.</summary>
    /// <exception cref="ToolException">It does not come about: somebody else writes the new names.</exception>
    public async Task CompareUntilEqualAsync(CancellationToken cancellationToken)
    {
        _session.Enter(MigrationStep.Comparing);
        var began = _session.Options.Time.GetTimestamp();
        for (var i = 1; ; i++)
        {
            // The connection is back before anything is compared: what is missed from here on is missed by this comparison as well, and makes another one.
            await Tracker.DrainAsync(cancellationToken).ConfigureAwait(false);
            if (Tracker.TakeMayMiss())
                await MeetSourceAsync(cancellationToken).ConfigureAwait(false);
            var comparison = new Comparison(_session, progress, Tracker);
            var unexplained = await comparison.RunAsync(cancellationToken).ConfigureAwait(false);
            Result.Compared += comparison.Compared;
            Result.Repaired += unexplained.Count;
            await _session.Options.ReachAsync("compared").ConfigureAwait(false);
            Tracker.PutBack(unexplained.Select(mismatch => mismatch.Move.Source));
            await CatchUpAsync(cancellationToken).ConfigureAwait(false);
            if (unexplained.Count == 0 && !Tracker.MayMiss)
                break;
            await RoundAsync(cancellationToken).ConfigureAwait(false);
            if (i == MostComparisons)
                throw new ToolException(
                    $"{unexplained.Count} keys of the target differ again after they were copied, first {unexplained.FirstOrDefault().Move.Target}: somebody else writes names that the rules lead to, or two source keys lead to one name."
                );
        }

        Result.CompareTime = _session.Options.Time.GetElapsedTime(began);
    }

    /// <summary>Where the changed keys go. On one server our own writes are named as well where a new name looks like an old one: what is equal already is not written again, or it would be named for ever.</summary>
    public async Task<IReadOnlyCollection<KeyMove>> MovesOfAsync(IEnumerable<KeyName> names, CancellationToken cancellationToken)
    {
        var (moves, echoes) = (new List<KeyMove>(), new List<KeyMove>());
        foreach (var name in names)
        {
            var isEcho =
                _session.Servers.IsOneServer && _session.Map.TargetDatabases.Any(database => _session.Map.Origins(database, name).Any());
            foreach (var database in _session.Map.SourceDatabases)
            {
                if (_session.Map.Move(database, name) is { } move)
                    (isEcho ? echoes : moves).Add(move);
            }
        }

        foreach (var batch in echoes.Chunk(_session.Options.BatchKeys))
            moves.AddRange(
                (await _session.Comparer.CompareAsync(batch, cancellationToken).ConfigureAwait(false)).Select(mismatch => mismatch.Move)
            );
        return moves;
    }

    private bool IsDone(MigrationPhase wanted) =>
        _session.Control.Epoch.Phase == wanted && (wanted == MigrationPhase.New || _session.State.Step >= MigrationStep.Flipping);

    // A run was killed in its cut-over, before the epoch changed: its connections are ended, so that it does not change any more. The writers go on at the old side meanwhile.
    private async Task LiftLeftOverFenceAsync(CancellationToken cancellationToken)
    {
        if (_session.State.Step is not (MigrationStep.Fencing or MigrationStep.Flipping))
            return;
        await _session.LiftFenceAsync(cancellationToken).ConfigureAwait(false);
        _session.Enter(MigrationStep.Comparing);
    }

    /// <summary>Notices that the source was started anew: a cursor is worth nothing then, and what it has lost must not be lost at the target as well.</summary>
    private async Task MeetSourceAsync(CancellationToken cancellationToken)
    {
        var state = _session.State;
        var info = await _session.Servers.SourceInfoAsync(cancellationToken).ConfigureAwait(false);
        var keys = _session.Map.SourceDatabases.Sum(database => info.Databases.GetValueOrDefault(database));
        if (state.SourceRunId.Length > 0 && state.SourceRunId != info.RunId)
        {
            if (keys < state.SourceKeys / 2 && !_session.Options.AcceptSource)
                throw new ToolException(
                    $"the source was restarted and has {keys} keys of {state.SourceKeys} left. What was copied is still at the target: look first. To go on with what the source has, add --accept-source; to stop here, onggi migrate rollback."
                );
            state.Cursors.Clear();
            if (state.Step > MigrationStep.Copying)
                state.Step = MigrationStep.Comparing;
        }

        (state.SourceRunId, state.SourceKeys) = (info.RunId, keys);
        _session.Save();
    }

    private async Task CopyAllAsync(CancellationToken cancellationToken)
    {
        var state = _session.State;
        if (state.Back || state.Step > MigrationStep.Copying)
            return;
        _session.Enter(MigrationStep.Copying);
        progress.Expect(state.SourceKeys);
        progress.Set(state.Copied);
        progress.Note = "copying";
        var before = state.Copied;
        var began = _session.Options.Time.GetTimestamp();
        foreach (var database in _session.Map.SourceDatabases)
        {
            await _session
                .WalkAsync(
                    _session.Servers.Source(database),
                    state.Cursors.GetValueOrDefault(database, "0"),
                    null,
                    keys => CopyBatchAsync([.. keys.Select(key => _session.Map.Move(database, key)).OfType<KeyMove>()], cancellationToken),
                    async cursor =>
                    {
                        state.Cursors[database] = cursor;
                        state.Copied = Result.Copied + before;
                        _session.SaveNowAndThen();
                        await _session.Options.ReachAsync("copying").ConfigureAwait(false);
                    },
                    cancellationToken
                )
                .ConfigureAwait(false);
        }

        Result.CopyTime = _session.Options.Time.GetElapsedTime(began);
        _session.Save();
        await _session.Options.ReachAsync("copied").ConfigureAwait(false);
    }

    private async Task CopyBatchAsync(List<KeyMove> batch, CancellationToken cancellationToken)
    {
        var (keys, bytes) = await _session.Copier.CopyAsync(batch, cancellationToken).ConfigureAwait(false);
        lock (Result)
            (Result.Copied, Result.Bytes) = (Result.Copied + keys, Result.Bytes + bytes);
        progress.Add(keys);
    }

    // The person at the terminal may think for a while.
    private async Task<bool> FollowWhileAskedAsync(Func<CancellationToken, Task<bool>> mayCutOver, CancellationToken cancellationToken)
    {
        progress.Note = "equal; following";
        var answer = mayCutOver(cancellationToken);
        while (!answer.IsCompleted)
        {
            if (Tracker.MayMiss)
            {
                await CompareUntilEqualAsync(cancellationToken).ConfigureAwait(false);
                _session.Enter(MigrationStep.Ready);
                progress.Note = "equal; following";
            }

            if (Tracker.Waiting > 0)
                await RoundAsync(cancellationToken).ConfigureAwait(false);
            await Task.WhenAny(answer, Task.Delay(TimeSpan.FromMilliseconds(50), _session.Options.Time, cancellationToken))
                .ConfigureAwait(false);
        }

        return await answer.ConfigureAwait(false);
    }

    private async Task CutOverAsync(MigrationPhase wanted, CancellationToken cancellationToken)
    {
        const int Most = 5;
        for (Result.Attempts = 1; ; Result.Attempts++)
        {
            await CatchUpAsync(cancellationToken).ConfigureAwait(false);
            // Behind the fence it would only be given up.
            if (Tracker.MayMiss)
                await CompareUntilEqualAsync(cancellationToken).ConfigureAwait(false);
            progress.Note = "cut-over";
            var cutOver = new CutOver(_session, this, Tracker);
            if (await cutOver.TryAsync(wanted, cancellationToken).ConfigureAwait(false))
                break;
            if (Result.Attempts == Most)
                throw new ToolException(
                    "the cut-over was begun and given up five times: the connection that tells of changes was lost each time, or keys differed. The writers go on at the old side; nothing is lost. Look at the servers, and run again."
                );
            await CompareUntilEqualAsync(cancellationToken).ConfigureAwait(false);
        }

        Result.Flipped = true;
        Result.FenceNotSaved = await _session.SaveRightsAsync(CancellationToken.None).ConfigureAwait(false);
        _session.State.PauseMilliseconds = Result.Pause.TotalMilliseconds;
        _session.Enter(MigrationStep.Done);
    }
}
