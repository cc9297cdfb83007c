using System.Diagnostics.CodeAnalysis;
using Onggi.Client;

namespace Onggi.Locks;

/// <summary>A lock that is ours for a while. It is renewed until it is disposed, lost, or held for as long as <see cref="LockOptions.MaxHold"/> allows.</summary>
/// <remarks>
/// It ends by our own clock, counted from before the question left: an answer that is late, and a Redis that hangs, cannot hide its end. When the machine itself sleeps, the clock may
/// sleep too; and a process that was stopped learns of the end when it goes on. What must not be done by two holders even then is written with <see cref="Fence"/>.
/// </remarks>
[SuppressMessage(
    "Reliability",
    "CA2213",
    Justification = "The source of Lost is not disposed: its token outlives the lease, and it has no timer."
)]
public sealed class LockLease : IAsyncDisposable
{
    private readonly OnggiLocks _locks;
    private readonly LockTerms _terms;
    private readonly string _owner;
    private readonly CancellationTokenSource _lost = new();
    private readonly Lock _gate = new(); // Guards what follows.
    private readonly long _began;
    private readonly long _noRenewalAfter;
    private ITimer? _timer;
    private LeaseState _state = LeaseState.Held;
    private long _end;
    private long _renewAt;
    private bool _renewing;
    private bool _renewAgain;

    internal LockLease(OnggiLocks locks, LockTerms terms, string owner, Fence fence, long asked)
    {
        (_locks, _terms, _owner, Fence) = (locks, terms, owner, fence);
        _began = asked;
        _noRenewalAfter = locks.Options.MaxHold is { } most ? asked + locks.Ticks(most) : long.MaxValue;
        Extend(asked);
    }

    private enum LeaseState
    {
        Held,
        Lost,
        Released,
    }

    /// <summary>The number of this holder: greater than that of every holder before. Write it with everything that the lock protects.</summary>
    public Fence Fence { get; }

    /// <summary>Fires when work under the lease must stop: at least <see cref="LockOptions.LostMargin"/> of the lease before its end, or as soon as it is known that it is no longer ours. Not when it was given back.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Whether the lease is ours by our own clock, asked now; true also where <see cref="Lost"/> is only just due.</summary>
    public bool IsHeld
    {
        get
        {
            lock (_gate)
                return _state == LeaseState.Held && _locks.Now < LoseAt;
        }
    }

    /// <summary>How long it lasts if it is not renewed any more; zero when it is over.</summary>
    public TimeSpan TimeLeft
    {
        get
        {
            lock (_gate)
                return _state == LeaseState.Held && _end - _locks.Now is var left and > 0 ? _locks.Span(left) : TimeSpan.Zero;
        }
    }

    internal LockTerms Terms => _terms;

    internal string Owner => _owner;

    // From then on holders stop. Within the gate.
    private long LoseAt =>
        _end
        - (
            // mutant: NoMargin
            LockMutants.NoMargin
                ? 0
                : _locks.MarginTicks(_terms.Lease)
        );

    // The margin is a promise, and timers and thread pools are late.
    private long FireAt => LoseAt - (LockMutants.NoMargin ? 0 : _locks.MarginTicks(_terms.Lease) / 2);

    /// <summary>Throws when the lease is over: for the places in between where work can stop.</summary>
    /// <exception cref="LeaseLostException">It is over.</exception>
    public void ThrowIfLost()
    {
        if (!IsHeld)
            throw new LeaseLostException(
                $"The lease of {_terms.Family} (fence {Fence}) is over: another may hold the lock. Stop, and take it anew if the work is still to be done."
            );
    }

    /// <summary>Gives the lock back and wakes who waits for it. One round trip; none when it was given back or lost before.</summary>
    /// <param name="cancellationToken">Abandons the wait; the lock is given back all the same, or is free when its time is over.</param>
    /// <returns><c>false</c> when it was no longer ours. Asked again after a lost reply it is still <c>true</c>.</returns>
    /// <exception cref="RedisException">Redis could not be asked: the lock is free when its time is over.</exception>
    public async ValueTask<bool> ReleaseAsync(CancellationToken cancellationToken = default)
    {
        if (!End(out var wasHeld))
            return false;
        var reply = await _locks.ReleaseAsync(_terms, _owner, cancellationToken).ConfigureAwait(Rt.Capture);
        return wasHeld && reply != ReleaseReply.HeldByAnother;
    }

