using System.Runtime.InteropServices;
using System.Text;

namespace Onggi.Caching;

/// <summary>One wait for a key to change, or for its lease.</summary>
internal sealed class LeaseWait
{
    private readonly TaskCompletionSource _changed = new(Rt.Signals);

    public Task Changed => _changed.Task;

    public void Wake() => _changed.TrySetResult();
}

/// <summary>Who waits for a key that another fills. A wait is registered on the reading loop, before an invalidation that follows the answer is read.</summary>
internal sealed class LeaseWaits
{
    private const int MostOnStack = 512;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, List<LeaseWait>> _waits = new(StringComparer.Ordinal);
    private volatile int _count;

    public int Count => _count;

    public LeaseWait Add(string wireName)
    {
        var wait = new LeaseWait();
        lock (_gate)
        {
            ref var list = ref CollectionsMarshal.GetValueRefOrAddDefault(_waits, wireName, out _);
            (list ??= []).Add(wait);
            _count++;
        }

        return wait;
    }

    public void Remove(string wireName, LeaseWait wait)
    {
        lock (_gate)
        {
            if (!_waits.TryGetValue(wireName, out var list) || !list.Remove(wait))
                return;
            _count--;
            if (list.Count == 0)
                _waits.Remove(wireName);
        }
    }

    /// <summary>The key, or its lease, has changed.</summary>
    public void Wake(ReadOnlySpan<byte> name)
    {
        if (_count == 0)
            return;
        var most = Encoding.UTF8.GetMaxCharCount(name.Length);
        var chars = most <= MostOnStack ? stackalloc char[MostOnStack] : new char[most];
        var entry = LeaseName.EntryOf(chars[..Encoding.UTF8.GetChars(name, chars)]);
        List<LeaseWait>? list;
        lock (_gate)
        {
            if (!_waits.GetAlternateLookup<ReadOnlySpan<char>>().Remove(entry, out _, out list))
                return;
            _count -= list.Count;
        }

        foreach (var wait in list)
            wait.Wake();
    }

    /// <summary>Everything may have changed.</summary>
    public void WakeAll()
    {
        List<LeaseWait> all;
        lock (_gate)
        {
            all = [.. _waits.Values.SelectMany(static list => list)];
            _waits.Clear();
            _count = 0;
        }

        foreach (var wait in all)
            wait.Wake();
    }
}
