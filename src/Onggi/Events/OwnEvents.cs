namespace Onggi.Events;

/// <summary>The ids of events that this process published and has not heard back yet.</summary>
/// <remarks>
/// The envelope names the service, which its replicas share, so only the id tells who published. An id that was pushed out by
/// <see cref="Capacity"/> younger ones is taken for another process's: whoever asks then does harmless work twice.
/// </remarks>
internal sealed class OwnEvents
{
    internal const int Capacity = 4096;

    private readonly Lock _gate = new(); // Guards both.
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private readonly Queue<string> _oldestFirst = new();

    public void Add(string id)
    {
        lock (_gate)
        {
            _ids.Add(id);
            _oldestFirst.Enqueue(id);
            if (_oldestFirst.Count > Capacity)
                _ids.Remove(_oldestFirst.Dequeue());
        }
    }

    /// <summary>Whether the id is ours; it is asked once, when the event comes back.</summary>
    public bool Take(string id)
    {
        lock (_gate)
            return _ids.Remove(id);
    }
}
