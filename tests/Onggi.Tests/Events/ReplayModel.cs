using System.Text;
using Onggi.Events;
using Onggi.Events.Replay;

namespace Onggi.Tests.Events;

/// <summary>What a run of the model does to the server and to the link.</summary>
internal sealed record ReplayWorld
{
    /// <summary>How many events the ring keeps.</summary>
    public int Ring { get; init; } = 40;

    /// <summary>How many events wait for the handler before the oldest are dropped.</summary>
    public int Queue { get; init; } = 8;

    public bool Cuts { get; init; } = true;

    /// <summary>Failovers that lose the last events.</summary>
    public bool Failovers { get; init; }

    /// <summary>Restarts without data.</summary>
    public bool Restarts { get; init; }

    /// <summary>Rings that end because nothing was published for a while.</summary>
    public bool Expiries { get; init; }

    /// <summary>Messages that arrive once more, late.</summary>
    public bool Echoes { get; init; }

    /// <summary>Processes that are killed, and others that go on where they were.</summary>
    public bool Kills { get; init; }
}

/// <summary>A server, a link and a subscription's loop without threads: a seed decides what happens next.</summary>
/// <remarks>
/// The oracle knows each event by a mark of its own, given in the order of publishing. A run is right when what was handed over came in that order and once each,
/// and every event that the server still counts at the end was handed over, or a gap was told in its place.
/// </remarks>
internal sealed class ReplayModel(ReplayWorld world, Random random)
{
    private const int PageEvents = 5;

    private readonly List<RingEvent> _history = []; // Of the present epoch, as the server has it now: number 1 first.
    private readonly List<(EventEnvelope? Event, long Number)> _queue = []; // Null is the news that events can have been missed.
    private long _arrivals;
    private readonly List<CursorItem> _out = [];
    private readonly Dictionary<string, int> _order = []; // By id.
    private EventCursor _cursor = new("user.updated");
    private EventEnvelope? _echo;
    private int _ringFrom; // Index into the history.
    private string? _epoch;
    private bool _isLinked = true;
    private bool _owes;
    private int _begunAt;

    /// <summary>Runs, and says what was wrong; <c>null</c> for nothing.</summary>
    public string? Run(int steps)
    {
        for (var i = random.Next(4); i > 0; i--)
            Publish();
        _begunAt = _order.Count;
        Ask();
        for (var step = 0; step < steps; step++)
            Step();
        _isLinked = true;
        Enqueue(null);
        while (_queue.Count > 0)
            TakeNext();
        return Judge();
    }

    private void Step()
    {
        var dice = random.Next(1000);
        if (dice < 550)
            Publish();
        else if (dice < 900)
            TakeNext();
        else if (dice < 930 && world.Cuts)
            Toggle();
        else if (dice < 940 && world.Failovers)
            FailOver();
        else if (dice < 945 && world.Restarts)
            Restart();
        else if (dice < 955 && world.Expiries)
            _ringFrom = _history.Count;
        else if (dice < 970 && world.Echoes && _echo is { } late && _isLinked)
            Enqueue(late);
        else if (dice < 985 && world.Kills)
            Kill();
    }

    private void Publish()
    {
        var id = $"event-{_order.Count}";
        _order.Add(id, _order.Count);
        _epoch ??= $"epoch-{id}";
        var json = $$"""{"epoch":"{{_epoch}}","seq":{{_history.Count + 1}},"id":"{{id}}","type":"user.updated","data":1}""";
        Assert.True(EventEnvelope.TryRead(Encoding.UTF8.GetBytes(json), out var live, out _));
        _history.Add(new RingEvent(default, _history.Count > 0 ? _history[^1].Event.Id : "", live));
        _ringFrom = Math.Max(_ringFrom, _history.Count - world.Ring);
        if (!_isLinked)
            return;
        Enqueue(live);
        if (random.Next(10) == 0)
            _echo = live;
    }

    private void Enqueue(EventEnvelope? item)
    {
        _queue.Add((item, ++_arrivals));
        if (_queue.Count <= world.Queue)
            return;
        _owes |= _queue[0].Event is null;
        _queue.RemoveAt(0);
    }

