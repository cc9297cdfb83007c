using System.Diagnostics.CodeAnalysis;
using Onggi.Client;

namespace Onggi.Locks;

/// <summary>Those of this process who wait for one lock. Only the first of them asks Redis: when it is woken, and when the lease that was last seen must be over.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore has no handle: it is never asked for one.")]
internal sealed class WaitLine
{
    private readonly SemaphoreSlim _first = new(1, 1);
    private readonly RedisClient _redis;
    private readonly Lock _gate = new(); // Guards what follows.
    private TaskCompletionSource _woken = NewSignal();
    private bool _mayBeFree;
    private RedisSubscription? _subscription;
    private bool _closed;

    public WaitLine(RedisClient redis, LockTerms terms) => (_redis, Terms) = (redis, terms);

    public LockTerms Terms { get; }

    /// <summary>How many wait, and hold on to the line. Guarded by the gate of the lines.</summary>
    public int Users { get; set; }

    /// <summary>Since when nobody waits. Guarded by the gate of the lines.</summary>
    public long IdleSince { get; set; }

    /// <summary>When the lock is free at the latest, if nobody renews it. Only the first looks at it and changes it.</summary>
    public long AskAt { get; set; }

    /// <summary>Whether messages arrive.</summary>
    public bool IsListening
    {
        get
        {
            lock (_gate)
                return _subscription is not null;
        }
    }

    /// <summary>Why nobody can be woken; <c>null</c> while all is well.</summary>
    public string? Deaf { get; private set; }

    /// <summary>Waits until it is our turn to ask.</summary>
    public Task EnterAsync(CancellationToken cancellationToken) => _first.WaitAsync(cancellationToken);

    public void Leave() => _first.Release();

    /// <summary>Whether something has happened since the last question. Called by the first, who asks then.</summary>
    public bool TakeWake()
    {
        lock (_gate)
        {
            var woken = _mayBeFree;
            _mayBeFree = false;
            if (_woken.Task.IsCompleted)
                _woken = NewSignal();
            return woken;
        }
    }

    /// <summary>Ends when somebody gives the lock back, when a message can have been missed, or after the time.</summary>
    public async Task WaitAsync(TimeSpan atMost, TimeProvider time, CancellationToken cancellationToken)
    {
        Task woken;
        lock (_gate)
        {
            if (_mayBeFree)
                return;
            woken = _woken.Task;
        }

        try
        {
            await woken.WaitAsync(atMost, time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException)
        {
            // Then we ask without having been woken.
        }
    }

    /// <summary>Begins to listen, if that was not done; returns when every message from now on arrives, or it is known that none does.</summary>
    public async ValueTask ListenAsync(CancellationToken cancellationToken)
    {
        try
        {
            // A channel of the lock's slot: in a cluster nobody hears of it but the nodes of that slot.
            var subscription = await _redis.SubscribeShardedAsync(Terms.Wake, cancellationToken).ConfigureAwait(Rt.Capture);
            bool isOurs;
            lock (_gate)
            {
                isOurs = !_closed && _subscription is null;
                if (isOurs)
                    _subscription = subscription;
            }

            if (!isOurs)
            {
                await subscription.DisposeAsync().ConfigureAwait(Rt.Capture);
                return;
            }

            Deaf = null;
            using var flow = Rt.WithoutFlow();
            _ = ReadAsync(subscription);
        }
        catch (RedisException failure)
        {
            Deaf = failure.Message;
        }
    }

    public void Wake()
    {
        TaskCompletionSource woken;
        lock (_gate)
        {
            _mayBeFree = true;
            woken = _woken;
        }

        woken.TrySetResult();
    }

    public async ValueTask CloseAsync()
    {
        RedisSubscription? subscription;
        lock (_gate)
        {
            _closed = true;
            subscription = _subscription;
        }

        if (subscription is not null)
            await subscription.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    private static TaskCompletionSource NewSignal() => new(Rt.Signals);

    // A message, or the news that one can have been missed: either way it is worth a question.
    private async Task ReadAsync(RedisSubscription subscription)
    {
        await foreach (var _ in subscription.ReadAllAsync().ConfigureAwait(Rt.Capture))
            Wake();
    }
}

/// <summary>The lines of all locks that this process waits for. A line stays for a moment when nobody waits any more: who waits often need not subscribe each time.</summary>
internal sealed class WaitLines(RedisClient redis, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, WaitLine> _lines = new(StringComparer.Ordinal);
    private ITimer? _sweeper;
    private bool _disposed;

    /// <summary>How many lines there are.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _lines.Count;
        }
    }

    public WaitLine Join(LockTerms terms)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(OnggiLocks));
            if (!_lines.TryGetValue(terms.Wire, out var line))
                _lines[terms.Wire] = line = new WaitLine(redis, terms);
            line.Users++;
            return line;
        }
    }

    public void Part(WaitLine line)
    {
        lock (_gate)
        {
            if (--line.Users > 0)
                return;
            line.IdleSince = time.GetTimestamp();
            if (_sweeper is not null || _disposed)
                return;
            using var flow = Rt.WithoutFlow();
            _sweeper = time.CreateTimer(static lines => ((WaitLines)lines!).Sweep(), this, Linger, Linger);
        }
    }

    public async ValueTask DisposeAsync()
    {
        WaitLine[] lines;
        lock (_gate)
        {
            _disposed = true;
            lines = [.. _lines.Values];
            _lines.Clear();
            _sweeper?.Dispose();
        }

        foreach (var line in lines)
            await CloseAsync(line).ConfigureAwait(Rt.Capture);
    }

    private void Sweep()
    {
        List<WaitLine> idle = [];
        lock (_gate)
        {
            foreach (var line in _lines.Values)
            {
                if (line.Users == 0 && time.GetElapsedTime(line.IdleSince) >= Linger)
                    idle.Add(line);
            }

            foreach (var line in idle)
                _lines.Remove(line.Terms.Wire);
            if (_lines.Count == 0)
            {
                _sweeper?.Dispose();
                _sweeper = null;
            }
        }

        foreach (var line in idle)
            _ = CloseAsync(line);
    }

    private static async Task CloseAsync(WaitLine line)
    {
        try
        {
            await line.CloseAsync().ConfigureAwait(Rt.Capture);
        }
        catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
        {
            // The client has ended before us, and with it the subscription.
        }
    }
}
