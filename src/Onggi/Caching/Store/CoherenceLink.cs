using System.Text;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Client.Connections;

namespace Onggi.Caching;

/// <summary>One life of one server, as the connection knows it.</summary>
/// <param name="Generation">The connection on which it was learnt.</param>
/// <param name="Id">Its name; "-" where there is none to be had.</param>
/// <param name="BeganMs">When it began, in ms of the server's clock.</param>
/// <param name="BoundMs">The bound that the fleet has agreed on: how long somebody's memory may answer without having heard.</param>
/// <param name="CeilingMs">How long any memory may at most, whatever its process asks for; 0 where no operator has set that.</param>
internal sealed record Epoch(long Generation, string Id, long BeganMs, long BoundMs, long CeilingMs = 0)
{
    // In ms, far in the future, and exact as a number of Lua.
    private const long Never = 1L << 52;

    /// <summary>Where no server watches for us: nothing is proven, and values are believed whenever they were written, but none where a failover must not bring back old ones.</summary>
    public static readonly Epoch None = new(0, "-", 0, 0);

    public bool CanProve => Id != "-";

    /// <summary>From when on, in ms of the server's clock, what was written is believed; 0 for whenever.</summary>
    public long BelievedFrom(FamilyPolicy policy) =>
        // mutants: FailoverValue, FailoverLease
        policy.FailoverSafety != FailoverSafety.Strict
        || CoherenceMutants.FailoverValue
            ? 0
        : CanProve ? BeganMs + (long)policy.ClockSkew.TotalMilliseconds
        // Nobody can say when it began: nothing is believed.
        : Never;

    /// <summary>Whether a right that was given in that one can still stand: it is the same connection, or another one to the same life of the same server.</summary>
    public bool Continues(Epoch other) => Generation == other.Generation || (CanProve && Id == other.Id);

    /// <summary>How long the own memory may answer without having heard, in ms.</summary>
    public long BoundOf(long ownMs) => Math.Min(ownMs, CeilingMs > 0 ? CeilingMs : BoundMs);
}

/// <summary>The largest bound that somebody may still keep to.</summary>
/// <param name="Ms">That bound.</param>
/// <param name="Until">When it is over, by the clock of memory; <see cref="long.MaxValue"/> while it is in force.</param>
internal sealed record LargestBound(long Ms, long Until);

/// <summary>Keeps the proof that memory has heard of every change: greets each new connection, and asks it again and again.</summary>
/// <remarks>
/// <list type="number">
/// <item>A connection begins: memory is emptied, there is no proof. The greeting learns the epoch.</item>
/// <item>Every third of the bound the epoch is read. The clock is taken before the question is handed over.</item>
/// <item>Redis appends every invalidation to the connection when it executes the change, and the answer after it. So when the answer is read on the reading
/// loop, every change that was executed before the question was has been applied: that is the proof, dated by the question. No two clocks are compared.</item>
/// <item>Another epoch, or none (FLUSHALL, SWAPDB, another server behind the name): memory is emptied, and the server is greeted again.</item>
/// <item>Nothing at all for four bounds while something was asked: the connection is given up.</item>
/// </list>
/// Gray and Cheriton, "Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache Consistency", SOSP 1989.
/// </remarks>
internal sealed class CoherenceLink : ITrackingSink, IAsyncDisposable
{
    // A beat is lost only with its connection; more than these wait only on one that is about to be given up.
    private const int MostBeats = 16;

    // The smallest that CacheOptions.MaxStaleness may be.
    private const long SmallestBoundMs = 100;

    private static readonly TimeSpan GreetAgain = TimeSpan.FromSeconds(1);

    // It is on its way: who asks meanwhile waits.
    private static readonly TimeSpan GreetAgainSoon = TimeSpan.FromMilliseconds(50);

    private readonly ICacheStore _store;
    private readonly ProvenMemory _memory;
    private readonly LeaseWaits _waits;
    private readonly CacheOptions _options;
    private readonly IClock _clock;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly BackgroundLoop _loop;
    private readonly Lock _gate = new();
    private TaskCompletionSource _wake = NewSignal();
    private SharedEnd<bool> _greeted = new();
    private volatile Epoch? _epoch;
    private volatile Epoch? _last;
    private byte[] _epochText = [];
    private long _generation;
    private volatile bool _connected;
    private int _beats;
    private volatile LargestBound _largest = new(0, long.MaxValue);

    public CoherenceLink(
        ICacheStore store,
        ProvenMemory memory,
        LeaseWaits waits,
        CacheOptions options,
        IClock clock,
        TimeProvider time,
        ILogger logger
    )
    {
        (_store, _memory, _waits, _options) = (store, memory, waits, options);
        (_clock, _time, _logger) = (clock, time, logger);
        _loop = new BackgroundLoop(RunAsync);
    }

    /// <summary>Told when the server's life is another than before: its epoch, and whether it came back empty. On the reading loop: it must not block.</summary>
    public Action<Epoch, bool>? EpochChanged { get; set; }

    /// <summary>Which connection it is; 0 before the first, and where nothing is watched.</summary>
    public long Generation => Volatile.Read(ref _generation);

