using System.Diagnostics.Metrics;

namespace Onggi.Sessions;

/// <summary>The meter <c>Onggi.Sessions</c>.</summary>
internal sealed class SessionMetrics
{
    private readonly Counter<long> _created;
    private readonly Counter<long> _rejected;
    private readonly Counter<long> _evicted;
    private readonly Counter<long> _expired;
    private readonly Counter<long> _revoked;
    private readonly Counter<long> _validations;
    private readonly Counter<long> _repeats;
    private readonly Histogram<double> _lateness;
    private long _live = -1;

    public SessionMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Onggi.Sessions");
        meter.CreateObservableGauge(
            "onggi.sessions.live",
            Observe,
            "{session}",
            "Live sessions of all users, as the sweeper last saw them."
        );
        _created = meter.CreateCounter<long>("onggi.sessions.created", "{session}", "Sessions that this process began.");
        _rejected = meter.CreateCounter<long>("onggi.sessions.rejected", "{session}", "Logins refused for the limit.");
        _evicted = meter.CreateCounter<long>(
            "onggi.sessions.evicted",
            "{session}",
            "Sessions ended to make room for another of their user."
        );
        _expired = meter.CreateCounter<long>(
            "onggi.sessions.expired",
            "{session}",
            "Sessions past their deadline that this process ended."
        );
        _revoked = meter.CreateCounter<long>(
            "onggi.sessions.revoked",
            "{session}",
            "Sessions that this process ended because it was told to."
        );
        _validations = meter.CreateCounter<long>("onggi.sessions.validations", "{request}", "Ids that were shown, by what came of it.");
        _repeats = meter.CreateCounter<long>(
            "onggi.sessions.events.repeated",
            "{event}",
            "Events published again, because their first publisher had not confirmed them."
        );
        _lateness = meter.CreateHistogram(
            "onggi.sessions.expiry.delay",
            "s",
            "How long after its deadline a session was ended.",
            tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300] }
        );
    }

    /// <summary>How many sessions live, of all users; -1 while nobody has looked.</summary>
    public long Live
    {
        get => Interlocked.Read(ref _live);
        set => Interlocked.Exchange(ref _live, value);
    }

    public void Created(int evicted)
    {
        _created.Add(1);
        if (evicted > 0)
            _evicted.Add(evicted);
    }

    public void Rejected() => _rejected.Add(1);

    public void Expired(long count)
    {
        if (count > 0)
            _expired.Add(count);
    }

    public void Revoked(int count)
    {
        if (count > 0)
            _revoked.Add(count);
    }

    public void Repeated() => _repeats.Add(1);

    public void Late(TimeSpan late) => _lateness.Record(late.TotalSeconds);

    public void Validated(string outcome)
    {
        if (_validations.Enabled)
            _validations.Add(1, new KeyValuePair<string, object?>("onggi.outcome", outcome));
    }

    private IEnumerable<Measurement<long>> Observe()
    {
        if (Live is >= 0 and var live)
            yield return new Measurement<long>(live);
    }
}