    /// <summary>Gives the lock back as <see cref="ReleaseAsync"/> does, but throws nothing: where Redis cannot be asked, the lock is free when its time is over, and a line is logged.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!End(out _))
            return;
        try
        {
            await _locks.ReleaseAsync(_terms, _owner, CancellationToken.None).ConfigureAwait(Rt.Capture);
        }
        catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
        {
            LockLog.NotReleased(_locks.Logger, _terms.Family, Fence, failure.Message, _terms.Lease);
        }
    }

    /// <summary>Begins to watch the time. Apart from the constructor, because the timer can fire at once.</summary>
    internal void Start()
    {
        using var flow = Rt.WithoutFlow();
        lock (_gate)
        {
            if (_state != LeaseState.Held)
                return;
            _timer = _locks.Time.CreateTimer(
                static lease => ((LockLease)lease!).Tick(),
                this,
                Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan
            );
            Arm();
        }
    }

    /// <summary>Asks Redis at once whether the lease still stands: the connection was lost and is back, and the server can be another.</summary>
    internal void Verify()
    {
        lock (_gate)
        {
            if (_state != LeaseState.Held)
                return;
            if (_renewing)
            {
                _renewAgain = true;
                return;
            }

            _renewing = true;
        }

        _ = RenewAsync();
    }

    /// <summary>The process closes: the lease is given up.</summary>
    internal async ValueTask CloseAsync()
    {
        Lose(LockMetrics.Reasons.Closed, "the process closes.");
        await DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    private void Tick()
    {
        bool isOver;
        lock (_gate)
        {
            if (_state != LeaseState.Held)
                return;
            // mutant: LostWaitsForRenewal
            if (LockMutants.LostWaitsForRenewal && _renewing)
                return;
            var now = _locks.Now;
            isOver = now >= FireAt;
            if (!isOver)
            {
                var begins = !_renewing && now >= _renewAt && now < _noRenewalAfter;
                _renewing |= begins;
                Arm();
                if (!begins)
                    return;
            }
        }

        if (isOver)
            Lose(LockMetrics.Reasons.Expired, "it could not be renewed in time.");
        else
            _ = RenewAsync();
    }

    // Whatever becomes of it, the timer stands for the end of the lease meanwhile.
    private async Task RenewAsync()
    {
        do
        {
            var asked = _locks.Now;
            try
            {
                var renewed = await _locks.RenewAsync(this).ConfigureAwait(Rt.Capture);
                // mutant: EndFromAnswer
                if (LockMutants.EndFromAnswer)
                    asked = _locks.Now;
                if (!renewed)
                {
                    Lose(LockMetrics.Reasons.Taken, "Redis no longer has it as ours.");
                    return;
                }

                lock (_gate)
                    Extend(asked);
            }
            catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
            {
                LockLog.RenewalFailed(_locks.Logger, _terms.Family, Fence, failure.Message);
                lock (_gate)
                    _renewAt = _locks.Now + (_locks.RenewTicks(_terms.Lease) / 4);
            }
        } while (GoesOn());
    }

    private bool GoesOn()
    {
        lock (_gate)
        {
            if (_state == LeaseState.Held && _renewAgain)
            {
                _renewAgain = false;
                return true;
            }

            _renewing = false;
            if (_state == LeaseState.Held)
                Arm();
            return false;
        }
    }

    // Within the gate, or before anybody else knows of us. A lease that is over is not begun again by an answer that came late.
    private void Extend(long asked)
    {
        if (_state != LeaseState.Held)
            return;
        _end = asked + _locks.Ticks(_terms.Lease);
        _renewAt = asked + _locks.RenewTicks(_terms.Lease);
    }

    // Within the gate.
    private void Arm()
    {
        var now = _locks.Now;
        var next = _renewing || Math.Max(now, _renewAt) >= _noRenewalAfter ? FireAt : Math.Min(FireAt, _renewAt);
        var due = _locks.Span(Math.Max(0, next - now));
        // Timers count whole milliseconds and may be early by one: then they are armed again.
        _timer?.Change(due, Timeout.InfiniteTimeSpan);
    }

    private void Lose(string reason, string why)
    {
        lock (_gate)
        {
            if (_state != LeaseState.Held)
                return;
            _state = LeaseState.Lost;
            _timer?.Dispose();
        }

        _locks.Ended(this, _locks.Span(_locks.Now - _began));
        _locks.Metrics.Lost(_terms.Family, reason);
        LockLog.Lost(_locks.Logger, _terms.Family, Fence, why);
        try
        {
            _lost.Cancel();
        }
        catch (AggregateException failure)
        {
            LockLog.LostHandlerFailed(_locks.Logger, failure, _terms.Family, Fence);
        }
    }

    // Whoever ends it first gives it back, also when it was lost: in Redis it may still stand.
    private bool End(out bool wasHeld)
    {
        lock (_gate)
        {
            wasHeld = _state == LeaseState.Held && _locks.Now < _end;
            if (_state == LeaseState.Released)
                return false;
            var counted = _state == LeaseState.Held;
            _state = LeaseState.Released;
            _timer?.Dispose();
            if (!counted)
                return true;
        }

        _locks.Ended(this, _locks.Span(_locks.Now - _began));
        return true;
    }
}
