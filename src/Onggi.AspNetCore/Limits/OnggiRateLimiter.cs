using System.Diagnostics.CodeAnalysis;
using System.Threading.RateLimiting;
using Onggi.Keys;
using Onggi.Limits;

namespace Onggi.AspNetCore;

/// <summary>One subject's budget as .NET's <see cref="RateLimiter"/>: for ASP.NET's rate limiting middleware, for <c>HttpClient</c> handlers, for Polly.</summary>
/// <remarks>
/// <see cref="RateLimiter.AcquireAsync"/> asks Redis, one round trip, and does not queue: who is denied is told when to come back (<see cref="MetadataName.RetryAfter"/>).
/// <see cref="RateLimiter.AttemptAcquire"/> asks too, and blocks for the round trip; a policy that counts places it denies without asking, as the caller then asks asynchronously. ASP.NET's middleware calls it first for
/// every request: under load prefer <c>UseOnggiLimits</c>, which never blocks. When Redis cannot be asked, the policy's <see cref="FailMode"/> decides.
/// </remarks>
[SuppressMessage("Naming", "CA1710", Justification = "It is a rate limiter by its name.")]
public sealed class OnggiRateLimiter : RateLimiter
{
    private readonly OnggiLimits _limits;
    private readonly LimitKey _key;
    private readonly LimitTerms _terms;
    private long _used;
    private long _acquired;
    private long _denied;
    private long _remaining;
    private long _emptyUntil;

    /// <summary>Makes the limiter of one subject; it asks nobody.</summary>
    /// <param name="limits">The limits.</param>
    /// <param name="key">The subject: from the generated <c>Keys</c>.</param>
    /// <exception cref="InvalidOperationException">The family has no policy.</exception>
    public OnggiRateLimiter(OnggiLimits limits, LimitKey key)
    {
        ArgumentNullException.ThrowIfNull(limits);
        _limits = limits;
        _key = key;
        _terms =
            limits.PolicyOf(key.Family.Name)
            ?? throw new InvalidOperationException($"The family \"{key.Family}\" has no policy in Limits.");
        _used = limits.Time.GetTimestamp();
        _remaining = _terms.Rules.Min(static rule => (long)rule.Burst);
    }

    /// <summary>How long nobody has asked: partitions that are idle are disposed.</summary>
    public override TimeSpan? IdleDuration => _limits.Time.GetElapsedTime(Interlocked.Read(ref _used));

    /// <summary>The partition of a subject, for <c>PartitionedRateLimiter.Create</c> and the policies of ASP.NET's middleware.</summary>
    /// <param name="limits">The limits.</param>
    /// <param name="key">The subject: from the generated <c>Keys</c>.</param>
    public static RateLimitPartition<LimitKey> Partition(OnggiLimits limits, LimitKey key) =>
        RateLimitPartition.Get(key, one => new OnggiRateLimiter(limits, one));

    /// <summary>What this limiter has seen; of the budget itself what it was told last.</summary>
    public override RateLimiterStatistics GetStatistics() =>
        new()
        {
            CurrentAvailablePermits = Interlocked.Read(ref _remaining),
            TotalSuccessfulLeases = Interlocked.Read(ref _acquired),
            TotalFailedLeases = Interlocked.Read(ref _denied),
        };

    /// <inheritdoc/>
    protected override RateLimitLease AttemptAcquireCore(int permitCount)
    {
        Check(permitCount);
        if (permitCount == 0)
            return Lease(new Decision { Allowed = HasSome() }, place: null);
        // Nobody is denied here: the caller asks again and waits, and that is what counts.
        return _terms.CountsPlaces ? new DecidedLease(default, place: null) : Lease(_limits.Take(_key, permitCount), place: null);
    }

    /// <inheritdoc/>
    protected override async ValueTask<RateLimitLease> AcquireAsyncCore(int permitCount, CancellationToken cancellationToken)
    {
        Check(permitCount);
        if (permitCount == 0)
            return Lease(await _limits.PeekAsync(_key, 1, cancellationToken), place: null);
        var place = await _limits.EnterAsync(_key, permitCount, cancellationToken);
        return Lease(place.Decision, place);
    }

    private void Check(int permitCount)
    {
        Interlocked.Exchange(ref _used, _limits.Time.GetTimestamp());
        if (permitCount > _terms.MostCost)
            throw new ArgumentOutOfRangeException(
                nameof(permitCount),
                permitCount,
                $"The policy of \"{_terms.Family}\" never allows more than {_terms.MostCost} at once."
            );
    }

    private DecidedLease Lease(in Decision decision, LimitPlace? place)
    {
        Interlocked.Increment(ref decision.Allowed ? ref _acquired : ref _denied);
        // Only Redis knows what is left.
        if (decision.Rule is not null)
        {
            Interlocked.Exchange(ref _remaining, decision.Remaining);
            var wait = decision.Allowed ? decision.ResetAfter : decision.RetryAfter;
            var ticks = (long)(wait.TotalSeconds * _limits.Time.TimestampFrequency);
            Interlocked.Exchange(ref _emptyUntil, _limits.Time.GetTimestamp() + ticks);
        }

        return new DecidedLease(decision, place);
    }

    // What was left when somebody asked last. Once there must be more again, somebody has to ask.
    private bool HasSome() => Interlocked.Read(ref _remaining) > 0 || _limits.Time.GetTimestamp() >= Interlocked.Read(ref _emptyUntil);

    private sealed class DecidedLease(Decision decision, LimitPlace? place) : RateLimitLease
    {
        public override bool IsAcquired => decision.Allowed;

        public override IEnumerable<string> MetadataNames => KnowsWhen ? [MetadataName.RetryAfter.Name] : [];

        private bool KnowsWhen => !decision.Allowed && decision.RetryAfter > TimeSpan.Zero;

        public override bool TryGetMetadata(string metadataName, out object? metadata)
        {
            var known = KnowsWhen && metadataName == MetadataName.RetryAfter.Name;
            metadata = known ? decision.RetryAfter : null;
            return known;
        }

        protected override void Dispose(bool disposing)
        {
            // It throws nothing, and nobody waits for it.
            if (disposing && place is not null)
                _ = place.DisposeAsync().AsTask();
            base.Dispose(disposing);
        }
    }
}