    /// <summary>The epoch of the present connection; <c>null</c> until it is greeted.</summary>
    public Epoch? Epoch => _epoch;

    /// <summary>The connection on which a right that was given in this epoch may be used; <c>null</c> when there is none, or it leads to another life.</summary>
    public long? ConnectionOf(Epoch epoch) => _epoch is { } now && now.Continues(epoch) ? now.Generation : null;

    private long OwnBoundMs => (long)_options.MaxStaleness.TotalMilliseconds;

    /// <summary>How long memory may answer without having heard, in ms: the own bound, or the fleet's where an operator has made that smaller.</summary>
    public long BoundMs => _epoch is { CanProve: true } epoch ? epoch.BoundOf(OwnBoundMs) : OwnBoundMs;

    /// <summary>How old a load may be that is joined, in ms. Without a connection it is as on the last one; where there was none yet, what every fleet allows, as nobody waits for a bound of which they have not heard.</summary>
    public long JoinBoundMs =>
        (_epoch ?? _last) is not { } epoch ? Math.Min(OwnBoundMs, SmallestBoundMs)
        : epoch.CanProve ? epoch.BoundOf(OwnBoundMs)
        : OwnBoundMs;

    /// <summary>The largest bound that anybody may still keep to, as far as was heard, in ms: who has not heard of a FLUSHALL or of a restart keeps to the old one until that is over.</summary>
    public long LargestBoundMs => Math.Max(BoundMs, _largest is { } largest && _clock.Now <= largest.Until ? largest.Ms : 0);

    /// <summary>Begins, if that has not been done.</summary>
    public void Start() => _loop.Start();

    /// <summary>The epoch, once the connection is greeted.</summary>
    /// <exception cref="RedisTimeoutException">It is not within the command time-out. Nothing was sent.</exception>
    /// <exception cref="OperationCanceledException">The caller's own token.</exception>
    public ValueTask<Epoch> GreetedAsync(CancellationToken cancellationToken = default)
    {
        Start();
        return _epoch is { } epoch ? new(epoch) : WaitAsync(cancellationToken);
    }

    public void Established(long generation)
    {
        _memory.Begin(generation);
        Volatile.Write(ref _generation, generation);
        _connected = true;
        Wake();
    }

    public void Invalidated(ReadOnlySpan<byte> key)
    {
        _memory.Drop(key);
        _waits.Wake(key);
    }

    public void InvalidatedAll()
    {
        _memory.Clear();
        _waits.WakeAll();
    }

    public void Lost(long generation)
    {
        _connected = false;
        Forget();
        _waits.WakeAll();
    }

    public async ValueTask DisposeAsync()
    {
        await _loop.DisposeAsync().ConfigureAwait(Rt.Capture);
        _waits.WakeAll();
    }

