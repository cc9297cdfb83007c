using System.Diagnostics.Metrics;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;

namespace Onggi.Locks;

/// <summary>Locks that are held for a while: one holder among all services, each with a number that grows.</summary>
/// <remarks>
/// A lease is renewed while it is held, and never made again once it is gone. Two holders can still overlap for a moment when Redis loses its data or a holder is stopped by the machine:
/// what must not be done twice is guarded by <see cref="LockLease.Fence"/>, see <see cref="Guard"/> and <see cref="SqlFence"/>.
/// </remarks>
public sealed class OnggiLocks : IAsyncDisposable
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromMilliseconds(250);

    private readonly RedisClient _redis;
    private readonly Keyspace _keyspace;
    private readonly WaitLines _lines;
    private readonly string _node;
    private readonly Lock _gate = new(); // Guards the leases.
    private readonly HashSet<LockLease> _leases = [];
    private long _owners;
    private int _disposed;

    internal OnggiLocks(
        RedisClient redis,
        Keyspace keyspace,
        LockOptions options,
        IMeterFactory meters,
        ILogger<OnggiLocks> logger,
        TimeProvider time
    )
    {
        (_redis, _keyspace, Options, Logger, Time) = (redis, keyspace, options, logger, time);
        Metrics = new LockMetrics(meters);
        Guard = new FenceGuard(redis, keyspace);
        _lines = new WaitLines(redis, time);
        // Who holds a lock is to be read in redis-cli.
        _node = $"{keyspace.Service}@{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}";
        redis.ConnectionChanged += OnConnectionChanged;
    }

    /// <summary>Lets writes to Redis through only while no later holder has written.</summary>
    public FenceGuard Guard { get; }

    internal LockOptions Options { get; }

    internal LockMetrics Metrics { get; }

    internal ILogger Logger { get; }

    internal TimeProvider Time { get; }

    internal long Now => Time.GetTimestamp();

    /// <summary>How many locks this process waits for, or has waited for a moment ago.</summary>
    internal int Lines => _lines.Count;

    /// <summary>How many callers of this process wait.</summary>
    internal int Waiting => _lines.Users;

    /// <summary>Whether somebody of this process waits for the lock and has done all there is to do until they are woken.</summary>
    internal bool IsAsleep(LockKey key) => _lines.IsAsleep(_keyspace.WireName(key.Entry));

    /// <summary>Takes the lock if nobody holds it. One round trip.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="cancellationToken">Abandons the wait for Redis's answer; what was taken by then is given back.</param>
    /// <returns>The lease, to be disposed; <c>null</c> when another holds the lock.</returns>
    /// <exception cref="RedisException">Redis could not be asked: slow for longer than the command time-out, gone, or full (it refuses with OOM).</exception>
    /// <exception cref="ArgumentException">The family is not of kind <c>lock</c>.</exception>
    public ValueTask<LockLease?> TryAcquireAsync(LockKey key, CancellationToken cancellationToken = default) =>
        TryAcquireAsync(key, TimeSpan.Zero, cancellationToken);

    /// <summary>Takes the lock, waiting for it at most so long. One round trip when it is free; who waits is woken when it is given back, and asks on its own only when the lease that it saw must be over.</summary>
    /// <remarks>When Redis is gone the call waits on, and asks again; it throws when the time is over and Redis is still gone.</remarks>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="wait">How long; zero for not at all, <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Ends the wait; what was taken by then is given back.</param>
    /// <returns>The lease, to be disposed; <c>null</c> when others held the lock all the time.</returns>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    /// <exception cref="ArgumentException">The family is not of kind <c>lock</c>, or the time is negative.</exception>
    public async ValueTask<LockLease?> TryAcquireAsync(LockKey key, TimeSpan wait, CancellationToken cancellationToken = default)
    {
        if (wait < TimeSpan.Zero && wait != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(
                nameof(wait),
                wait,
                "A time to wait is not negative; Timeout.InfiniteTimeSpan waits for ever."
            );
        var terms = TermsOf(key);
        var began = Now;
        var claim = new Claim(terms, NewOwner());
        var outcome = LockMetrics.Outcomes.Error;
        try
        {
            var lease =
                wait == TimeSpan.Zero
                    ? await AskAsync(claim, cancellationToken).ConfigureAwait(Rt.Capture)
                    : await WaitAsync(claim, wait, cancellationToken).ConfigureAwait(Rt.Capture);
            outcome = lease is null ? LockMetrics.Outcomes.Busy : LockMetrics.Outcomes.Acquired;
            return lease;
        }
        catch (OperationCanceledException)
        {
            outcome = LockMetrics.Outcomes.Cancelled;
            throw;
        }
        finally
        {
            Metrics.Asked(terms.Family, outcome, Time.GetElapsedTime(began));
            // mutant: AbandonUnknown
            if (outcome != LockMetrics.Outcomes.Acquired && claim.IsUnknown && !LockMutants.AbandonUnknown)
                _ = GiveBackAsync(claim);
        }
    }

    /// <summary>Takes the lock, waiting for it for ever, or at most so long.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="wait">How long; <c>null</c> for ever.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The lease, to be disposed.</returns>
    /// <exception cref="LockTimeoutException">Others held it all the time.</exception>
    /// <exception cref="RedisException">Redis could not be asked, to the end of the wait.</exception>
    /// <exception cref="ArgumentException">The family is not of kind <c>lock</c>, or the time is negative.</exception>
    public async ValueTask<LockLease> AcquireAsync(LockKey key, TimeSpan? wait = null, CancellationToken cancellationToken = default) =>
        await TryAcquireAsync(key, wait ?? Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(Rt.Capture)
        ?? throw new LockTimeoutException(
            $"A lock of {key.Family} was held by others for {wait}. Wait longer, do less under the lock, or ask with TryAcquireAsync and do without."
        );

    /// <summary>Gives back all that this process holds: <see cref="LockLease.Lost"/> fires first.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _redis.ConnectionChanged -= OnConnectionChanged;
        foreach (var lease in Leases())
            await lease.CloseAsync().ConfigureAwait(Rt.Capture);
        await _lines.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    internal long Ticks(TimeSpan span) => (long)(span.TotalSeconds * Time.TimestampFrequency);

    internal TimeSpan Span(long ticks) => Time.GetElapsedTime(0, ticks);

    internal long MarginTicks(TimeSpan lease) => Ticks(lease * Options.LostMargin);

    internal long RenewTicks(TimeSpan lease) => Ticks(lease / Options.RenewalsPerLease);

    internal void Ended(LockLease lease, TimeSpan held)
    {
        lock (_gate)
            _leases.Remove(lease);
        Metrics.Ended(lease.Terms.Family, held);
    }

    /// <summary>Whether it is still ours.</summary>
    internal async ValueTask<bool> RenewAsync(LockLease lease)
    {
        var terms = lease.Terms;
        try
        {
            var renewed = await _redis
                .Router.SendAsync(
                    new Command(LockScripts.Renew, [terms.Wire], [$"{lease.Owner}|{lease.Fence}", terms.LeaseMs]),
                    ReplyParsers.Int64,
                    CommandOptions.Idempotent,
                    CancellationToken.None
                )
                .ConfigureAwait(Rt.Capture);
            Metrics.Renewed(terms.Family, renewed == 1 ? LockMetrics.Outcomes.Renewed : LockMetrics.Outcomes.Refused);
            return renewed == 1;
        }
        catch (RedisException)
        {
            Metrics.Renewed(terms.Family, LockMetrics.Outcomes.Error);
            throw;
        }
    }

    internal async ValueTask<ReleaseReply> ReleaseAsync(LockTerms terms, string owner, CancellationToken cancellationToken) =>
        (ReleaseReply)
            await _redis
                .Router.SendAsync(
                    new Command(LockScripts.Release, [terms.Wire], [owner, terms.Wake]),
                    ReplyParsers.Int64,
                    CommandOptions.Idempotent,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);

    private LockTerms TermsOf(LockKey key)
    {
        var settings = _keyspace.SettingsOf(key.Family);
        if (settings.Kind != "lock")
            throw new ArgumentException(
                $"Family \"{settings.Family.Name}\" is of kind \"{settings.Kind}\" in the catalog, and only a lock can be held. Write \"kind\": \"lock\" and a key that begins with locks:.",
                nameof(key)
            );
        return new LockTerms(settings.Family.Name, _keyspace.WireName(key.Entry), settings.Ttl);
    }

    // Nobody had it before and nobody will have it again: who asks twice for one lease is known again, and nobody else is taken for it.
    private string NewOwner() => string.Create(CultureInfo.InvariantCulture, $"{_node}.{Interlocked.Increment(ref _owners):x}");

    /// <summary>Asks once; <c>null</c> when another holds it.</summary>
    private async ValueTask<LockLease?> AskAsync(Claim claim, CancellationToken cancellationToken)
    {
        var terms = claim.Terms;
        for (var attempt = 1; ; attempt++)
        {
            claim.IsUnknown = true;
            var asked = Now;
            var reply = await _redis
                .Router.SendAsync(
                    new Command(
                        LockScripts.Acquire,
                        [terms.Wire, terms.FenceKey],
                        [claim.Owner, terms.LeaseMs, (long)LockScripts.FenceLife.TotalMilliseconds]
                    ),
                    LockScripts.AcquireAnswer,
                    CommandOptions.Idempotent,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
            claim.HeldForMs = reply.Taken ? 0 : reply.Number;
            if (!reply.Taken)
            {
                claim.IsUnknown = false;
                return null;
            }

            // mutant: EndFromAnswer
            if (LockMutants.EndFromAnswer)
                asked = Now;
            var lease = new LockLease(this, terms, claim.Owner, new Fence(reply.Number), asked);
            if (lease.IsHeld)
            {
                lock (_gate)
                {
                    ObjectDisposedException.ThrowIf(_disposed != 0, this);
                    _leases.Add(lease);
                }

                Metrics.Began(terms.Family);
                lease.Start();
                claim.IsUnknown = false;
                return lease;
            }

            // The answer took as long as the lease: it is ours no more, or hardly. The same owner may ask again.
            if (attempt == 2)
                throw new RedisTimeoutException(
                    $"Redis took longer to answer than the lease of {terms.Family} lasts ({terms.Lease}).",
                    Sent.Maybe
                );
        }
    }

    private async ValueTask<LockLease?> WaitAsync(Claim claim, TimeSpan wait, CancellationToken cancellationToken)
    {
        var began = Now;
        RedisException? failure = null;
        try
        {
            if (await AskAsync(claim, cancellationToken).ConfigureAwait(Rt.Capture) is { } lease)
                return lease;
        }
        catch (RedisException error) when (error.IsTransient)
        {
            failure = error;
        }

        // The timer would fire at once where no time is left.
        var left = wait == Timeout.InfiniteTimeSpan ? wait : wait - Time.GetElapsedTime(began);
        if (wait != Timeout.InfiniteTimeSpan && left <= TimeSpan.Zero)
            return failure is null ? null : throw failure;
        using var over = new CancellationTokenSource(left, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(over.Token, cancellationToken);
        var turn = new Turn(claim, _lines.Join(claim.Terms)) { Failure = failure };
        Metrics.Waiting(claim.Terms.Family, 1);
        try
        {
            return await InLineAsync(turn, either.Token).ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return turn.Failure is null ? null : throw turn.Failure;
        }
        catch (OperationCanceledException)
        {
            // With the caller's own token, not the one that we made.
            cancellationToken.ThrowIfCancellationRequested();
            throw;
        }
        finally
        {
            Metrics.Waiting(claim.Terms.Family, -1);
            _lines.Part(turn.Line);
        }
    }

    private async ValueTask<LockLease?> InLineAsync(Turn turn, CancellationToken cancellationToken)
    {
        var line = turn.Line;
        var owes = false;
        await line.EnterAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        try
        {
            line.Listen(reason => LockLog.CannotBeWoken(Logger, line.Terms.Family, reason, Options.PollEvery));
            // It has just been asked, by who comes first.
            if (line.AskAt == 0)
                line.AskAt = Now + Ticks(PauseFor(turn));
            while (true)
            {
                owes = line.TakeWake();
                if (owes || Now >= line.AskAt)
                {
                    var asked = Now;
                    var taken = await AskInLineAsync(turn, cancellationToken).ConfigureAwait(Rt.Capture);
                    owes = false;
                    if (taken is { } lease)
                    {
                        // Who is next need not ask how long we have it.
                        line.AskAt = asked + Ticks(turn.Claim.Terms.Lease);
                        return lease;
                    }

                    line.AskAt = Now + Ticks(PauseFor(turn));
                }

                await line.WaitAsync(Span(Math.Max(0, line.AskAt - Now)), cancellationToken).ConfigureAwait(Rt.Capture);
            }
        }
        finally
        {
            // We were woken and have not asked: who is next must, or it sleeps beside a lock that is free.
            if (owes)
                line.Wake();
            line.Leave();
        }
    }

    private async ValueTask<LockLease?> AskInLineAsync(Turn turn, CancellationToken cancellationToken)
    {
        try
        {
            var lease = await AskAsync(turn.Claim, cancellationToken).ConfigureAwait(Rt.Capture);
            turn.Failure = null;
            return lease;
        }
        catch (RedisException failure) when (failure.IsTransient)
        {
            turn.Failure = failure;
            return null;
        }
    }

    private TimeSpan PauseFor(Turn turn)
    {
        if (turn.Failure is not null)
            return PauseAfterFailure;
        // A millisecond more: the key is there until its time is over. A key without an end is a stranger's; it is looked at once in a lease.
        var held = turn.Claim.HeldForMs < 0 ? turn.Claim.Terms.Lease : TimeSpan.FromMilliseconds(turn.Claim.HeldForMs + 1);
        return !turn.Line.IsListening && Options.PollEvery < held ? Options.PollEvery : held;
    }

    private async Task GiveBackAsync(Claim claim)
    {
        try
        {
            await ReleaseAsync(claim.Terms, claim.Owner, CancellationToken.None).ConfigureAwait(Rt.Capture);
        }
        catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
        {
            LockLog.LeftBehind(Logger, claim.Terms.Family, failure.Message);
        }
    }

    private void OnConnectionChanged(bool connected)
    {
        if (!connected)
            return;
        foreach (var lease in Leases())
            lease.Verify();
    }

    private LockLease[] Leases()
    {
        lock (_gate)
            return [.. _leases];
    }

    /// <summary>One caller's wish for a lock.</summary>
    private sealed class Claim(LockTerms terms, string owner)
    {
        public LockTerms Terms { get; } = terms;

        public string Owner { get; } = owner;

        /// <summary>Whether it can be ours in Redis without our knowing.</summary>
        public bool IsUnknown { get; set; }

        /// <summary>For how long another has it at most, by the last answer.</summary>
        public long HeldForMs { get; set; }
    }

    /// <summary>One caller in a line.</summary>
    private sealed class Turn(Claim claim, WaitLine line)
    {
        public Claim Claim { get; } = claim;

        public WaitLine Line { get; } = line;

        /// <summary>Why Redis could not be asked the last time; <c>null</c> when it answered.</summary>
        public RedisException? Failure { get; set; }
    }
}
