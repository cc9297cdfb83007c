using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;

namespace Onggi.Limits;

/// <summary>How much may be done per time, counted in Redis for all processes together, by the server's clock.</summary>
/// <remarks>Each question is one script and one round trip. No call throws because Redis is away: the policy's <see cref="FailMode"/> decides then.</remarks>
public sealed class OnggiLimits
{
    private readonly RedisClient _redis;
    private readonly Keyspace _keyspace;
    private readonly FrozenDictionary<string, LimitTerms> _terms;
    private readonly DeniedSubjects _denied;
    private readonly LocalLimits _local;
    private readonly LimitWatch _watch;
    private readonly string _node = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
    private long _places;

    internal OnggiLimits(
        RedisClient redis,
        Keyspace keyspace,
        LimitOptions options,
        IMeterFactory meters,
        ILogger<OnggiLimits> logger,
        TimeProvider time
    )
    {
        (_redis, _keyspace, Logger, Time) = (redis, keyspace, logger, time);
        Metrics = new LimitMetrics(meters);
        _terms = options.Families.ToFrozenDictionary(
            static family => family.Key,
            family => TermsOf(keyspace, family.Key, family.Value, time),
            StringComparer.Ordinal
        );
        _denied = new DeniedSubjects(time, options.LocalSubjects);
        _local = new LocalLimits(time, options.LocalSubjects);
        _watch = new LimitWatch(new RedisSilence(() => redis.IsKnownDown, time), logger);
    }

    internal LimitMetrics Metrics { get; }

    internal ILogger Logger { get; }

    internal TimeProvider Time { get; }

    /// <summary>Spends from the subject's budget, if all rules allow it. One round trip; none while it is known that the subject is denied.</summary>
    /// <remarks>When Redis cannot be asked within the policy's time-out, is gone, or refuses (also because it is full), the policy's <see cref="FailMode"/> decides. What was sent may be charged all the same.</remarks>
    /// <param name="key">Whose budget: from the generated <c>Keys</c>.</param>
    /// <param name="cost">How much; at most what the rules allow at once.</param>
    /// <param name="cancellationToken">Abandons the wait; it may be charged all the same.</param>
    /// <exception cref="ArgumentOutOfRangeException">The cost is not positive, or greater than can ever be allowed.</exception>
    /// <exception cref="InvalidOperationException">The family has no policy, or its policy counts places: then <see cref="EnterAsync"/> takes one.</exception>
    public ValueTask<Decision> TakeAsync(LimitKey key, int cost = 1, CancellationToken cancellationToken = default)
    {
        var terms = TermsOf(key, cost);
        if (terms.CountsPlaces)
            throw new InvalidOperationException(
                $"The policy of \"{terms.Family}\" counts places, which are given back. Take one with EnterAsync and dispose it."
            );
        return DecideAsync(terms, _keyspace.WireName(key.Entry), cost, place: null, spends: true, cancellationToken);
    }

    /// <summary>Spends as <see cref="TakeAsync"/> does, and takes a place where the policy counts them. One round trip, and one when it is disposed; a place is kept by a round trip each third of its life.</summary>
    /// <param name="key">Whose budget: from the generated <c>Keys</c>.</param>
    /// <param name="cost">How much is spent of the other rules; a place is one.</param>
    /// <param name="cancellationToken">Abandons the wait; what was taken is free when its time is over.</param>
    /// <returns>The decision, and the place. Dispose it in either case.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The cost is not positive, or greater than can ever be allowed.</exception>
    /// <exception cref="InvalidOperationException">The family has no policy.</exception>
    public async ValueTask<LimitPlace> EnterAsync(LimitKey key, int cost = 1, CancellationToken cancellationToken = default)
    {
        var terms = TermsOf(key, cost);
        var wire = _keyspace.WireName(key.Entry);
        var place = terms.CountsPlaces
            ? string.Create(CultureInfo.InvariantCulture, $"{_node}.{Interlocked.Increment(ref _places):x}")
            : null;
        var decision = await DecideAsync(terms, wire, cost, place, spends: true, cancellationToken).ConfigureAwait(Rt.Capture);
        return new LimitPlace(this, terms, wire, decision, place);
    }

    /// <summary>Says what <see cref="TakeAsync"/> would, and spends nothing. One round trip.</summary>
    /// <param name="key">Whose budget: from the generated <c>Keys</c>.</param>
    /// <param name="cost">How much would be spent.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="ArgumentOutOfRangeException">The cost is not positive, or greater than can ever be allowed.</exception>
    /// <exception cref="InvalidOperationException">The family has no policy.</exception>
    public ValueTask<Decision> PeekAsync(LimitKey key, int cost = 1, CancellationToken cancellationToken = default) =>
        DecideAsync(TermsOf(key, cost), _keyspace.WireName(key.Entry), cost, place: null, spends: false, cancellationToken);

