namespace Onggi.Caching;

/// <summary>Spreads a warm-up over time, so that source and Redis have room for everybody else.</summary>
/// <remarks>Each batch pays for itself by a wait before the next. What a slow source leaves unused is not saved up: a pause is not followed by a rush.</remarks>
internal sealed class WarmPace(int? perSecond, int largestBatch, TimeProvider time)
{
    // Ten steps a second look even to whoever shares the database, and cost little.
    private const int StepsPerSecond = 10;

    private long _next = time.GetTimestamp();

    /// <summary>How many entries go together.</summary>
    public int Batch { get; } = perSecond is { } rate ? Math.Clamp(rate / StepsPerSecond, 1, largestBatch) : largestBatch;

    /// <summary>Waits until that many entries may go.</summary>
    public async ValueTask WaitAsync(int count, CancellationToken cancellationToken)
    {
        if (perSecond is not { } rate)
            return;
        for (var now = time.GetTimestamp(); ; now = time.GetTimestamp())
        {
            if (now >= _next)
            {
                _next = now + (time.TimestampFrequency * count / rate);
                return;
            }

            await Task.Delay(time.GetElapsedTime(now, _next), time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
    }
}
