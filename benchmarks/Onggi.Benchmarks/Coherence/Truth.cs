using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;

namespace Onggi.Benchmarks.Coherence;

/// <summary>The source that all nodes of a fleet load from, in memory that their processes share: for each key the version that is committed, and when the invalidation of each version was acknowledged.</summary>
/// <remarks>
/// It stands for the team's database, one that shows a commit to everybody at once. Times are <see cref="System.Diagnostics.Stopwatch"/> ticks, which on one machine all processes
/// have in common, so nothing is compared across clocks. Every cell is one aligned 64-bit word, written by one process at a time or by an interlocked operation.
/// </remarks>
internal sealed unsafe class Truth : IDisposable
{
    private const int Header = 16; // Words: the committed version and the highest acknowledged one, each with a cache line of its own.

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly long* _words;
    private readonly int _versions;

    private Truth(MemoryMappedFile file, int keys, int versions)
    {
        _file = file;
        _versions = versions;
        _view = file.CreateViewAccessor(0, Size(keys, versions));
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _words = (long*)start;
    }

    /// <summary>Makes the file, all keys at version 0.</summary>
    public static Truth Create(string path, int keys, int versions) =>
        new(MemoryMappedFile.CreateFromFile(path, FileMode.CreateNew, null, Size(keys, versions)), keys, versions);

    /// <summary>Opens what another process made with the same numbers.</summary>
    public static Truth Open(string path, int keys, int versions) =>
        new(MemoryMappedFile.CreateFromFile(path, FileMode.Open), keys, versions);

    /// <summary>The version that a loader sees now.</summary>
    public long Committed(int key) => Volatile.Read(ref Word(key, 0));

    /// <summary>Commits the next version and tells its number.</summary>
    public long Commit(int key)
    {
        var version = Interlocked.Increment(ref Word(key, 0));
        return version < _versions ? version : throw new InvalidOperationException("More writes than were planned.");
    }

    /// <summary>The invalidation of this version returned at that time: what is older is stale from then on.</summary>
    public void Acknowledge(int key, long version, long at)
    {
        Volatile.Write(ref Acknowledged(key, version), at);
        ref var highest = ref Word(key, Header / 2);
        for (var seen = Volatile.Read(ref highest); seen < version; )
        {
            var before = Interlocked.CompareExchange(ref highest, version, seen);
            if (before == seen)
                return;
            seen = before;
        }
    }

    /// <summary>The highest version whose invalidation has returned: a read that begins now must not give an older one.</summary>
    public long Floor(int key) => Volatile.Read(ref Word(key, Header / 2));

    /// <summary>Since when a version has been out of date: the first acknowledgement of a newer one, none newer than <paramref name="floor"/>.</summary>
    public long StaleSince(int key, long version, long floor)
    {
        var first = long.MaxValue;
        for (var newer = version + 1; newer <= floor; newer++)
            if (Volatile.Read(ref Acknowledged(key, newer)) is var at and not 0)
                first = Math.Min(first, at);
        return first;
    }

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    private static long Size(int keys, int versions) => (long)keys * (Header + versions) * sizeof(long);

    private ref long Acknowledged(int key, long version) => ref Word(key, Header + (int)version);

    private ref long Word(int key, int word) => ref Unsafe.AsRef<long>(_words + ((long)key * (Header + _versions)) + word);
}