    /// <summary>Gives back what was taken and not used. One round trip; none when there is nothing to give back. Not twice for one decision: it would be given twice.</summary>
    /// <remarks>Never more than there is room for: a budget is not more than full, and what was taken in a window that is over is not given back.</remarks>
    /// <param name="key">Whose budget it was taken from.</param>
    /// <param name="decision">What <see cref="TakeAsync"/> has said.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <returns>Whether anything was given back.</returns>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    /// <exception cref="InvalidOperationException">The family has no policy.</exception>
    public async ValueTask<bool> RefundAsync(LimitKey key, Decision decision, CancellationToken cancellationToken = default)
    {
        if (!decision.Allowed || decision.Source != DecisionSource.Redis || decision.Cost == 0)
            return false;
        var terms = TermsOf(key, cost: 1);
        var wire = _keyspace.WireName(key.Entry);
        _denied.Forget(wire);
        var given = await _redis
            .Router.SendAsync(
                new Command(LimitScripts.Refund, [wire], terms.RefundArgs(decision)),
                ReplyParsers.Int64,
                CommandOptions.None,
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);
        return given > 0;
    }

    /// <summary>As <see cref="TakeAsync"/>, and blocks: for those seams of .NET that have no other way. It waits as long as the client waits for a command.</summary>
    internal Decision Take(LimitKey key, int cost)
    {
        var terms = TermsOf(key, cost);
        var wire = _keyspace.WireName(key.Entry);
        if (_denied.TryFind(wire, cost, out var known))
            return Told(terms, known);
        if (!_watch.MayAsk())
            return Told(terms, Without(terms, wire, cost, place: null, spends: true, "it is away.", heard: null));
        var (asked, heard) = (Time.GetTimestamp(), _watch.Heard);
        try
        {
            var reply = _redis.Router.Send(
                new Command(LimitScripts.Take, terms.KeysOf(wire), terms.TakeArgs(spends: true, cost, "")),
                LimitScripts.TakeAnswer,
                CommandOptions.None
            );
            Metrics.Asked(terms.Family, Time.GetElapsedTime(asked));
            return Told(terms, Answered(terms, wire, terms.DecisionOf(reply, cost), cost, asked));
        }
        catch (RedisException failure)
        {
            return Told(terms, Without(terms, wire, cost, null, spends: true, failure.Message, HeardBefore(failure, heard)));
        }
    }

    /// <summary>The policy of a family; <c>null</c> when it has none.</summary>
    internal LimitTerms? PolicyOf(string family) => _terms.GetValueOrDefault(family);

    internal async ValueTask<bool> StayAsync(LimitPlace place, string name) =>
        await _redis
            .Router.SendAsync(
                new Command(LimitScripts.Stay, [LimitTerms.PlacesOf(place.Wire)], [name, (long)place.Terms.PlaceLife.TotalMilliseconds]),
                ReplyParsers.Int64,
                CommandOptions.Idempotent,
                CancellationToken.None
            )
            .ConfigureAwait(Rt.Capture) == 1;

    internal async ValueTask LeaveAsync(LimitPlace place, string name)
    {
        if (place.Decision.Source != DecisionSource.Redis)
        {
            _local.Leave(place.Terms, place.Wire);
            return;
        }

        _denied.Forget(place.Wire);
        await GiveBackAsync(place.Terms, place.Wire, name).ConfigureAwait(Rt.Capture);
    }

    private async Task GiveBackAsync(LimitTerms terms, string wire, string name)
    {
        try
        {
            await _redis
                .SendAsync(["ZREM", LimitTerms.PlacesOf(wire), name], ReplyParsers.Int64, CommandOptions.Idempotent, CancellationToken.None)
                .ConfigureAwait(Rt.Capture);
        }
        catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
        {
            LimitLog.PlaceNotGivenBack(Logger, terms.Family, failure.Message);
        }
    }

    private static LimitTerms TermsOf(Keyspace keyspace, string family, LimitPolicy policy, TimeProvider time)
    {
        var settings =
            keyspace.Families.FirstOrDefault(known => known.Family.Name == family)
            ?? throw new InvalidOperationException(
                $"Limits has a policy for \"{family}\", which the catalog does not name. Add the family with \"kind\": \"limit\" and a key that begins with rate_limit:, or correct the name."
            );
        if (settings.Kind != "limit")
            throw new InvalidOperationException(
                $"Limits has a policy for \"{family}\", which is of kind \"{settings.Kind}\" in the catalog. Write \"kind\": \"limit\", or name another family."
            );
        var longest = policy.Rules.Select(static rule => rule.Fills).DefaultIfEmpty(TimeSpan.Zero).Max();
        if (longest > settings.Ttl)
            throw new InvalidOperationException(
                $"The policy of \"{family}\" needs {longest} until it is full again, and the catalog says that its keys live for {settings.Ttl}. Write a \"ttl\" of at least {longest}."
            );
        return new LimitTerms(settings, policy, time);
    }