    private void Toggle()
    {
        _isLinked = !_isLinked;
        if (_isLinked)
            Enqueue(null);
    }

    // All links break; the last events were not replicated.
    private void FailOver()
    {
        var left = Math.Max(0, _history.Count - random.Next(12));
        if (left == 0)
            return;
        _history.RemoveRange(left, _history.Count - left);
        _ringFrom = Math.Min(_ringFrom, left);
        Relink();
    }

    private void Restart()
    {
        _history.Clear();
        (_epoch, _ringFrom) = (null, 0);
        Relink();
    }

    // What waited here is gone; the next process knows the last event that was handled, and nothing else.
    private void Kill()
    {
        if (_out.FindLast(static item => item.Event is not null).Event is not { Epoch: { } epoch, Sequence: { } number } last)
            return;
        (_isLinked, _owes) = (false, false);
        _queue.Clear();
        for (var i = random.Next(20); i > 0; i--)
            Publish();
        Assert.True(EventPosition.TryParse(new EventPosition(epoch, number, last.Id).ToString(), out var kept));
        _cursor = new EventCursor("user.updated", after: kept);
        Toggle();
    }

    private void Relink()
    {
        _isLinked = false;
        _echo = null;
        for (var i = random.Next(20); i > 0; i--)
            Publish();
        Toggle();
    }

    // What the loop of a subscription does with the next in its queue.
    private void TakeNext()
    {
        if (_queue.Count == 0)
            return;
        var (item, number) = _queue[0];
        _queue.RemoveAt(0);
        var owes = _owes;
        _owes = false;
        if (item is null || owes)
            Ask();
        if (item is null)
            return;
        var verdict = _cursor.Judge(item, number);
        if (verdict == EventVerdict.Ask)
        {
            Ask();
            verdict = _cursor.Judge(item, number);
        }

        if (verdict == EventVerdict.HandOver)
            _out.Add(new CursorItem(item, null));
    }

    private void Ask()
    {
        var (before, wasBegun) = (_arrivals, _cursor.IsBegun);
        (string? Epoch, long Sequence)? goal = null;
        for (var pages = 0; pages < 1000; pages++)
        {
            var most = _cursor.IsBegun ? PageEvents : 0;
            var from = (int)Math.Max(_ringFrom, _cursor.AskFrom - 1);
            var page = new RingPage(
                _epoch,
                _history.Count,
                _history.Count > 0 ? _history[^1].Event.Id : null,
                default,
                [.. _history.Skip(from).Take(most)]
            );
            var hasMore = _cursor.Take(page, _out);
            if (goal is null || goal.Value.Epoch != page.Epoch)
                goal = (page.Epoch, page.Sequence);
            if (!hasMore || _cursor.Last >= goal.Value.Sequence)
            {
                if (wasBegun)
                    _cursor.Covers(before);
                return;
            }

            if (random.Next(4) == 0)
                Publish();
        }

        Assert.Fail("It asks without end.");
    }

    private string? Judge()
    {
        var last = -1;
        string? epoch = null;
        var gapBefore = new HashSet<int>(); // Before the n-th event that was handed over.
        List<int> handed = [];
        foreach (var item in _out)
        {
            if (item.Event is not { } one)
            {
                gapBefore.Add(handed.Count);
                continue;
            }

            var at = _order[one.Id];
            if (at <= last)
                return $"{one.Id} was handed over after event-{last}.";
            if (epoch is not null && one.Epoch != epoch && !gapBefore.Contains(handed.Count))
                return $"Nobody was told that the count changed before {one.Id}.";
            (last, epoch) = (at, one.Epoch);
            handed.Add(at);
        }

        foreach (var kept in _history)
        {
            var at = _order[kept.Event.Id];
            if (at < _begunAt)
                continue;
            var place = handed.BinarySearch(at);
            if (place < 0 && !gapBefore.Contains(~place))
                return $"{kept.Event.Id} is missing, and nobody was told.";
        }

        if (world is { Failovers: false, Restarts: false, Expiries: false } && world.Ring == int.MaxValue && gapBefore.Count > 0)
            return "A gap was told where nothing was missing.";
        return null;
    }
}
