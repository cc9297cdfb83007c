using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Events.Streams;

/// <summary>One subscription: reads the messages of its group, handles some of them at a time, and takes over those whose process has died.</summary>
/// <remarks>
/// <para>1. It waits until it can handle at least one more message, and asks for no more than that: a message never waits here while another process could handle it, so what Redis counts as handed out is in hand.</para>
/// <para>2. It takes what is due or abandoned, or else what is new; the two take turns when there is much of both. For new ones it waits on a connection of its own.</para>
/// <para>3. It looks at the marks of what it took, in one round trip, and handles those that are not done.</para>
/// <para>4. Beside that it says, three times in <see cref="StreamOptions.ClaimAfter"/>, that it still has what it has. What is another's by then is told to stop.</para>
/// <para>A read is never cancelled, so nothing is handed out to nobody: at the end it is waited for, half a second, and what it brought is given back.</para>
/// </remarks>
internal sealed class StreamConsumer : IAsyncDisposable
{
    private static readonly TimeSpan LongestBlock = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    // A handler may end its own subscription: its DisposeAsync must not wait for itself.
    private static readonly AsyncLocal<StreamConsumer?> Running = new();

    private readonly StreamTools _tools;
    private readonly StreamStore _store;
    private readonly string _consumer;
    private readonly Func<StreamConsumer, ValueTask> _ended;
    private readonly SemaphoreSlim _places;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _end = new();
    private readonly TaskCompletionSource<RedisServerException?> _firstAnswer = new(Rt.Signals);
    private readonly Lock _gate = new(); // Guards the two below.
    private readonly Dictionary<string, StreamWork> _inHand = new(StringComparer.Ordinal);
    private long _claimAt;
    private string _cursor = "-";
    private TimeSpan _pause = FirstPause;
    private bool _wasThere;
    private bool _failing;
    private Task _loop = Task.CompletedTask;
    private Task _renewals = Task.CompletedTask;
    private int _disposed;

    public StreamConsumer(StreamTools tools, string consumer, Func<StreamConsumer, ValueTask> ended)
    {
        _tools = tools;
        _store = tools.Store;
        _consumer = consumer;
        _ended = ended;
        _places = new SemaphoreSlim(_store.Options.Concurrency, _store.Options.Concurrency);
    }

    public string Type => _store.Type;

    public string Group => _store.Group;

    /// <summary>Completes when Redis has answered for the first time: with <c>null</c>, or with its refusal.</summary>
    public Task<RedisServerException?> FirstAnswer => _firstAnswer.Task;

    public void Start()
    {
        // Handlers run on their own account, not in the request or activity of whoever subscribed.
        using var flow = Rt.WithoutFlow();
        _claimAt = _tools.Time.GetTimestamp();
        _loop = RunAsync();
        _renewals = RenewAsync();
    }

