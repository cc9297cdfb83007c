using System.Text;
using System.Text.Unicode;
using Onggi.Caching;
using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>Removes what a subject means: found by SCAN, removed by UNLINK, in batches so small that others do not wait.</summary>
/// <remarks>
/// <para>Each round sends a batch's UNLINK and the SCAN for the next one together. A cursor is written down only after what stood before it was removed: whoever goes on from there misses nothing, and at worst looks at
/// some names that are gone.</para>
/// <para>Cursors are of one life of one server. So the life is compared when it is gone on with, and at the end: where it is another one, the walks begin again.</para>
/// <para>A cached entry and the right to fill it go in one command, as the cache's own invalidation does it: a load that began before cannot be stored after.</para>
/// </remarks>
/// <param name="client">The Redis.</param>
/// <param name="subject">What.</param>
/// <param name="file">Where it is written down how far it has come.</param>
/// <param name="time">The clock.</param>
internal sealed class KeyDeleter(RedisClient client, DeleteSubject subject, DeleteStateFile file, TimeProvider time)
{
    /// <summary>Where it is written down how far it has come.</summary>
    public DeleteStateFile File => file;

    /// <summary>What others feel; <c>null</c> when nobody looks, in tests.</summary>
    public LatencyProbe? Probe { get; init; }

    /// <summary>How large batches are.</summary>
    public required Pace Pace { get; init; }

    /// <summary>Where keys go before they are removed; <c>null</c> for nowhere.</summary>
    public UndoWriter? Undo { get; init; }

    /// <summary>Runs after each batch; for tests.</summary>
    public Action? AfterBatch { get; init; }

    /// <summary>Which life of the server this is; empty where the user may not know, or there are several servers.</summary>
    public static async Task<string> RunIdAsync(RedisClient client, CancellationToken cancellationToken)
    {
        if (client.Server?.Mode == "cluster")
            return "";
        try
        {
            var info = await client.InfoAsync("server", cancellationToken).ConfigureAwait(false);
            return ServerInfo.Parse(info ?? "").RunId;
        }
        catch (RedisServerException refused) when (refused.Code == "NOPERM")
        {
            return "";
        }
    }

    /// <summary>Removes what is left, and takes the state file away when that is all.</summary>
    /// <exception cref="RedisException">Redis is gone, or refuses. The state file says how far it has come.</exception>
    /// <exception cref="OperationCanceledException">Stopped; the same.</exception>
    public async Task RunAsync(DeleteState state, ToolProgress progress, CancellationToken cancellationToken)
    {
        file.Write(state);
        try
        {
            while (true)
            {
                while (state.Pass < subject.Patterns.Count)
                    await WalkAsync(state, progress, cancellationToken).ConfigureAwait(false);
                var life = await RunIdAsync(client, cancellationToken).ConfigureAwait(false);
                if (life == state.RunId)
                    break;
                progress.Note = "the server was started anew: once more";
                progress.Set(0);
                state.BeginAnew(life);
            }
        }
        catch
        {
            file.Write(state);
            throw;
        }

        if (Undo is not null)
            await Undo.FinishAsync(cancellationToken).ConfigureAwait(false);
        file.Remove();
    }

    private async Task WalkAsync(DeleteState state, ToolProgress progress, CancellationToken cancellationToken)
    {
        var walk = await PagedWalk.BeginAsync(client, subject.Patterns[state.Pass], state.Cursor, cancellationToken).ConfigureAwait(false);
        var count = Pace.Keys;
        var page = await walk.NextAsync(count, cancellationToken).ConfigureAwait(false);
        while (page is not null)
        {
            var removing = RemoveAsync(page.Keys, state, cancellationToken);
            var looked = count;
            count = Pace.Keys;
            var next = walk.NextAsync(count, cancellationToken);
            try
            {
                await removing.ConfigureAwait(false);
                state.Cursor = page.Cursor;
            }
            finally
            {
                // Whatever became of the one, the other is not left alone.
                await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            progress.Add(looked);
            progress.Note = $"{state.Removed:N0} removed";
            file.WriteSometimes(state);
            AfterBatch?.Invoke();
            page = await next.ConfigureAwait(false);
            if (Probe is not null && Pace.After(Probe.TakeWorst()) is var pause && pause > TimeSpan.Zero)
                await Task.Delay(pause, time, cancellationToken).ConfigureAwait(false);
        }

        state.Pass++;
        state.Cursor = KeyPage.End;
    }

    private async Task RemoveAsync(byte[][] found, DeleteState state, CancellationToken cancellationToken)
    {
        var (keys, leases) = Choose(found);
        if (keys.Count + leases.Count == 0)
            return;
        if (Undo is not null)
            state.Saved += await Undo.SaveAsync(client, keys, cancellationToken).ConfigureAwait(false);
        // Not given up in the middle: what was removed is to be known.
        state.Removed += await client
            .SendAsync(["UNLINK", .. keys, .. leases], ReplyParsers.Int64, CommandOptions.Idempotent, CancellationToken.None)
            .ConfigureAwait(false);
    }

    // A lease that is found takes its entry along: with it a value goes that was stored meanwhile.
    private (List<byte[]> Keys, List<string> Leases) Choose(byte[][] found)
    {
        var keys = new List<byte[]>(found.Length);
        var leases = new List<string>();
        foreach (var key in found)
        {
            if (!subject.IsMeant(key, out var family))
                continue;
            // What is no text has no lease, and must not be taken for another key.
            if (!DeleteSubject.IsCached(family) || !Utf8.IsValid(key))
            {
                keys.Add(key);
                continue;
            }

            var name = Encoding.UTF8.GetString(key);
            // Names that the catalog makes have no hash tag of their own: what ends otherwise is an identifier.
            var entry = name[0] == '{' ? LeaseName.EntryOf(name).ToString() : name;
            keys.Add(entry.Length == name.Length ? key : Encoding.UTF8.GetBytes(entry));
            leases.Add(LeaseName.Of(entry));
        }

        return (keys, leases);
    }
}