    private LimitTerms TermsOf(LimitKey key, int cost)
    {
        if (!_terms.TryGetValue(key.Family.Name, out var terms))
            throw new InvalidOperationException(
                $"The family \"{key.Family.Name}\" has no policy. Write options.Limits.ForFamily(\"{key.Family.Name}\", policy => policy.With(LimitRule.Even(10, TimeSpan.FromSeconds(1))))."
            );
        ArgumentOutOfRangeException.ThrowIfLessThan(cost, 1);
        if (cost > terms.MostCost)
            throw new ArgumentOutOfRangeException(
                nameof(cost),
                cost,
                $"The policy of \"{terms.Family}\" never allows more than {terms.MostCost} at once, however long one waits. Spend less, or allow a greater burst."
            );
        return terms;
    }

    private async ValueTask<Decision> DecideAsync(
        LimitTerms terms,
        string wire,
        int cost,
        string? place,
        bool spends,
        CancellationToken cancellationToken
    )
    {
        if (_denied.TryFind(wire, cost, out var known))
            return Told(terms, known);
        if (!_watch.MayAsk())
            return Told(terms, Without(terms, wire, cost, place, spends, "it is away.", heard: null));
        var (asked, heard) = (Time.GetTimestamp(), _watch.Heard);
        var late = terms.Patience.Begin();
        using var either = cancellationToken.CanBeCanceled
            ? CancellationTokenSource.CreateLinkedTokenSource(late, cancellationToken)
            : null;
        try
        {
            var reply = await _redis
                .Router.SendAsync(
                    new Command(LimitScripts.Take, terms.KeysOf(wire), terms.TakeArgs(spends, cost, place ?? "")),
                    LimitScripts.TakeAnswer,
                    // Twice is twice: what may have been charged is not asked for again.
                    CommandOptions.None,
                    either?.Token ?? late
                )
                .ConfigureAwait(Rt.Capture);
            Metrics.Asked(terms.Family, Time.GetElapsedTime(asked));
            // What was only looked at is not given back.
            return Told(terms, Answered(terms, wire, terms.DecisionOf(reply, spends ? cost : 0), cost, asked));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            TakeBack(terms, wire, place);
            var reason = $"it has not answered within {terms.Policy.Timeout}.";
            return Told(terms, Without(terms, wire, cost, place, spends, reason, heard));
        }
        catch (OperationCanceledException)
        {
            TakeBack(terms, wire, place);
            // With the caller's own token, not the one that we made.
            cancellationToken.ThrowIfCancellationRequested();
            throw;
        }
        catch (RedisException failure)
        {
            if (failure.Sent == Sent.Maybe)
                TakeBack(terms, wire, place);
            return Told(terms, Without(terms, wire, cost, place, spends, failure.Message, HeardBefore(failure, heard)));
        }
    }

    // Redis may give us a place that nobody here hears of: nobody would give it back, and it would be taken for its whole life. Nobody waits for this.
    private void TakeBack(LimitTerms terms, string wire, string? place)
    {
        if (place is null)
            return;
        using var flow = Rt.WithoutFlow();
        _ = GiveBackAsync(terms, wire, place);
    }

    private Decision Answered(LimitTerms terms, string wire, in Decision decision, int cost, long asked)
    {
        _watch.Answered(terms.Family);
        // Who waits for a place is let in as soon as one is given back, wherever that is.
        if (!decision.Allowed && decision.Rule!.Kind != 'p')
            _denied.Add(wire, decision, cost, asked, terms.Policy.DenyCache);
        return decision;
    }

    private Decision Without(LimitTerms terms, string wire, int cost, string? place, bool spends, string reason, long? heard)
    {
        Metrics.Failed(terms.Family);
        _watch.DecidedWithout(terms, reason, heard);
        return terms.Policy.FailMode switch
        {
            FailMode.Open => new Decision { Allowed = true, Source = DecisionSource.FailMode },
            FailMode.Closed => new Decision { RetryAfter = TimeSpan.FromSeconds(1), Source = DecisionSource.FailMode },
            _ => _local.Take(terms, wire, cost, spends && (place is not null || !terms.CountsPlaces)),
        };
    }

    // What was not sent says nothing of Redis's silence; but who waited for the whole time has heard nothing either way.
    private static long? HeardBefore(RedisException failure, long heard) => failure is RedisTimeoutException ? heard : null;

    private Decision Told(LimitTerms terms, in Decision decision)
    {
        Metrics.Decided(terms.Family, decision);
        return decision;
    }
}
