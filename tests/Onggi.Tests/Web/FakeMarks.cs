using Onggi.Caching;

namespace Onggi.Tests.Web;

/// <summary>The marks of a fleet without a server: what the scripts do, by the test's clock.</summary>
internal sealed class FakeMarks(TimeProvider time) : IWarmMarks
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (string Holder, DateTimeOffset Ends)> _claims = [];
    private readonly Dictionary<string, long> _marks = [];

    /// <summary>Thrown instead of an answer.</summary>
    public Exception? Failing { get; set; }

    public int Claims { get; private set; }

    public int Looks { get; private set; }

    public long? Mark(string name)
    {
        lock (_gate)
            return _marks.TryGetValue(name, out var round) ? round : null;
    }

    public string? Holder(string name)
    {
        lock (_gate)
            return Live(name)?.Holder;
    }

    /// <summary>Redis comes back empty.</summary>
    public void Empty()
    {
        lock (_gate)
        {
            _claims.Clear();
            _marks.Clear();
        }
    }

    public ValueTask<WarmMark> ClaimAsync(string warmUp, string holder, TimeSpan claim, long round, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            Looks++;
            if (Failing is { } failure)
                throw failure;
            var known = _marks.GetValueOrDefault(warmUp, -1);
            if (known >= round)
                return new(new WarmMark(WarmState.Warm, TimeSpan.Zero, known));
            if (Live(warmUp) is { } other && other.Holder != holder)
                return new(new WarmMark(WarmState.Held, other.Ends - time.GetUtcNow(), known));
            _claims[warmUp] = (holder, time.GetUtcNow() + claim);
            Claims++;
            return new(new WarmMark(WarmState.Claimed, TimeSpan.Zero, known));
        }
    }

    public ValueTask<bool> KeepAsync(string warmUp, string holder, TimeSpan claim, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (Failing is { } failure)
                throw failure;
            if (Live(warmUp)?.Holder != holder)
                return new(false);
            if (claim == TimeSpan.Zero)
                _claims.Remove(warmUp);
            else
                _claims[warmUp] = (holder, time.GetUtcNow() + claim);
            return new(true);
        }
    }

    public ValueTask<bool> DoneAsync(string warmUp, string holder, long round, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (Failing is { } failure)
                throw failure;
            if (Live(warmUp)?.Holder != holder)
                return new(false);
            _marks[warmUp] = round;
            _claims.Remove(warmUp);
            return new(true);
        }
    }

    private (string Holder, DateTimeOffset Ends)? Live(string warmUp) =>
        _claims.TryGetValue(warmUp, out var claim) && claim.Ends > time.GetUtcNow() ? claim : null;
}
