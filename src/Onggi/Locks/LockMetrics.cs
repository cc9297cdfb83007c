using System.Diagnostics.Metrics;

namespace Onggi.Locks;

/// <summary>The meter <c>Onggi.Locks</c>.</summary>
internal sealed class LockMetrics
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Onggi.Locks";

    private const string FamilyTag = "onggi.family";
    private const string OutcomeTag = "onggi.outcome";
    private const string ReasonTag = "onggi.reason";

    private readonly Histogram<double> _acquires;
    private readonly Histogram<double> _held;
    private readonly Counter<long> _renewals;
    private readonly Counter<long> _losses;
    private readonly UpDownCounter<long> _leases;
    private readonly UpDownCounter<long> _waiting;

    public LockMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _acquires = meter.CreateHistogram<double>(
            "onggi.lock.acquire.duration",
            "s",
            "From the call until the lock was had, was not to be had, or could not be asked for."
        );
        _held = meter.CreateHistogram<double>(
            "onggi.lock.held.duration",
            "s",
            "How long leases were held, until they were given back or lost."
        );
        _renewals = meter.CreateCounter<long>("onggi.lock.renewals", "{renewal}", "Renewals, by what became of them.");
        _losses = meter.CreateCounter<long>("onggi.lock.losses", "{lease}", "Leases that were lost while they were in use, by reason.");
        _leases = meter.CreateUpDownCounter<long>("onggi.lock.leases", "{lease}", "Leases that this process holds.");
        _waiting = meter.CreateUpDownCounter<long>("onggi.lock.waiting", "{caller}", "Callers that wait for a lock.");
    }

    public void Asked(string family, string outcome, TimeSpan took)
    {
        if (_acquires.Enabled)
            _acquires.Record(
                took.TotalSeconds,
                new KeyValuePair<string, object?>(FamilyTag, family),
                new KeyValuePair<string, object?>(OutcomeTag, outcome)
            );
    }

    public void Began(string family)
    {
        if (_leases.Enabled)
            _leases.Add(1, new KeyValuePair<string, object?>(FamilyTag, family));
    }

    public void Ended(string family, TimeSpan held)
    {
        if (_leases.Enabled)
            _leases.Add(-1, new KeyValuePair<string, object?>(FamilyTag, family));
        if (_held.Enabled)
            _held.Record(held.TotalSeconds, new KeyValuePair<string, object?>(FamilyTag, family));
    }

    public void Renewed(string family, string outcome)
    {
        if (_renewals.Enabled)
            _renewals.Add(1, new KeyValuePair<string, object?>(FamilyTag, family), new KeyValuePair<string, object?>(OutcomeTag, outcome));
    }

    public void Lost(string family, string reason)
    {
        if (_losses.Enabled)
            _losses.Add(1, new KeyValuePair<string, object?>(FamilyTag, family), new KeyValuePair<string, object?>(ReasonTag, reason));
    }

    public void Waiting(string family, int change)
    {
        if (_waiting.Enabled)
            _waiting.Add(change, new KeyValuePair<string, object?>(FamilyTag, family));
    }

    /// <summary>What became of a call or a renewal, as metrics say it.</summary>
    internal static class Outcomes
    {
        public const string Acquired = "acquired";
        public const string Busy = "busy";
        public const string Cancelled = "cancelled";
        public const string Error = "error";
        public const string Renewed = "renewed";
        public const string Refused = "refused";
    }

    /// <summary>Why a lease was lost, as metrics say it.</summary>
    internal static class Reasons
    {
        public const string Expired = "expired";
        public const string Taken = "taken";
        public const string Closed = "closed";
    }
}
