namespace Onggi.Testing;

/// <summary>A clock that stands still until a test moves it; its timers fire inside <see cref="Advance"/>, in the order of their times.</summary>
public sealed class ManualTimeProvider : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<ManualTimer> _timers = [];
    private DateTimeOffset _now;
    private long _elapsed;

    /// <summary>Starts the clock at <paramref name="start"/>, or at noon of the first day of 2026.</summary>
    public ManualTimeProvider(DateTimeOffset? start = null) => _now = start ?? new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    /// <summary>One tick of a timestamp is one tick of a <see cref="TimeSpan"/>.</summary>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>How many timers wait for a time.</summary>
    public int WaitingTimers
    {
        get
        {
            lock (_gate)
                return _timers.Count;
        }
    }

    /// <summary>Moves the clock, firing on the way what falls due.</summary>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        var end = Now() + by.Ticks;
        while (TakeDue(end) is { } timer)
            timer.Fire();
        lock (_gate)
            MoveTo(end);
    }

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow()
    {
        lock (_gate)
            return _now;
    }

    /// <inheritdoc/>
    public override long GetTimestamp() => Now();

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private long Now()
    {
        lock (_gate)
            return _elapsed;
    }

    private ManualTimer? TakeDue(long end)
    {
        lock (_gate)
        {
            var due = _timers.MinBy(timer => timer.Due);
            if (due is null || due.Due > end)
                return null;
            MoveTo(Math.Max(_elapsed, due.Due));
            if (due.Period > 0)
                due.Due += due.Period;
            else
                _timers.Remove(due);
            return due;
        }
    }

    private void MoveTo(long elapsed)
    {
        _now += TimeSpan.FromTicks(elapsed - _elapsed);
        _elapsed = elapsed;
    }

    private sealed class ManualTimer(ManualTimeProvider owner, TimerCallback callback, object? state) : ITimer
    {
        public long Due { get; set; }

        public long Period { get; private set; }

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (owner._gate)
            {
                owner._timers.Remove(this);
                if (dueTime == Timeout.InfiniteTimeSpan)
                    return true;
                Due = owner._elapsed + dueTime.Ticks;
                Period = period == Timeout.InfiniteTimeSpan ? 0 : period.Ticks;
                owner._timers.Add(this);
                return true;
            }
        }

        public void Dispose()
        {
            lock (owner._gate)
                owner._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