    /// <summary>Takes no more messages and waits for the handlers, as long as the options allow; then they are cancelled, and theirs are given back.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _ended(this).ConfigureAwait(Rt.Capture);
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        var ending = EndAsync();
        if (Running.Value != this)
            await ending.ConfigureAwait(Rt.Capture);
    }

    private async Task EndAsync()
    {
        await _loop.ConfigureAwait(Rt.Capture);
        if (!await EndsWithinAsync(_tools.DrainTimeout).ConfigureAwait(Rt.Capture))
        {
            foreach (var work in InHand())
                work.GiveUp();
            if (!await EndsWithinAsync(_tools.DrainTimeout).ConfigureAwait(Rt.Capture))
                StreamLog.HandlerLeftBehind(_tools.Logger, Type, _tools.DrainTimeout);
        }

        await _end.CancelAsync().ConfigureAwait(Rt.Capture);
        await _renewals.ConfigureAwait(Rt.Capture);
        _end.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        for (; !_stop.IsCancellationRequested; _pause = _pause * 2 < LongestPause ? _pause * 2 : LongestPause)
        {
            try
            {
                var lease = await _store.LeaseAsync(_stop.Token).ConfigureAwait(Rt.Capture);
                await using (lease.ConfigureAwait(Rt.Capture))
                {
                    await BeginAsync().ConfigureAwait(Rt.Capture);
                    await ReadAsync(lease).ConfigureAwait(Rt.Capture);
                }
            }
            catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException)
            {
                // We end, or the client has.
                if (_stop.IsCancellationRequested || failure is ObjectDisposedException)
                    break;
            }
            catch (RedisServerException nothing) when (nothing.Code is "NOGROUP" or "UNBLOCKED")
            {
                // Redis was emptied: the group is made again at once.
                _pause = FirstPause;
                continue;
            }
            catch (RedisServerException refusal) when (!refusal.IsTransient)
            {
                Failing(() => StreamLog.Refused(_tools.Logger, Type, Group, refusal.Message));
                _firstAnswer.TrySetResult(refusal);
            }
            catch (RedisException failure)
            {
                Failing(() => StreamLog.CannotRead(_tools.Logger, Type, Group, failure.Message, null));
            }
            catch (Exception mistake)
            {
                Failing(() => StreamLog.CannotRead(_tools.Logger, Type, Group, mistake.Message, mistake));
            }

            await Task.Delay(_pause, _tools.Time, _stop.Token).ConfigureAwait(Rt.Quietly);
        }

        _firstAnswer.TrySetResult(null);
    }

    private async ValueTask BeginAsync()
    {
        var there = await _store.EnsureGroupAsync(_stop.Token).ConfigureAwait(Rt.Capture);
        if (_wasThere && !there)
            StreamLog.GroupMadeAgain(_tools.Logger, Type, Group);
        _wasThere = true;
    }

    /// <summary>Redis has answered a read, so nothing is refused.</summary>
    private void Reads()
    {
        if (!_firstAnswer.Task.IsCompleted || _failing)
            StreamLog.Reading(_tools.Logger, Type, Group, _consumer);
        _failing = false;
        _pause = FirstPause;
        _firstAnswer.TrySetResult(null);
    }

    private async Task ReadAsync(RedisLease lease)
    {
        // The first read does not wait: it tells whether we may read at all.
        var claimsNext = false;
        var waits = false;
        while (true)
        {
            await _places.WaitAsync(_stop.Token).ConfigureAwait(Rt.Capture);
            var free = 1;
            // Nobody else takes places, so those that are free stay free.
            while (_places.CurrentCount > 0)
            {
                await _places.WaitAsync(_stop.Token).ConfigureAwait(Rt.Capture);
                free++;
            }

            var taken = 0;
            try
            {
                var due = ClaimDueIn();
                if (due <= TimeSpan.Zero && claimsNext)
                {
                    taken = await TakeAsync(await ClaimAsync(free).ConfigureAwait(Rt.Capture)).ConfigureAwait(Rt.Capture);
                    claimsNext = false;
                    continue;
                }

                claimsNext = true;
                var block =
                    !waits ? TimeSpan.Zero
                    : due < LongestBlock ? due
                    : LongestBlock;
                waits = true;
                var entries = await _store.ReadAsync(lease, free, block).ConfigureAwait(Rt.Capture);
                Reads();
                taken = await TakeAsync(entries).ConfigureAwait(Rt.Capture);
            }
            finally
            {
                if (taken < free)
                    _places.Release(free - taken);
            }
        }
    }

    private async ValueTask<StreamEntry[]> ClaimAsync(int most)
    {
        var rest = _store.Options.ClaimAfter / 4;
        var reply = await _store.ClaimAsync(most, _cursor, CancellationToken.None).ConfigureAwait(Rt.Capture);
        _cursor = reply.Cursor;
        _tools.Metrics.Claimed(Type, Group, reply.Abandoned);
        _tools.Metrics.Gone(Type, Group, reply.Gone);
        if (reply.Gone > 0)
            StreamLog.Gone(_tools.Logger, Type, Group, reply.Gone);
        var next = reply.NextDue >= 0 && TimeSpan.FromMilliseconds(reply.NextDue) is var wait && wait < rest ? wait : rest;
        // There is more than we could take.
        if (reply.Entries.Length >= most || reply.Cursor != "-")
            next = TimeSpan.Zero;
        lock (_gate)
            _claimAt = _tools.Time.GetTimestamp() + Ticks(next);
        return reply.Entries;
    }

    /// <summary>Begins to handle messages; returns how many places they hold.</summary>
    private async ValueTask<int> TakeAsync(StreamEntry[] entries)
    {
        if (entries.Length == 0)
            return 0;
        var works = entries.Select(entry => new StreamWork(_tools, entry)).ToList();
        // mutant: AcknowledgeFirst
        if (StreamMutants.AcknowledgeFirst)
            foreach (var work in works)
                await _store.DoneAsync(work.Id, work.MarkKey, marks: false, CancellationToken.None).ConfigureAwait(Rt.Capture);
        if (_stop.IsCancellationRequested)
        {
            foreach (var entry in entries)
                await ReleaseAsync(entry).ConfigureAwait(Rt.Capture);
            return 0;
        }

        var looked = await _store.LookAsync(works.Select(static work => work.MarkKey), CancellationToken.None).ConfigureAwait(Rt.Capture);
        var taken = 0;
        for (var i = 0; i < works.Count; i++)
        {
            // mutant: NoLook
            var isMarked = looked[i + 1] == 1 && !StreamMutants.NoLook;
            if (Begin(works[i], isMarked, looked[0]))
                taken++;
        }

        return taken;
    }

    private bool Begin(StreamWork work, bool isMarked, long serverTimeUs)
    {
        lock (_gate)
        {
            // We could not say that we have it and took it over from ourselves: it is in hand already.
            if (!_inHand.TryAdd(work.Id, work))
                return false;
        }

        _ = DoAsync(work, isMarked, serverTimeUs);
        return true;
    }

    private async Task DoAsync(StreamWork work, bool isMarked, long serverTimeUs)
    {
        Running.Value = this;
        await work.RunAsync(isMarked, serverTimeUs, _consumer, Ended).ConfigureAwait(Rt.Capture);
    }

    private void Ended(StreamWork work)
    {
        lock (_gate)
        {
            _inHand.Remove(work.Id);
            if (work.Delay is { } delay)
                _claimAt = Math.Min(_claimAt, _tools.Time.GetTimestamp() + Ticks(delay));
        }

        _places.Release();
    }

    private async ValueTask ReleaseAsync(StreamEntry entry)
    {
        try
        {
            await _store.ReleaseAsync(entry.Id, _store.MarkKey(entry.Id), entry.Attempt, CancellationToken.None).ConfigureAwait(Rt.Capture);
        }
        catch (RedisException failure)
        {
            StreamLog.NotSettled(_tools.Logger, Type, Group, entry.Id, failure.Message);
        }
    }

    private async Task RenewAsync()
    {
        using var timer = new PeriodicTimer(_store.Options.ClaimAfter / 3, _tools.Time);
        while (await NextAsync(timer).ConfigureAwait(Rt.Capture))
        {
            var inHand = InHand();
            // mutant: NoRenewal
            if (inHand.Count == 0 || StreamMutants.NoRenewal)
                continue;
            try
            {
                var lost = await _store.RenewAsync(inHand.Select(static work => work.Id), _end.Token).ConfigureAwait(Rt.Capture);
                foreach (var work in inHand.Where(work => lost.Contains(work.Id) && IsInHand(work)))
                    work.Lose();
            }
            catch (Exception failure) when (failure is RedisException or OperationCanceledException or ObjectDisposedException)
            {
                // The next sign comes in time, or they are another's then.
            }
        }
    }

    private async ValueTask<bool> NextAsync(PeriodicTimer timer)
    {
        try
        {
            return await timer.WaitForNextTickAsync(_end.Token).ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async ValueTask<bool> EndsWithinAsync(TimeSpan timeout)
    {
        var all = Task.WhenAll(InHand().Select(static work => work.Ended));
        try
        {
            await all.WaitAsync(timeout, _tools.Time).ConfigureAwait(Rt.Capture);
            return true;
        }
        catch (TimeoutException)
        {
            return all.IsCompleted;
        }
    }

    private TimeSpan ClaimDueIn()
    {
        lock (_gate)
            return _tools.Time.GetElapsedTime(_tools.Time.GetTimestamp(), _claimAt);
    }

    private List<StreamWork> InHand()
    {
        lock (_gate)
            return [.. _inHand.Values];
    }

    private bool IsInHand(StreamWork work)
    {
        lock (_gate)
            return _inHand.TryGetValue(work.Id, out var one) && one == work;
    }

    private long Ticks(TimeSpan time) => (long)(time.TotalSeconds * _tools.Time.TimestampFrequency);

    private void Failing(Action say)
    {
        if (!_failing)
            say();
        _failing = true;
    }
}
