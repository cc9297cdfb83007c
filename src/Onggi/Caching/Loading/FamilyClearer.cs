using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>How far the clearing of a family is.</summary>
/// <param name="Family">The family.</param>
/// <param name="Removed">How many keys have been removed, leases included.</param>
public readonly record struct ClearProgress(string Family, long Removed);

/// <summary>Removes all entries of a family at a pace.</summary>
/// <remarks>
/// Correct by what SCAN promises: a key that stands during the whole walk comes at least once. So every value and every lease that stood when it began is removed before it
/// ends, and a load that began before cannot be stored. Leases come first: one that is used up while they are walked leaves a value that stands during the whole of the next walk. Memory needs no mark of its own: it holds nothing that Redis does not watch for it, and Redis tells of each removal.
/// A walk that ends on another server than it began on has promised nothing, as its cursor means nothing there; and what was removed may be back: then all is walked again.
/// </remarks>
internal sealed class FamilyClearer(Keyspace keyspace, EntryWriter writer, ICacheStore store, CoherenceLink link, TimeProvider time)
{
    private const int Step = 256;

    private static bool IsOfAuxiliaries(string pattern) => pattern.StartsWith('{');

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
        var epoch = await link.GreetedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        for (var life = ""; life != epoch.Id; epoch = await link.GreetedAsync(cancellationToken).ConfigureAwait(Rt.Capture))
        {
            life = epoch.Id;
            await WalkAllAsync().ConfigureAwait(Rt.Capture);
        }

        if (removed > 0 && family.Policy.Invalidation == Invalidation.Strict)
            await writer.WaitForAllAsync(removed, cancellationToken).ConfigureAwait(Rt.Capture);
        return removed;

        async ValueTask WalkAllAsync()
        {
            var patterns = family.Settings.ScanPatterns;
            foreach (var pattern in patterns.Where(IsOfAuxiliaries))
                await WalkAsync(pattern).ConfigureAwait(Rt.Capture);
            foreach (var pattern in patterns.Where(static pattern => !IsOfAuxiliaries(pattern)))
            {
                // Where keys have a tag of their own, their leases stand beside them: what is used up in this walk is met in another.
                if (await WalkAsync(pattern).ConfigureAwait(Rt.Capture))
                    await WalkAsync(pattern).ConfigureAwait(Rt.Capture);
            }
        }

        // Whether there were leases.
        async ValueTask<bool> WalkAsync(string pattern)
        {
            var leases = false;
            await foreach (var name in store.ScanAsync(pattern, cancellationToken).ConfigureAwait(Rt.Capture))
            {
                // A star also matches colons: what it finds may be another family's.
                if (keyspace.FamilyOf(name)?.Family.Equals(family.Settings.Family) != true)
                    continue;
                var entry = LeaseName.EntryOf(name);
                leases |= entry.Length < name.Length;
                names.Add(entry.ToString());
                if (names.Count >= Step)
                    await RemoveAsync().ConfigureAwait(Rt.Capture);
            }

            await RemoveAsync().ConfigureAwait(Rt.Capture);
            return leases;
        }

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
