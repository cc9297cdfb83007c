using System.Diagnostics.CodeAnalysis;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>Makes keys of the target what they are at the source now: value and exact end, or gone. Doing it twice is harmless, whatever was written in between.</summary>
/// <param name="servers">Both sides.</param>
/// <param name="map">Which name becomes which.</param>
/// <param name="big">Keys that are copied in pieces.</param>
/// <param name="readers">Connections to read by.</param>
/// <param name="writers">Connections to write by, which end for good when a later run takes over.</param>
internal sealed class KeyCopier(MigrationServers servers, KeyMap map, BigKeys big, PipelinePool readers, PipelinePool writers)
{
    /// <summary>Copies a batch, in two round trips and a few more for keys that are gone or big.</summary>
    /// <returns>How many there were at the source, and how many bytes they took on the wire.</returns>
    /// <exception cref="RedisException">A side does not answer, is full, or refuses.</exception>
    public async Task<(int Keys, long Bytes)> CopyAsync(IReadOnlyList<KeyMove> moves, CancellationToken cancellationToken)
    {
        var (keys, bytes) = (0, 0L);
        foreach (var group in moves.GroupBy(move => (move.SourceDatabase, move.TargetDatabase)))
        {
            var (source, target) = (servers.Source(group.Key.SourceDatabase), servers.Target(group.Key.TargetDatabase));
            var reader = await readers.RentAsync(source, cancellationToken).ConfigureAwait(false);
            var writer = await writers.RentAsync(target, cancellationToken).ConfigureAwait(false);
            var (some, size) = await CopyAsync([.. group], reader, writer, cancellationToken).ConfigureAwait(false);
            readers.Return(source, reader);
            writers.Return(target, writer);
            (keys, bytes) = (keys + some, bytes + size);
        }

        return (keys, bytes);
    }

    [SuppressMessage("Reliability", "CA2012", Justification = "Each is awaited once, by the pipeline.")]
    private async Task<(int Keys, long Bytes)> CopyAsync(
        List<KeyMove> moves,
        Pipeline reader,
        Pipeline writer,
        CancellationToken cancellationToken
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        var whole = moves.FindAll(move => !big.Holds(move));
        using var states = await KeyStates.ReadAsync(reader, whole.ConvertAll(move => move.Source)).ConfigureAwait(false);
        var gone = new List<KeyMove>();
        var answers = new List<ValueTask<bool>>(whole.Count);
        var bytes = 0L;
        for (var i = 0; i < whole.Count; i++)
        {
            var state = states[i];
            if (state.IsGone)
            {
                gone.Add(whole[i]);
                continue;
            }

            bytes += state.Dump.Length;
            answers.Add(
                state.Ends is { } ends
                    ? writer.Add(["RESTORE", whole[i].Target.Bytes, ends, state.Dump.Memory, "REPLACE", "ABSTTL"], ReplyParsers.Ignore)
                    : writer.Add(["RESTORE", whole[i].Target.Bytes, 0, state.Dump.Memory, "REPLACE"], ReplyParsers.Ignore)
            );
        }

        var keys = answers.Count;
        await writer.FlushAsync(answers.ToArray()).ConfigureAwait(false);
        foreach (var move in gone)
            await RemoveAsync(move, writer, cancellationToken).ConfigureAwait(false);
        foreach (var move in moves.Where(big.Holds))
            keys += await big.CopyAsync(servers.Source(move.SourceDatabase), writer, move, cancellationToken).ConfigureAwait(false) ? 1 : 0;
        return (keys, bytes);
    }

    // The name may be another key's as well, where two databases become one: then that key's state is the true one.
    private async Task RemoveAsync(KeyMove move, Pipeline writer, CancellationToken cancellationToken)
    {
        foreach (var other in map.Origins(move.TargetDatabase, move.Target))
        {
            if (other.SourceDatabase == move.SourceDatabase && other.Source.Equals(move.Source))
                continue;
            if (await servers.Source(other.SourceDatabase).ExistsAsync(other.Source.Bytes, cancellationToken).ConfigureAwait(false))
            {
                await CopyAsync([other], cancellationToken).ConfigureAwait(false);
                return;
            }
        }

        await writer.SendAsync(["UNLINK", move.Target.Bytes], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
    }
}
