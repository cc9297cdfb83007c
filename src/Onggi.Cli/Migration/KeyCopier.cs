using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>Makes keys of the target what they are at the source now: value and exact end, or gone. Doing it twice is harmless, whatever was written in between.</summary>
/// <param name="servers">Both sides.</param>
/// <param name="map">Which name becomes which.</param>
/// <param name="big">Keys that are copied in pieces.</param>
/// <param name="control">Knows whether this run still has the right to write.</param>
internal sealed class KeyCopier(MigrationServers servers, KeyMap map, BigKeys big, MigrationControl control) : IAsyncDisposable
{
    private readonly Lock _gate = new();

    // Guarded by the gate: a writer is one connection, which ends for good when a later run takes over.
    private readonly Dictionary<int, Stack<RedisLease>> _idle = [];
    private readonly List<RedisLease> _all = [];

    /// <summary>Copies a batch, in two round trips and a few more for keys that are gone or big.</summary>
    /// <returns>How many there were at the source, and how many bytes they took on the wire.</returns>
    /// <exception cref="RedisException">A side does not answer, is full, or refuses.</exception>
    public async Task<(int Keys, long Bytes)> CopyAsync(IReadOnlyList<KeyMove> moves, CancellationToken cancellationToken)
    {
        var (keys, bytes) = (0, 0L);
        foreach (var group in moves.GroupBy(move => (move.SourceDatabase, move.TargetDatabase)))
        {
            var writer = await RentAsync(group.Key.TargetDatabase, cancellationToken).ConfigureAwait(false);
            var (some, size) = await CopyAsync([.. group], writer, cancellationToken).ConfigureAwait(false);
            Return(group.Key.TargetDatabase, writer);
            (keys, bytes) = (keys + some, bytes + size);
        }

        return (keys, bytes);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var writer in _all)
            await writer.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<(int Keys, long Bytes)> CopyAsync(List<KeyMove> moves, RedisLease writer, CancellationToken cancellationToken)
    {
        var whole = moves.FindAll(move => !big.Holds(move));
        using var states = await KeyStates
            .ReadAsync(servers.Source(moves[0].SourceDatabase), whole.ConvertAll(move => move.Source), cancellationToken)
            .ConfigureAwait(false);
        var gone = new List<KeyMove>();
        var answers = new List<Task<bool>>(whole.Count);
        var (keys, bytes) = (0, 0L);
        for (var i = 0; i < whole.Count; i++)
        {
            var state = states[i];
            if (state.IsGone)
            {
                gone.Add(whole[i]);
                continue;
            }

            keys++;
            bytes += state.Dump.Length;
            var answer = state.Ends is { } ends
                ? writer.SendAsync(
                    ["RESTORE", whole[i].Target.Bytes, ends, state.Dump.Memory, "REPLACE", "ABSTTL"],
                    ReplyParsers.Ignore,
                    cancellationToken
                )
                : writer.SendAsync(
                    ["RESTORE", whole[i].Target.Bytes, 0, state.Dump.Memory, "REPLACE"],
                    ReplyParsers.Ignore,
                    cancellationToken
                );
            if (!answer.IsCompletedSuccessfully)
                answers.Add(answer.AsTask());
        }

        await Task.WhenAll(answers).ConfigureAwait(false);
        foreach (var move in gone)
            await RemoveAsync(move, writer, cancellationToken).ConfigureAwait(false);
        foreach (var move in moves.Where(big.Holds))
            keys += await big.CopyAsync(servers.Source(move.SourceDatabase), writer, move, cancellationToken).ConfigureAwait(false) ? 1 : 0;
        return (keys, bytes);
    }

    // The name may be another key's as well, where two databases become one: then that key's state is the true one.
    private async Task RemoveAsync(KeyMove move, RedisLease writer, CancellationToken cancellationToken)
    {
        foreach (var other in map.Origins(move.TargetDatabase, move.Target))
        {
            if (other.SourceDatabase == move.SourceDatabase && other.Source.Equals(move.Source))
                continue;
            if (await servers.Source(other.SourceDatabase).ExistsAsync(other.Source.Bytes, cancellationToken).ConfigureAwait(false))
            {
                await CopyAsync([other], writer, cancellationToken).ConfigureAwait(false);
                return;
            }
        }

        await writer.SendAsync(["UNLINK", move.Target.Bytes], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
    }

    private async Task<RedisLease> RentAsync(int database, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_idle.TryGetValue(database, out var idle) && idle.TryPop(out var kept))
                return kept;
        }

        var made = await control.LeaseAsync(servers.Target(database), cancellationToken).ConfigureAwait(false);
        lock (_gate)
            _all.Add(made);
        return made;
    }

    // One whose batch failed is not given back: the run ends with it.
    private void Return(int database, RedisLease writer)
    {
        lock (_gate)
        {
            if (!_idle.TryGetValue(database, out var idle))
                _idle[database] = idle = new Stack<RedisLease>();
            idle.Push(writer);
        }
    }
}

/// <summary>What keys are now: the serialised value and when it ends. Read in one go.</summary>
internal sealed class KeyStates : IDisposable
{
    private readonly List<(BatchItem<PooledBytes> Dump, BatchItem<long> Ends)> _items;

    private KeyStates(List<(BatchItem<PooledBytes> Dump, BatchItem<long> Ends)> items) => _items = items;

    public KeyState this[int at] => new(_items[at].Dump.Value, _items[at].Ends.Value);

    /// <summary>Asks for all of them, together. Value and end of a key are two questions: what changes between them is named by the tracker, and read again.</summary>
    /// <exception cref="RedisException">The server does not answer, or refuses.</exception>
    public static async Task<KeyStates> ReadAsync(RedisClient client, IReadOnlyList<KeyName> keys, CancellationToken cancellationToken)
    {
        var batch = client.CreateBatch();
        var items = new List<(BatchItem<PooledBytes>, BatchItem<long>)>(keys.Count);
        foreach (var key in keys)
            items.Add(
                (
                    batch.Add(["DUMP", key.Bytes], ReplyParsers.PooledBytes, CommandOptions.Bulk),
                    batch.Add(["PEXPIRETIME", key.Bytes], ReplyParsers.Int64, CommandOptions.Bulk)
                )
            );
        var states = new KeyStates(items);
        if (keys.Count > 0)
            await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        return states;
    }

    public void Dispose()
    {
        foreach (var (dump, _) in _items)
        {
            if (dump.Outcome == BatchOutcome.Answered)
                dump.Value.Dispose();
        }
    }
}

/// <summary>A key as it is.</summary>
/// <param name="Dump">The value as DUMP has it; null where there is no key.</param>
/// <param name="EndsAt">As PEXPIRETIME says it: when it ends in milliseconds, -1 for never, -2 for no key.</param>
internal readonly record struct KeyState(PooledBytes Dump, long EndsAt)
{
    // It can end between the two questions.
    public bool IsGone => Dump.IsNull || EndsAt == -2;

    /// <summary>When it ends, in milliseconds since 1970; <c>null</c> for never.</summary>
    public long? Ends => EndsAt >= 0 ? EndsAt : null;
}
