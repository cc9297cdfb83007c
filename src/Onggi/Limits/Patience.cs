namespace Onggi.Limits;

/// <summary>Tokens that are cancelled when callers have waited long enough. Those who begin at nearly the same time share one, so that a question costs no timer of its own.</summary>
internal sealed class Patience
{
    private const int Parts = 8;

    private readonly TimeProvider _time;
    private readonly TimeSpan _timeout;
    private readonly long _part;
    private readonly Lock _gate = new(); // Guards the making of the next one.
    private Shared? _current;

    public Patience(TimeSpan timeout, TimeProvider time)
    {
        (_timeout, _time) = (timeout, time);
        _part = (long)(timeout.TotalSeconds * time.TimestampFrequency) / Parts;
    }

    /// <summary>Cancelled after the time-out, or up to an eighth of it earlier.</summary>
    public CancellationToken Begin()
    {
        // mutant: NoTimeout
        if (LimitMutants.NoTimeout)
            return CancellationToken.None;
        var now = _time.GetTimestamp();
        return Volatile.Read(ref _current) is { } shared && now < shared.Until ? shared.Token : Next(now);
    }

    private CancellationToken Next(long now)
    {
        lock (_gate)
        {
            if (_current is { } shared && now < shared.Until)
                return shared.Token;
            using var flow = Rt.WithoutFlow();
            // Its timer ends it, and nobody needs it after that.
            var source = new CancellationTokenSource(_timeout, _time);
            Volatile.Write(ref _current, new Shared(source, now + _part));
            return source.Token;
        }
    }

    // The source is kept with its token: it must not be collected before it has fired.
    private sealed record Shared(CancellationTokenSource Source, long Until)
    {
        public CancellationToken Token { get; } = Source.Token;
    }
}
