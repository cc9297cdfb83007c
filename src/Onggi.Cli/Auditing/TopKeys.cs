namespace Onggi.Cli.Auditing;

/// <summary>The largest of many, by something.</summary>
/// <param name="most">How many are kept.</param>
/// <param name="by">By what.</param>
internal sealed class TopKeys(int most, Func<KeyFacts, long> by)
{
    private readonly PriorityQueue<KeyFacts, long> _kept = new();

    public void Add(KeyFacts key)
    {
        _kept.Enqueue(key, by(key));
        if (_kept.Count > most)
            _kept.Dequeue();
    }

    /// <summary>The largest first.</summary>
    public IReadOnlyList<KeyFacts> ToList() =>
        [.. _kept.UnorderedItems.OrderByDescending(item => item.Priority).Select(item => item.Element)];
}
