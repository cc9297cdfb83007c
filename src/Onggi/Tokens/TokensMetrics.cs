using System.Diagnostics.Metrics;
using System.Text.Json;

namespace Onggi.Tokens;

/// <summary>The meter <c>Onggi.Tokens</c>.</summary>
internal sealed class TokensMetrics
{
    public const string MeterName = "Onggi.Tokens";

    private const string OutcomeTag = "onggi.outcome";
    private const string ScopeTag = "onggi.scope";

    private readonly Counter<long> _issued;
    private readonly Counter<long> _verified;
    private readonly Counter<long> _refreshes;
    private readonly Counter<long> _revoked;
    private readonly Counter<long> _reasserted;
    private readonly Counter<long> _noticesDropped;
    private Func<int> _remembered = static () => 0;

    public TokensMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _issued = meter.CreateCounter<long>("onggi.tokens.issued", "{token}", "Access tokens handed out, those of refreshes included.");
        _verified = meter.CreateCounter<long>("onggi.tokens.verified", "{token}", "Access tokens judged, by what was found.");
        _refreshes = meter.CreateCounter<long>("onggi.tokens.refreshes", "{refresh}", "Refreshes, by how they ended.");
        _revoked = meter.CreateCounter<long>("onggi.tokens.revoked", "{revocation}", "Revocations, by what they end.");
        _reasserted = meter.CreateCounter<long>(
            "onggi.tokens.reasserted",
            "{revocation}",
            "Revocations that were asserted again, in case a failover had lost them."
        );
        _noticesDropped = meter.CreateCounter<long>(
            "onggi.tokens.notices.dropped",
            "{event}",
            "Events of tokens that were not published because too many waited."
        );
        meter.CreateObservableGauge(
            "onggi.tokens.remembered",
            () => _remembered(),
            "{revocation}",
            "Revocations of this process that it would assert again."
        );
    }

    public void Observe(Func<int> remembered) => _remembered = remembered;

    public void Issued() => _issued.Add(1);

    public void Verified(TokenVerdict verdict)
    {
        if (_verified.Enabled)
            _verified.Add(
                1,
                Outcome(
                    !verdict.IsValid ? Word(verdict.Refusal.ToString())
                    : verdict.IsConfirmed ? "ok"
                    : "unconfirmed"
                )
            );
    }

    /// <summary>Redis could not be asked.</summary>
    public void VerifyFailed() => _verified.Add(1, Outcome("error"));

    public void Refreshed(RefreshOutcome outcome)
    {
        if (_refreshes.Enabled)
            _refreshes.Add(1, Outcome(Word(outcome.ToString())));
    }

    public void Revoked(string scope) => _revoked.Add(1, new KeyValuePair<string, object?>(ScopeTag, scope));

    public void Reasserted(int count) => _reasserted.Add(count);

    public void NoticeDropped() => _noticesDropped.Add(1);

    private static KeyValuePair<string, object?> Outcome(string word) => new(OutcomeTag, word);

    // WrongAudience → wrong_audience
    private static string Word(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);
}
