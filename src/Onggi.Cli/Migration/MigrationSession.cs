using System.Globalization;
using System.Security.Cryptography;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Migration;

namespace Onggi.Cli.Migration;

/// <summary>How a migration works; the defaults are measured ones.</summary>
internal sealed class MigrationOptions
{
    /// <summary>How many keys go in one batch.</summary>
    public int BatchKeys { get; init; } = 1000;

    /// <summary>How many batches are under way at a time.</summary>
    public int Lanes { get; init; } = 3;

    /// <summary>With how few changed keys the cut-over begins.</summary>
    public int FewChanges { get; init; } = 500;

    /// <summary>How many rounds there are at most before the cut-over begins with more.</summary>
    public int MostRounds { get; init; } = 40;

    /// <summary>For how long writes are held at the most while the fence goes up, where there are two servers.</summary>
    public TimeSpan PauseLimit { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the cut-over waits for locks that are held.</summary>
    public TimeSpan LockPatience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a server may take for an answer.</summary>
    public TimeSpan Patience { get; init; } = MigrationServers.UsualPatience;

    /// <summary>Whether a source that was restarted and has lost most of its keys is taken as it is.</summary>
    public bool AcceptSource { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>A known mistake, so that tests and benchmarks can show that it is caught: the epoch is changed without a fence.</summary>
    public bool SkipFence { get; init; }

    /// <summary>Runs at places where a run can be killed; tests throw <see cref="KilledHere"/> from it.</summary>
    public Func<string, Task>? At { get; init; }

    public Task ReachAsync(string place) => At?.Invoke(place) ?? Task.CompletedTask;
}

/// <summary>Stands for SIGKILL in tests: nothing is put right on the way out.</summary>
internal sealed class KilledHere() : Exception("Killed here by a test.");

/// <summary>One run's connections, state and right to run.</summary>
internal sealed class MigrationSession : IAsyncDisposable
{
    private const int EpochsUnseen = 10;

    private readonly string _stateFile;
    private readonly FileStream _lock;
    private readonly PipelinePool _readers;
    private readonly PipelinePool _writers;
    private long _saved;

    private MigrationSession(
        MigrationRules rules,
        string stateFile,
        FileStream held,
        Checkpoint state,
        MigrationServers servers,
        MigrationControl control,
        MigrationOptions options
    )
    {
        (Rules, _stateFile, _lock, State, Servers, Control, Options) = (rules, stateFile, held, state, servers, control, options);
        // A change may not have been written down any more.
        if (control.Epoch.Number < state.Epoch)
            control.Floor = state.Epoch + EpochsUnseen;
        Map = new KeyMap(rules);
        Big = new BigKeys(rules);
        foreach (var entry in state.Big)
        {
            var space = entry.IndexOf(' ', StringComparison.Ordinal);
            Big.Add(
                int.Parse(entry.AsSpan(0, space), CultureInfo.InvariantCulture),
                new KeyName(Convert.FromBase64String(entry[(space + 1)..]))
            );
        }

        _readers = new PipelinePool((client, token) => Pipeline.OpenAsync(client, options.Time, token));
        _writers = new PipelinePool(control.OpenAsync);
        Copier = new KeyCopier(servers, Map, Big, _readers, _writers);
        Comparer = new KeyComparer(servers, _readers);
        Fence = new WriteFence(servers.Source(), rules, servers.IsOneServer);
    }

    public MigrationRules Rules { get; }

    public Checkpoint State { get; }

    public MigrationServers Servers { get; }

    public MigrationControl Control { get; }

    public MigrationOptions Options { get; }

    public KeyMap Map { get; }

    public BigKeys Big { get; }

    public KeyCopier Copier { get; }

    public KeyComparer Comparer { get; }

    public WriteFence Fence { get; }

    /// <summary>What the writers had before the fence of this direction; empty while there is none.</summary>
    public Dictionary<string, string> Rights
    {
        get => State.Back ? State.FencedBack : State.Fenced;
        set
        {
            if (State.Back)
                State.FencedBack = value;
            else
                State.Fenced = value;
        }
    }

    /// <summary>Connects, takes the state and the right to run.</summary>
    /// <param name="forward">The rules as the file has them.</param>
    /// <param name="stateFile">The checkpoint.</param>
    /// <param name="back">Whether the keys are to go back; <c>null</c> as the checkpoint has it.</param>
    /// <param name="options">How it works.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ToolException">Another process has the state, it belongs to other rules, or a server cannot be used.</exception>
    public static async Task<MigrationSession> OpenAsync(
        MigrationRules forward,
        string stateFile,
        bool? back,
        MigrationOptions options,
        CancellationToken cancellationToken
    )
    {
        var held = Hold(stateFile);
        MigrationServers? servers = null;
        try
        {
            var state = LoadState(forward, stateFile);
            if (back is { } direction)
                Turn(state, direction);
            var rules = state.Back ? forward.Reverse() : forward;
            var name = MigrationServers.NewName(rules);
            servers = await MigrationServers.OpenAsync(rules, name, cancellationToken, options.Patience).ConfigureAwait(false);
            state.Save(stateFile);
            var control = await MigrationControl
                .TakeAsync(
                    rules,
                    state.Back ? servers.Source() : servers.Target(),
                    [servers.Source(), servers.Target()],
                    state.Token,
                    name,
                    options.Time,
                    cancellationToken
                )
                .ConfigureAwait(false);
            if (LostEpoch(state, control.Epoch, rules) is not { } lost)
                return new MigrationSession(rules, stateFile, held, state, servers, control, options);
            await control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
            await control.DisposeAsync().ConfigureAwait(false);
            throw new ToolException(lost);
        }
        catch
        {
            if (servers is not null)
                await servers.DisposeAsync().ConfigureAwait(false);
            await held.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Opens a session, works, and gives the right to run back; who fails keeps it until it ends, for the next run of the same state.</summary>
    /// <inheritdoc cref="OpenAsync"/>
    public static async Task<T> UseAsync<T>(
        MigrationRules forward,
        string stateFile,
        bool? back,
        MigrationOptions options,
        Func<MigrationSession, Task<T>> work,
        CancellationToken cancellationToken
    )
    {
        var session = await OpenAsync(forward, stateFile, back, options, cancellationToken).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            var result = await work(session).ConfigureAwait(false);
            await session.Control.ReleaseAsync(cancellationToken).ConfigureAwait(false);
            return result;
        }
    }

    /// <summary>The fence that the way there left at the old server; <c>null</c> where there is none, or where one fence serves both sides.</summary>
    public WriteFence? OtherFence =>
        State.Back && !Servers.IsOneServer && State.Fenced.Count > 0
            ? new WriteFence(Servers.Target(), Rules.Reverse(), isOneServer: false)
            : null;

    /// <summary>Takes the fence of a cut-over away that did not come about.</summary>
    public async Task LiftFenceAsync(CancellationToken cancellationToken)
    {
        await Control.CheckAsync(cancellationToken).ConfigureAwait(false);
        // Before the writers may write here again: the other side may have been opened.
        if (OtherFence is { } other)
            await other.ApplyAsync(State.Fenced, cancellationToken).ConfigureAwait(false);
        await Fence.LiftAsync(Rights, cancellationToken).ConfigureAwait(false);
        Rights = [];
    }

    /// <summary>Gives the writers what they had before all of it, after a rollback: at the old side, and at the new one where that is another server.</summary>
    /// <returns>What they had at the old side, and what went wrong with writing it down.</returns>
    public async Task<(IReadOnlyDictionary<string, string> Rights, string? NotSaved)> ReleaseAsync(CancellationToken cancellationToken)
    {
        var (before, newSide) = (State.Fenced, State.FencedBack);
        var (old, @new) = State.Back ? (Servers.Target(), Servers.Source()) : (Servers.Source(), Servers.Target());
        var fence = new WriteFence(old, Rules, Servers.IsOneServer);
        await fence.LiftAsync(before, cancellationToken).ConfigureAwait(false);
        var problem = before.Count > 0 ? await fence.SaveAsync(cancellationToken).ConfigureAwait(false) : null;
        // On one server these are the fenced rights of the way there: what was before them has just been set.
        if (!Servers.IsOneServer && newSide.Count > 0)
        {
            var other = new WriteFence(@new, Rules, isOneServer: false);
            await other.LiftAsync(newSide, cancellationToken).ConfigureAwait(false);
            problem ??= await other.SaveAsync(cancellationToken).ConfigureAwait(false);
        }

        (State.Fenced, State.FencedBack) = ([], []);
        Save();
        return (before, problem);
    }

    /// <summary>Writes the users down where a restart finds them. What was done stands without it, so a failure is only told.</summary>
    /// <returns>What went wrong; <c>null</c> for nothing.</returns>
    public async Task<string?> SaveRightsAsync(CancellationToken cancellationToken)
    {
        var problems = new List<string?> { await Fence.SaveAsync(cancellationToken).ConfigureAwait(false) };
        // The way back has opened the other side as well.
        if (OtherFence is { } other)
            problems.Add(await other.SaveAsync(cancellationToken).ConfigureAwait(false));
        return problems.OfType<string>().ToList() is { Count: > 0 } said ? string.Join("; ", said) : null;
    }

    /// <summary>Writes the state down.</summary>
    public void Save()
    {
        State.Epoch = Math.Max(State.Epoch, Control.Epoch.Number);
        State.Big = [.. Big.All.Select(big => $"{big.Database} {Convert.ToBase64String(big.Key.Bytes)}")];
        State.Save(_stateFile);
        _saved = Options.Time.GetTimestamp();
    }

    /// <summary>The same, where it was not done a moment ago.</summary>
    public void SaveNowAndThen()
    {
        if (Options.Time.GetElapsedTime(_saved) > TimeSpan.FromMilliseconds(500))
            Save();
    }

    public void Enter(MigrationStep step)
    {
        State.Step = step;
        Save();
    }

    /// <summary>Does something with all keys, some batches at a time.</summary>
    public async Task InLanesAsync(IEnumerable<KeyMove> moves, Func<List<KeyMove>, Task> work, CancellationToken cancellationToken)
    {
        using var lanes = new SemaphoreSlim(Options.Lanes, Options.Lanes);
        var running = new List<Task>();
        foreach (var batch in moves.Chunk(Options.BatchKeys))
        {
            // Not cancelled here: the lanes end by themselves, and are waited for.
            await lanes.WaitAsync(CancellationToken.None).ConfigureAwait(false);
            if (cancellationToken.IsCancellationRequested)
                break;
            running.Add(LaneAsync([.. batch], work, lanes));
        }

        await Task.WhenAll(running).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>Walks over the keys of a database, some pages' work under way at a time.</summary>
    /// <param name="client">Whose keys.</param>
    /// <param name="cursor">Where it begins: <c>0</c> for the beginning.</param>
    /// <param name="glob">Which names; <c>null</c> for all.</param>
    /// <param name="work">What is done with the names of a page.</param>
    /// <param name="done">Told, in order, the cursor behind each page whose work is done, with all before it: <c>done</c> behind the last one.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task WalkAsync(
        RedisClient client,
        string cursor,
        string? glob,
        Func<IEnumerable<KeyName>, Task> work,
        Func<string, Task> done,
        CancellationToken cancellationToken
    )
    {
        var underWay = new Queue<(Task Work, string Cursor)>();
        try
        {
            while (cursor != "done" || underWay.Count > 0)
            {
                if (cursor != "done" && underWay.Count < Options.Lanes)
                {
                    var page = await PageAsync(client, cursor, glob, Options.BatchKeys, cancellationToken).ConfigureAwait(false);
                    cursor = page.Cursor == "0" ? "done" : page.Cursor;
                    underWay.Enqueue((work(page.Items.Select(key => new KeyName(key!))), cursor));
                    continue;
                }

                var (oldest, behind) = underWay.Dequeue();
                await oldest.ConfigureAwait(false);
                await done(behind).ConfigureAwait(false);
            }
        }
        catch
        {
            // What is under way has an end before what it uses has.
            await Task.WhenAll(underWay.Select(page => page.Work)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
    }

    /// <summary>Walks over the keys of a database, a page at a time, with the cursor behind it.</summary>
    public static async Task<ScanPage> PageAsync(
        RedisClient client,
        string cursor,
        string? glob,
        int count,
        CancellationToken cancellationToken
    )
    {
        RedisArg[] words = glob is null ? ["SCAN", cursor, "COUNT", count] : ["SCAN", cursor, "MATCH", glob, "COUNT", count];
        return await client.SendAsync(words, ScanPage.Parser, CommandOptions.Bulk, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _readers.DisposeAsync().ConfigureAwait(false);
        await _writers.DisposeAsync().ConfigureAwait(false);
        await Control.DisposeAsync().ConfigureAwait(false);
        await Servers.DisposeAsync().ConfigureAwait(false);
        await _lock.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task LaneAsync(List<KeyMove> batch, Func<List<KeyMove>, Task> work, SemaphoreSlim lanes)
    {
        try
        {
            await work(batch).ConfigureAwait(false);
        }
        finally
        {
            lanes.Release();
        }
    }

    // From here on the new side may be the only one that is true: whoever copies or removes without knowing it loses what was written there.
    private static string? LostEpoch(Checkpoint state, MigrationEpoch epoch, MigrationRules rules)
    {
        if (
            state.Back
            || epoch.Number >= state.Epoch
            || state.Step is not (MigrationStep.Flipping or MigrationStep.Done or MigrationStep.Retiring)
        )
            return null;
        var next = (state.Epoch + EpochsUnseen).ToString(CultureInfo.InvariantCulture);
        return $"{rules.EpochKey} is gone or older than the state, which has come to {state.Step}: which side is the true one is not known. "
            + $"Look at the new side. If its keys are there: SET {rules.EpochKey} \"{next} new\". If it was restarted empty, and the old side is to be the true one: SET {rules.EpochKey} \"{next} old\". Then again.";
    }

    private static void Turn(Checkpoint state, bool back)
    {
        if (state.Back != back)
            (state.Step, state.SourceRunId, state.SourceKeys, state.FencedBack) = (
                back ? MigrationStep.Comparing : MigrationStep.Planned,
                "",
                0,
                []
            );
        if (!back && state.Step >= MigrationStep.RolledBack)
            state.Step = MigrationStep.Planned;
        state.Back = back;
    }

    // The system lets go of it when the process ends, however it ends.
    private static FileStream Hold(string stateFile)
    {
        try
        {
            return new FileStream(stateFile + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException problem) when (problem is not DirectoryNotFoundException)
        {
            throw new ToolException($"another onggi has the state {stateFile}: it is at work, or stands still.");
        }
    }

    private static Checkpoint LoadState(MigrationRules forward, string stateFile)
    {
        var digest = Checkpoint.DigestOf(forward);
        if (Checkpoint.Load(stateFile) is not { } state)
            return new Checkpoint
            {
                Name = forward.Name,
                Rules = digest,
                Token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12)),
            };
        if (state.Rules != digest)
            throw new ToolException(
                $"the rules were changed since the migration began (its state is {stateFile}): names would lead elsewhere than before. Put the rules back, or roll back with the old ones first."
            );
        return state;
    }
}
