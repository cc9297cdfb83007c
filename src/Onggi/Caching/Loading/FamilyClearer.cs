using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>How far the clearing of a family is.</summary>
/// <param name="Family">The family.</param>
/// <param name="Removed">How many keys have been removed, leases included.</param>
public readonly record struct ClearProgress(string Family, long Removed);

/// <summary>Removes all entries of a family at a pace.</summary>
/// <remarks>
/// Correct by what SCAN promises: a key that stands during the whole walk comes at least once. So every value and every lease that stood when it began is removed before it
/// ends, and a load that began before cannot be stored. Memory needs no mark of its own: it holds nothing that Redis does not watch for it, and Redis tells of each removal.
/// </remarks>
internal sealed class FamilyClearer(Keyspace keyspace, EntryWriter writer, ICacheStore store, TimeProvider time)
{
    private const int Step = 256;

    public async ValueTask<long> ClearAsync(
        CacheFamily family,
        int keysPerSecond,
        IProgress<ClearProgress>? progress,
        CancellationToken cancellationToken
    )
    {
        var started = time.GetTimestamp();
        var removed = 0L;
        var names = new HashSet<string>(Step, StringComparer.Ordinal);
        foreach (var pattern in family.Settings.ScanPatterns)
        {
            await foreach (var name in store.ScanAsync(pattern, cancellationToken).ConfigureAwait(Rt.Capture))
            {
                // A star also matches colons: what it finds may be another family's.
                if (keyspace.FamilyOf(name)?.Family.Equals(family.Settings.Family) != true)
                    continue;
                names.Add(LeaseName.EntryOf(name).ToString());
                if (names.Count >= Step)
                    await RemoveAsync().ConfigureAwait(Rt.Capture);
            }

            await RemoveAsync().ConfigureAwait(Rt.Capture);
        }

        return removed;

        async ValueTask RemoveAsync()
        {
            if (names.Count == 0)
                return;
            await writer.RemoveAsync(names.ToArray(), cancellationToken).ConfigureAwait(Rt.Capture);
            removed += names.Count;
            names.Clear();
            progress?.Report(new ClearProgress(family.Name, removed));
            var due = TimeSpan.FromSeconds((double)removed / keysPerSecond) - time.GetElapsedTime(started);
            if (due > TimeSpan.Zero)
                await Task.Delay(due, time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
    }
}
