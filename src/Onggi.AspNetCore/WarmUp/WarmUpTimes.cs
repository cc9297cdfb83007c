using Onggi.Keys;

namespace Onggi.AspNetCore.WarmUp;

/// <summary>Which rounds of a warm-up have come due. A round is named by its moment, in ms since 1970; all replicas compute the same.</summary>
internal sealed class WarmUpTimes
{
    /// <summary>The round of what has no rhythm: to have been run at all.</summary>
    public const long Once = 0;

    private static readonly TimeSpan LongestSpread = TimeSpan.FromMinutes(1);

    private readonly OnggiWarmUpOptions _options;
    private readonly TimeSpan _delay;

    /// <param name="options">The rhythm.</param>
    /// <param name="seed">What the delay is a function of.</param>
    public WarmUpTimes(OnggiWarmUpOptions options, string seed)
    {
        _options = options;
        var usual = options.Every is { } every && every / 10 < LongestSpread ? every / 10 : LongestSpread;
        _delay = (options.Spread ?? usual) * Jitter.Fraction(seed);
    }

    /// <summary>The latest round that has begun.</summary>
    public long Due(DateTimeOffset now)
    {
        var moment = now - _delay;
        if (_options.Every is { } every)
            return (long)Math.Floor((moment - DateTimeOffset.UnixEpoch) / every) * (long)every.TotalMilliseconds;
        if (_options.DailyAt is not { } at)
            return Once;
        var today = Local(moment);
        var round = At(today, at);
        return (round <= moment ? round : At(today.AddDays(-1), at)).ToUnixTimeMilliseconds();
    }

    /// <summary>How long until the next round begins; <c>null</c> where there is no rhythm.</summary>
    public TimeSpan? UntilNext(DateTimeOffset now)
    {
        var moment = now - _delay;
        if (_options.Every is { } every)
            return every - TimeSpan.FromTicks((moment - DateTimeOffset.UnixEpoch).Ticks % every.Ticks);
        if (_options.DailyAt is not { } at)
            return null;
        var today = Local(moment);
        var round = At(today, at);
        return (round > moment ? round : At(today.AddDays(1), at)) - moment;
    }

    private DateOnly Local(DateTimeOffset moment) => DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(moment, _options.TimeZone).DateTime);

    // The zone gives its standard offset both for a time that is left out and for one that comes twice: the first then comes later by what was left out.
    private DateTimeOffset At(DateOnly day, TimeOnly time)
    {
        var local = day.ToDateTime(time);
        return new DateTimeOffset(local, _options.TimeZone.GetUtcOffset(local)).ToUniversalTime();
    }
}
