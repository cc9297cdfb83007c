using Onggi.Client;

namespace Onggi.Limits;

/// <summary>What <see cref="OnggiLimits.EnterAsync"/> decided, and the place that was taken, if the policy counts places. Dispose it when the work is done: it gives the place back.</summary>
public sealed class LimitPlace : IAsyncDisposable
{
    private readonly OnggiLimits _limits;
    private readonly string? _place;
    private readonly ITimer? _timer;
    private int _over;
    private int _keeping;

    internal LimitPlace(OnggiLimits limits, LimitTerms terms, string wire, Decision decision, string? place)
    {
        (_limits, Terms, Wire, Decision, _place) = (limits, terms, wire, decision, place);
        if (!decision.Allowed || place is null)
        {
            _over = 1;
            return;
        }

        limits.Metrics.Places(terms.Family, 1);
        if (decision.Source != DecisionSource.Redis)
            return;
        var every = terms.PlaceLife / 3;
        using var flow = Rt.WithoutFlow();
        _timer = limits.Time.CreateTimer(static self => _ = ((LimitPlace)self!).KeepAsync(), this, every, every);
    }

    /// <summary>Whether the work may be done; where not, there is nothing to give back.</summary>
    public Decision Decision { get; }

    internal LimitTerms Terms { get; }

    internal string Wire { get; }

    /// <summary>Gives the place back; at most one round trip. Throws nothing: where Redis cannot be asked, the place is free when its time is over.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _over, 1) != 0)
            return;
        _timer?.Dispose();
        _limits.Metrics.Places(Terms.Family, -1);
        await _limits.LeaveAsync(this, _place!).ConfigureAwait(Rt.Capture);
    }

    private async Task KeepAsync()
    {
        if (Volatile.Read(ref _over) != 0 || Interlocked.Exchange(ref _keeping, 1) != 0)
            return;
        try
        {
            if (!await _limits.StayAsync(this, _place!).ConfigureAwait(Rt.Capture) && Volatile.Read(ref _over) == 0)
            {
                _timer?.Dispose();
                LimitLog.PlaceLost(_limits.Logger, Terms.Family, "Redis no longer has it.");
            }
        }
        catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
        {
            // It is tried again as long as it lasts.
        }
        finally
        {
            Volatile.Write(ref _keeping, 0);
        }
    }
}
