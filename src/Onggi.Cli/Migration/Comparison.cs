using Onggi.Cli.Output;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>Compares everything on both sides, while it is used or not: every key of the source with its copy, and every name of the target that rules lead to with where it comes from.</summary>
/// <param name="session">The run.</param>
/// <param name="progress">How far it has come.</param>
/// <param name="tracker">Knows what changes meanwhile; <c>null</c> where nothing does.</param>
internal sealed class Comparison(MigrationSession session, ToolProgress progress, ChangeTracker? tracker)
{
    private readonly List<KeyMismatch> _suspects = [];

    /// <summary>How many pairs were compared.</summary>
    public long Compared { get; private set; }

    /// <summary>The differences that no change explains: seen twice, and not named as changed.</summary>
    public async Task<List<KeyMismatch>> RunAsync(CancellationToken cancellationToken)
    {
        progress.Note = "comparing";
        progress.Set(0);
        var found = new List<KeyMismatch>();
        foreach (var database in session.Map.SourceDatabases)
        {
            await WalkAsync(
                    session.Servers.Source(database),
                    null,
                    keys => keys.Select(key => session.Map.Move(database, key)).OfType<KeyMove>(),
                    found,
                    cancellationToken
                )
                .ConfigureAwait(false);
        }

        foreach (var rule in session.Rules.Rules.Where(rule => rule.Moves))
        {
            foreach (var prefix in (string[])[rule.To, "{" + rule.To])
                await WalkAsync(
                        session.Servers.Target(rule.TargetDatabase),
                        KeyMap.Glob(prefix),
                        keys => keys.SelectMany(key => session.Map.Origins(rule.TargetDatabase, key)),
                        found,
                        cancellationToken,
                        surplus: true
                    )
                    .ConfigureAwait(false);
        }

        return found;
    }

    private Task WalkAsync(
        RedisClient client,
        string? glob,
        Func<IEnumerable<KeyName>, IEnumerable<KeyMove>> pairsOf,
        List<KeyMismatch> found,
        CancellationToken cancellationToken,
        bool surplus = false
    ) =>
        session.WalkAsync(
            client,
            "0",
            glob,
            keys => surplus ? FindSurplusAsync([.. pairsOf(keys)], cancellationToken) : CompareAsync([.. pairsOf(keys)], cancellationToken),
            async _ =>
            {
                found.AddRange(await ConfirmAsync(cancellationToken).ConfigureAwait(false));
                if (!surplus)
                    await session.Options.ReachAsync("comparing").ConfigureAwait(false);
            },
            cancellationToken
        );

    private async Task CompareAsync(List<KeyMove> batch, CancellationToken cancellationToken)
    {
        var mismatches = await session.Comparer.CompareAsync(batch, cancellationToken).ConfigureAwait(false);
        progress.Add(batch.Count);
        lock (_suspects)
        {
            Compared += batch.Count;
            _suspects.AddRange(mismatches);
        }
    }

    // What has a source was compared from there.
    private async Task FindSurplusAsync(List<KeyMove> batch, CancellationToken cancellationToken)
    {
        foreach (var group in batch.GroupBy(move => move.SourceDatabase))
        {
            var questions = session.Servers.Source(group.Key).CreateBatch();
            var answers = group
                .Select(move => (Move: move, IsThere: questions.Add(["EXISTS", move.Source.Bytes], ReplyParsers.Boolean)))
                .ToList();
            await questions.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            lock (_suspects)
                _suspects.AddRange(
                    answers.Where(answer => !answer.IsThere.Value).Select(answer => new KeyMismatch(answer.Move, KeyDifference.Extra))
                );
        }
    }

    // The two sides were read one after the other, and a key can end between them: what differs is looked at again, and counts only if nobody changed it.
    private async Task<List<KeyMismatch>> ConfirmAsync(CancellationToken cancellationToken)
    {
        List<KeyMove> suspects;
        lock (_suspects)
        {
            suspects = [.. _suspects.Select(mismatch => mismatch.Move)];
            _suspects.Clear();
        }

        if (suspects.Count == 0)
            return [];
        if (tracker is null)
            return await ConfirmedAsync(suspects, cancellationToken).ConfigureAwait(false);
        await tracker.DrainAsync(cancellationToken).ConfigureAwait(false);
        suspects.RemoveAll(move => tracker.Holds(move.Source));
        var again = await ConfirmedAsync(suspects, cancellationToken).ConfigureAwait(false);
        if (again.Count > 0)
            await tracker.DrainAsync(cancellationToken).ConfigureAwait(false);
        again.RemoveAll(mismatch => tracker.Holds(mismatch.Move.Source));
        return again;
    }

    private async Task<List<KeyMismatch>> ConfirmedAsync(List<KeyMove> suspects, CancellationToken cancellationToken)
    {
        var again = new List<KeyMismatch>();
        foreach (var batch in suspects.Chunk(session.Options.BatchKeys))
            again.AddRange(await session.Comparer.CompareAsync(batch, cancellationToken).ConfigureAwait(false));

        // Where two databases become one, the name may belong to the other one's key.
        var confirmed = new List<KeyMismatch>(again.Count);
        foreach (var mismatch in again)
        {
            if (mismatch.Kind != KeyDifference.Extra || !await HasOtherOriginAsync(mismatch.Move, cancellationToken).ConfigureAwait(false))
                confirmed.Add(mismatch);
        }

        return confirmed;
    }

    private async Task<bool> HasOtherOriginAsync(KeyMove move, CancellationToken cancellationToken)
    {
        foreach (var other in session.Map.Origins(move.TargetDatabase, move.Target))
        {
            if (
                (other.SourceDatabase != move.SourceDatabase || !other.Source.Equals(move.Source))
                && await session
                    .Servers.Source(other.SourceDatabase)
                    .ExistsAsync(other.Source.Bytes, cancellationToken)
                    .ConfigureAwait(false)
            )
                return true;
        }

        return false;
    }
}
