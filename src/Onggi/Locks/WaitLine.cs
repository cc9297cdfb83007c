using System.Diagnostics.CodeAnalysis;
using Onggi.Client;

namespace Onggi.Locks;

/// <summary>Those of this process who wait for one lock. Only the first of them asks Redis: when it is woken, and when the lease that was last seen must be over.</summary>
[SuppressMessage("Design", "CA1001", Justification = "Neither the semaphore nor the source has a handle: they are never asked for one.")]
internal sealed class WaitLine
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _first = new(1, 1);
    private readonly CancellationTokenSource _closed = new();
    private readonly RedisClient _redis;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new(); // Guards what follows.
    private TaskCompletionSource _woken = NewSignal();
    private bool _mayBeFree;
    private Task? _listening;
    private volatile bool _isListening;
    private volatile bool _isAsleep;

    public WaitLine(RedisClient redis, LockTerms terms, TimeProvider time) => (_redis, Terms, _time) = (redis, terms, time);

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
        get => _isListening;
        private set => _isListening = value;
    }

    /// <summary>Whether the first has asked, and does nothing but wait.</summary>
    public bool IsAsleep => _isAsleep;

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
    public async Task WaitAsync(TimeSpan atMost, CancellationToken cancellationToken)
    {
        Task woken;
        lock (_gate)
        {
            if (_mayBeFree)
                return;
            woken = _woken.Task;
            _isAsleep = true;
        }

        try
        {
            await woken.WaitAsync(atMost, _time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException)
        {
            // Then we ask without having been woken.
        }
        finally
        {
            _isAsleep = false;
        }
    }

    /// <summary>Begins to listen, if that was not done. Nobody waits for it: when messages arrive, the first is woken to ask again.</summary>
    public void Listen(Action<string> refused)
    {
        lock (_gate)
        {
            if (_listening is not null || _closed.IsCancellationRequested)
                return;
            using var flow = Rt.WithoutFlow();
            _listening = ListenAsync(refused);
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
        Task? listening;
        lock (_gate)
        {
            listening = _listening;
            _closed.Cancel();
        }

        if (listening is not null)
            await listening.ConfigureAwait(Rt.Quietly);
    }

    // Who waits goes on in the middle of who wakes it, to the point where its question is sent: that is short, and blocks nobody.
    private static TaskCompletionSource NewSignal() => new();

    private async Task ListenAsync(Action<string> refused)
    {
        while (!_closed.IsCancellationRequested)
        {
            try
            {
                await ReadAsync().ConfigureAwait(Rt.Capture);
            }
            catch (RedisException failure)
            {
                if (failure is RedisServerException)
                    refused(failure.Message);
                await Task.Delay(PauseAfterFailure, _time, _closed.Token).ConfigureAwait(Rt.Quietly);
            }
        }
    }

    private async Task ReadAsync()
    {
        // A channel of the lock's slot: in a cluster nobody hears of it but the nodes of that slot.
        var subscription = await _redis.SubscribeShardedAsync(Terms.Wake, _closed.Token).ConfigureAwait(Rt.Capture);
        try
        {
            // Straight from the reading loop: whoever is first sends its question there, and no thread is woken for it.
            subscription.Arrived = Wake;
            IsListening = true;
            // What was given back while nobody listened yet has woken nobody.
            Wake();
            // Messages have woken the first already; the news that one can have been missed is worth a question, too.
            await foreach (var message in subscription.ReadAllAsync(_closed.Token).ConfigureAwait(Rt.Capture))
            {
                if (message.Interrupted)
                    Wake();
            }
        }
        finally
        {
            IsListening = false;
            await subscription.DisposeAsync().ConfigureAwait(Rt.Capture);
        }
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

    /// <summary>How many wait.</summary>
    public int Users
    {
        get
        {
            lock (_gate)
                return _lines.Values.Sum(static line => line.Users);
        }
    }

    /// <summary>Whether somebody waits for the lock, and is through with asking for it.</summary>
    public bool IsAsleep(string wire)
    {
        lock (_gate)
            return _lines.TryGetValue(wire, out var line) && line.IsListening && line.IsAsleep;
    }

    public WaitLine Join(LockTerms terms)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(OnggiLocks));
            if (!_lines.TryGetValue(terms.Wire, out var line))
                _lines[terms.Wire] = line = new WaitLine(redis, terms, time);
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
