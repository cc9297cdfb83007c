using Onggi.Caching;
using Onggi.Client;

namespace Onggi.Cli.Operations;

/// <summary>An operator's ceiling on how long memories may answer without having heard from Redis.</summary>
/// <remarks>
/// It is set in two steps. The first makes every memory keep to it that hears of it. One that does not hear goes on under the old bound, until that is over;
/// so only then the bound, which strict invalidations wait for, comes down too.
/// </remarks>
/// <param name="redis">Where.</param>
/// <param name="key">The key of the epoch.</param>
internal sealed class BoundCeiling(RedisClient redis, string key)
{
    /// <summary>As for <see cref="CacheOptions.MaxStaleness"/>, in ms.</summary>
    public const int Least = 100;

    /// <inheritdoc cref="Least"/>
    public const int Most = 10_000;

    public string Key => key;

    public static bool Allows(int milliseconds) => milliseconds is >= Least and <= Most;

    /// <summary>After how long nobody keeps to the old bound any more: clocks may run at different rates, and tick coarsely.</summary>
    public static TimeSpan EndOf(FleetBound bound) => TimeSpan.FromMilliseconds((Math.Min(bound.BoundMs, Most) * 1.002) + 50);

    /// <exception cref="ToolException">No service has been here.</exception>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public async Task<FleetBound> ReadAsync(CancellationToken cancellationToken) =>
        await FleetBound.ReadAsync(redis, key, cancellationToken).ConfigureAwait(false) ?? throw Nobody();

    /// <summary>Sets it; 0 takes it away.</summary>
    /// <exception cref="ToolException">No service has been here.</exception>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public async Task<FleetBound> SetAsync(int ceilingMs, CancellationToken cancellationToken) =>
        await FleetBound.SetAsync(redis, key, ceilingMs, 0, cancellationToken).ConfigureAwait(false) ?? throw Nobody();

    /// <summary>Waits until the old bound is over for everybody, and lets it come down.</summary>
    /// <exception cref="ToolException">Somebody else has changed it meanwhile.</exception>
    /// <exception cref="RedisException">Redis is gone, or refuses: the ceiling stands, and the bound has not come down.</exception>
    public async Task<FleetBound> LowerAsync(FleetBound set, TimeProvider time, CancellationToken cancellationToken)
    {
        await Task.Delay(EndOf(set), time, cancellationToken).ConfigureAwait(false);
        var now = await FleetBound.SetAsync(redis, key, set.CeilingMs, set.SinceMs, cancellationToken).ConfigureAwait(false);
        return now is not null && now.CeilingMs == set.CeilingMs && now.SinceMs == set.SinceMs
            ? now
            : throw new ToolException(
                $"{Words.Key(key)} has been changed meanwhile: {(now is null ? "Redis has lost it" : now.CeilingMs == 0 ? "the ceiling is gone" : $"the ceiling is {now.CeilingMs} ms now")}. Look with: onggi cache bound show"
            );
    }

    private ToolException Nobody() =>
        new(
            $"there is no bound under {Words.Key(key)}: no service with a cache has greeted this Redis since it was empty, or it is a cluster, where memory is off. Is it the right Redis and environment?"
        );
}
