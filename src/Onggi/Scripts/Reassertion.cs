using Onggi.Client;

namespace Onggi.Scripts;

/// <summary>Something that this process made Redis do, and asserts again. Its times belong to the <see cref="Reassertion{TNote}"/> that remembers it.</summary>
internal abstract class ReassertedNote
{
    /// <summary>When it was asked for; of the process's clock that only runs forwards.</summary>
    public long Asked { get; internal set; }

    /// <summary>Whether Redis has said that it is made.</summary>
    internal bool IsMade { get; set; }

    /// <summary>When it was made; until then, when it was asked for.</summary>
    internal long Since { get; set; }

    /// <summary>When it is asserted again; without end while that is under way.</summary>
    internal long Next { get; set; }

    /// <summary>For how long it matters: when it has been made, and while it has not.</summary>
    public abstract TimeSpan MattersFor(bool isMade);
}

/// <summary>What this process made Redis do lately, and asserts again: a failover can lose what Redis had acknowledged, and with it bring back what was ended.</summary>
/// <remarks>
/// <para>Asserted again is everything when the link to Redis has changed; and by itself each note when it is 1, 2, 4, 8 … s old, since not every failover is noticed: on a cluster a slot can get another owner while all
/// connections stand. What a failover loses is what was written shortly before it; so what is lost without our noticing is back after as long as it had been there.</para>
/// <para>What was not made, or could not be asserted, is tried again a second later. A call that is under way is left alone until its command time-out is over.</para>
/// </remarks>
/// <typeparam name="TNote">What is remembered.</typeparam>
internal sealed class Reassertion<TNote> : IAsyncDisposable
    where TNote : ReassertedNote
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(1);

    // Those that fall due in a moment are asserted together.
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(50);

    private readonly RedisClient _redis;
    private readonly int _capacity;
    private readonly Func<List<TNote>, bool, CancellationToken, ValueTask> _assert;
    private readonly Action<int, Exception> _failed;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly RepeatedWork _work;
    private readonly ITimer _timer;

    // Guards all below, and the times of the notes.
    private readonly Lock _gate = new();
    private readonly Queue<TNote> _notes = new();
    private long _wakesAt = long.MaxValue;
    private bool _all;
    private bool _disposed;

    /// <param name="redis">Whose link is watched.</param>
    /// <param name="capacity">How many notes are remembered; the oldest are forgotten first.</param>
    /// <param name="assert">Asserts notes, and tells <see cref="Asserted"/> of each that was; the second says whether these are all, since the link has changed.</param>
    /// <param name="failed">Is told of notes that could not be asserted, and why.</param>
    /// <param name="time">The clock.</param>
    public Reassertion(
        RedisClient redis,
        int capacity,
        Func<List<TNote>, bool, CancellationToken, ValueTask> assert,
        Action<int, Exception> failed,
        TimeProvider time
    )
    {
        (_redis, _capacity, _assert, _failed, _time) = (redis, capacity, assert, failed, time);
        _work = new RepeatedWork(RunAsync);
        using (Rt.WithoutFlow())
            _timer = time.CreateTimer(
                static one => ((Reassertion<TNote>)one!).Wake(),
                this,
                Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan
            );
        _redis.ConnectionChanged += OnConnectionChanged;
    }

    /// <summary>How many are remembered.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _notes.Count;
        }
    }

    /// <summary>Remembers one: before Redis is asked, so that it counts whatever becomes of that call; or when it is made.</summary>
    /// <returns>Whether the oldest had to be forgotten for it.</returns>
    public bool Add(TNote note, bool isMade = false)
    {
        lock (_gate)
        {
            if (_disposed)
                return false;
            note.Asked = note.Since = _time.GetTimestamp();
            note.IsMade = isMade;
            _notes.Enqueue(note);
            var isFull = _notes.Count > _capacity;
            if (isFull)
                _notes.Dequeue();
            Again(note, isMade ? First : First + _redis.Options.CommandTimeout);
            return isFull;
        }
    }

    /// <summary>Redis has made it.</summary>
    public void Made(TNote note)
    {
        lock (_gate)
            MadeNow(note);
    }

    /// <summary>The call that was to make it has failed.</summary>
    public void Failed(TNote note)
    {
        lock (_gate)
            Again(note, First);
    }

    /// <summary>It was asserted: once more when it has been there for as long again.</summary>
    public void Asserted(TNote note)
    {
        lock (_gate)
        {
            MadeNow(note);
            Again(note, _time.GetElapsedTime(note.Since));
        }
    }

    /// <summary>How long ago it was made; <c>null</c> when it has not been.</summary>
    public TimeSpan? AgeOf(TNote note)
    {
        lock (_gate)
            return note.IsMade ? _time.GetElapsedTime(note.Since) : null;
    }

    /// <summary>Until nothing is being asserted.</summary>
    internal Task WhenQuietAsync() => _work.EndAsync();

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        _redis.ConnectionChanged -= OnConnectionChanged;
        await _timer.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _work.EndAsync().ConfigureAwait(Rt.Quietly);
        _stop.Dispose();
    }

    private void OnConnectionChanged(bool connected)
    {
        if (!connected)
            return;
        lock (_gate)
        {
            if (_notes.Count == 0 || _disposed)
                return;
            _all = true;
        }

        _work.Ask();
    }

    private void Wake()
    {
        lock (_gate)
        {
            _wakesAt = long.MaxValue;
            if (_disposed)
                return;
        }

        _work.Ask();
    }

    private async Task RunAsync()
    {
        var (due, all) = Due();
        if (due.Count == 0)
            return;
        try
        {
            await _assert(due, all, _stop.Token).ConfigureAwait(Rt.Capture);
        }
        catch (Exception failure)
        {
            if (_stop.IsCancellationRequested)
                return;
            // It must not end: what is not asserted now is in a second.
            _failed(due.Count, failure);
        }

        lock (_gate)
        {
            foreach (var note in due)
                if (note.Next == long.MaxValue)
                    Again(note, First);
        }
    }

    private (List<TNote> Due, bool All) Due()
    {
        var due = new List<TNote>();
        lock (_gate)
        {
            if (_disposed)
                return (due, false);
            var now = _time.GetTimestamp();
            var all = _all;
            _all = false;
            var next = long.MaxValue;
            for (var left = _notes.Count; left > 0; left--)
            {
                var note = _notes.Dequeue();
                if (_time.GetElapsedTime(note.Since, now) >= note.MattersFor(note.IsMade))
                    continue;
                _notes.Enqueue(note);
                if (all || note.Next <= now)
                {
                    due.Add(note);
                    note.Next = long.MaxValue;
                }
                else
                {
                    next = Math.Min(next, note.Next);
                }
            }

            WakeAt(next);
            return (due, all);
        }
    }

    // Under the gate, as all below.
    private void MadeNow(TNote note)
    {
        if (note.IsMade)
            return;
        note.IsMade = true;
        // Until now it can have been without effect, and what a failover loses is what was written shortly before it.
        note.Since = _time.GetTimestamp();
        Again(note, First);
    }

    private void Again(TNote note, TimeSpan pause)
    {
        note.Next = _time.GetTimestamp() + TicksOf(pause > First ? pause : First);
        WakeAt(note.Next);
    }

    private void WakeAt(long at)
    {
        if (_disposed || at >= _wakesAt)
            return;
        var now = _time.GetTimestamp();
        var pause = _time.GetElapsedTime(now, Math.Max(at, now + TicksOf(ShortestPause)));
        _wakesAt = at;
        _timer.Change(pause, Timeout.InfiniteTimeSpan);
    }

    private long TicksOf(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);
}