    private async ValueTask<Epoch> WaitAsync(CancellationToken cancellationToken)
    {
        var waited = _store.CommandTimeout;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _loop.Stopping);
        while (true)
        {
            SharedEnd<bool> greeted;
            lock (_gate)
                greeted = _greeted;
            if (_epoch is { } epoch)
                return epoch;
            try
            {
                await greeted.WaitAtMostAsync(waited, _time, either.Token).ConfigureAwait(Rt.Capture);
            }
            catch (OperationCanceledException stopped)
            {
                cancellationToken.ThrowIfCancellationRequested();
                throw new ObjectDisposedException("The cache has ended.", stopped);
            }

            if (!greeted.HasCome)
                throw new RedisTimeoutException(
                    $"The connection for tracked reads was not ready within {waited.TotalSeconds:0.#} s.",
                    Sent.No
                );
        }
    }

    private async Task RunAsync(CancellationToken stopping)
    {
        await Rt.YieldAsync().ConfigureAwait(Rt.Capture);
        if (!await TryTrackAsync(stopping).ConfigureAwait(Rt.Capture))
            return;
        while (!stopping.IsCancellationRequested)
        {
            Task wake;
            lock (_gate)
            {
                _wake = NewSignal();
                wake = _wake.Task;
            }

            var pause = Timeout.InfiniteTimeSpan;
            if (_connected)
            {
                if (_epoch is { CanProve: true } epoch)
                {
                    if (Volatile.Read(ref _beats) < MostBeats)
                        _ = BeatAsync(epoch);
                    pause = TimeSpan.FromMilliseconds(Math.Max(1, BoundMs / 3));
                }
                else
                {
                    var comes = await GreetAsync().ConfigureAwait(Rt.Capture);
                    pause =
                        _epoch is { CanProve: true } ? TimeSpan.Zero
                        : comes ? GreetAgainSoon
                        : GreetAgain;
                }
            }

            if (pause != TimeSpan.Zero)
                await wake.WaitAsync(pause, _time, stopping).ConfigureAwait(Rt.Quietly);
        }
    }

    private async ValueTask<bool> TryTrackAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await _store.WhenKnownAsync(stopping).ConfigureAwait(Rt.Capture);
                if (_store.TryTrack(this, TimeSpan.FromMilliseconds(4 * OwnBoundMs)))
                    return true;
                CacheLog.MemoryIsOff(_logger, "the servers are a cluster, and what is proven is proven by one server.");
                Learn(Epoch.None);
                return false;
            }
            catch (RedisException)
            {
                await Task.Delay(GreetAgain, _time, stopping).ConfigureAwait(Rt.Quietly);
            }
            catch (Exception error) when (error is ObjectDisposedException or OperationCanceledException)
            {
                return false;
            }
        }

        return false;
    }

    // True when the server will be able to answer in a moment.
    private async ValueTask<bool> GreetAsync()
    {
        var generation = Generation;
        try
        {
            await _store.HelloAsync(new Call(this, generation, _clock.Now)).ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException loading) when (loading.Code is "LOADING" or "BUSY" or "TRYAGAIN")
        {
            // Which life of the server this is, is not known yet: nothing is read as if it were of any.
            return true;
        }
        catch (RedisServerException refused)
        {
            if (generation == Generation && _connected)
                LearnNone(generation, refused.Message);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // The connection says by itself what is wrong with it.
        }

        return false;
    }

    private async Task BeatAsync(Epoch epoch)
    {
        Interlocked.Increment(ref _beats);
        try
        {
            await _store.BeatAsync(new Call(this, epoch.Generation, _clock.Now)).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // No answer is no proof.
        }
        finally
        {
            Interlocked.Decrement(ref _beats);
        }
    }

    private void Greeted(Call call, in Greeting greeting)
    {
        if (call.Generation != Generation || !_connected)
            return;
        if (greeting.Role != "master")
        {
            LearnNone(call.Generation, $"the server says that it is a {greeting.Role}.");
            return;
        }

        var epoch = new Epoch(call.Generation, greeting.Id, greeting.BeganMs, greeting.BoundMs, greeting.CeilingMs);
        Remember(epoch.BoundMs);
        _epochText = Encoding.UTF8.GetBytes(greeting.Text);
        var wasEmpty = greeting.WasEmpty;
        var changed = _last is not null ? _last.Id != epoch.Id || wasEmpty : wasEmpty;
        _last = epoch;
        Learn(epoch);
        Prove(call, epoch);
        if (changed)
            EpochChanged?.Invoke(epoch, wasEmpty);
    }

    // Who has proven under a larger bound did so before this answer was made: that bound after now it is over for everybody.
    private void Remember(long boundMs)
    {
        var now = _clock.Now;
        if (boundMs >= _largest.Ms || now > _largest.Until)
            _largest = new(boundMs, long.MaxValue);
        else if (_largest.Until == long.MaxValue)
            _largest = _largest with { Until = now + EndOf(_largest.Ms) };
    }

    /// <summary>After how long nobody keeps to a bound any more that was given up now, in ms. The two thousandths are for clocks that run at different rates.</summary>
    public long EndOf(long boundMs) => (long)Math.Ceiling(boundMs * 1.002) + 1 + _clock.Resolution;

    private void Beaten(Call call, ReadOnlySpan<byte> text)
    {
        if (call.Generation != Generation || !_connected || _epoch is not { CanProve: true } epoch)
            return;
        if (text.SequenceEqual(_epochText))
        {
            Prove(call, epoch);
            return;
        }

        // Another database or another life of the server; or only another bound, which the greeting tells as well.
        _memory.Clear();
        Forget();
        Wake();
    }

    private void Prove(Call call, Epoch epoch)
    {
        // mutant: ProofReceived
        var asked = CoherenceMutants.ProofReceived ? _clock.Now : call.SentAt;
        _memory.Prove(call.Generation, asked + epoch.BoundOf(OwnBoundMs) - _clock.Resolution);
    }

    // What may not be proven is not served from memory; everything else goes on. It is asked again and again, and said once for each connection.
    private void LearnNone(long generation, string reason)
    {
        if (_epoch is not { CanProve: false } known || known.Generation != generation)
            CacheLog.MemoryIsOff(_logger, reason);
        Learn(Epoch.None with { Generation = generation });
    }

    private void Learn(Epoch epoch)
    {
        SharedEnd<bool> greeted;
        lock (_gate)
        {
            _epoch = epoch;
            greeted = _greeted;
        }

        if (Interleave.IsOn)
            Interleave.Point("link.learnt");
        greeted.Complete(true);
    }

    private void Forget()
    {
        _memory.Unprove();
        lock (_gate)
        {
            // Who learnt it may not yet have said so; nobody who comes now is to take that for the next.
            if (_epoch is not null)
                _greeted = new();
            _epoch = null;
        }
    }

    private void Wake()
    {
        lock (_gate)
            _wake.TrySetResult();
    }

    private static TaskCompletionSource NewSignal() => new(Rt.Signals);

    private sealed class Call(CoherenceLink link, long generation, long sentAt) : EpochCall(link.OwnBoundMs)
    {
        public long Generation => generation;

        public long SentAt => sentAt;

        public override void Take(in Greeting greeting) => link.Greeted(this, greeting);

        public override void Take(ReadOnlySpan<byte> text) => link.Beaten(this, text);
    }
}
