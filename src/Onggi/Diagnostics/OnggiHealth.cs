using System.Globalization;
using Onggi.Client;
using Onggi.Events;

namespace Onggi.Diagnostics;

/// <summary>Whether Redis can be used.</summary>
public enum OnggiHealthState
{
    /// <summary>Everything works.</summary>
    Up,

    /// <summary>It works, but something needs a look: the reasons say what.</summary>
    Degraded,

    /// <summary>Redis cannot be used: loaders answer, writes fail.</summary>
    Down,
}

/// <summary>What a check found.</summary>
/// <param name="State">Whether Redis can be used.</param>
/// <param name="Reasons">Why it is not <see cref="OnggiHealthState.Up"/>, one sentence each; empty when it is.</param>
/// <param name="RoundTrip">How long PING took; <c>null</c> when it was not answered.</param>
/// <param name="UsedMemory">Bytes that Redis uses; <c>null</c> when unknown.</param>
/// <param name="MaxMemory">Bytes that Redis may use; <c>null</c> when unknown or without limit.</param>
public sealed record OnggiHealthReport(
    OnggiHealthState State,
    IReadOnlyList<string> Reasons,
    TimeSpan? RoundTrip,
    long? UsedMemory,
    long? MaxMemory
);

/// <summary>Says whether the team's Redis is up, degraded or down, as this process sees it, and why.</summary>
public sealed class OnggiHealth
{
    private readonly RedisClient _redis;
    private readonly OnggiEvents _events;
    private readonly HealthOptions _options;
    private readonly TimeProvider _time;

    private readonly Lock _gate = new(); // Guards what is remembered of refused writes.
    private long? _refusedWrites;
    private long? _lastRefusal;

    internal OnggiHealth(RedisClient redis, OnggiEvents events, HealthOptions options, TimeProvider time)
    {
        _redis = redis;
        _events = events;
        _options = options;
        _time = time;
    }

    /// <summary>Asks Redis. Two round trips, and never longer than <see cref="HealthOptions.Timeout"/> each; it does not throw when Redis is away.</summary>
    /// <exception cref="OperationCanceledException">The caller's token was cancelled.</exception>
    public async ValueTask<OnggiHealthReport> CheckAsync(CancellationToken cancellationToken = default)
    {
        var endpoint = _redis.Options.ToString();
        if (!_redis.IsConnected)
            return Down($"Not connected to Redis at {endpoint}.");

        List<string> reasons = [];
        TimeSpan roundTrip;
        try
        {
            roundTrip = await MeasureAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException refused) when (refused.IsTransient)
        {
            // LOADING, MASTERDOWN, BUSY …: it is there, and will answer later.
            return new OnggiHealthReport(OnggiHealthState.Degraded, [$"Redis at {endpoint} answers: {refused.Message}"], null, null, null);
        }
        catch (RedisException failure)
        {
            return Down($"Redis at {endpoint} does not answer PING: {failure.Message}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return Down($"Redis at {endpoint} did not answer PING within {Milliseconds(_options.Timeout)} ms.");
        }

        if (roundTrip > _options.SlowerThan)
            reasons.Add($"A round trip took {Milliseconds(roundTrip)} ms, more than {Milliseconds(_options.SlowerThan)} ms.");
        var info = await TryInfoAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        AddServerReasons(info, reasons);
        AddEventReasons(reasons);
        return new OnggiHealthReport(
            reasons.Count == 0 ? OnggiHealthState.Up : OnggiHealthState.Degraded,
            reasons,
            roundTrip,
            Number(info, "used_memory"),
            Number(info, "maxmemory") is > 0 and var max ? max : null
        );
    }

    private static OnggiHealthReport Down(string reason) => new(OnggiHealthState.Down, [reason], null, null, null);

    private async ValueTask<TimeSpan> MeasureAsync(CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var asked = _time.GetTimestamp();
        await _redis.SendAsync(["PING"], ReplyParsers.Ignore, CommandOptions.NoRetry, either.Token).ConfigureAwait(Rt.Capture);
        return _time.GetElapsedTime(asked);
    }

    /// <summary>The server's report; empty when this user may not read it or the answer is late. PING was answered, so that alone is no reason.</summary>
    private async ValueTask<Dictionary<string, string>> TryInfoAsync(CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var text = await _redis
                .SendAsync(
                    ["INFO", "memory", "persistence", "replication", "errorstats"],
                    ReplyParsers.Text,
                    CommandOptions.NoRetry,
                    either.Token
                )
                .ConfigureAwait(Rt.Capture);
            return ParseInfo(text ?? "");
        }
        catch (RedisException)
        {
            return [];
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return [];
        }
    }

    private void AddServerReasons(Dictionary<string, string> info, List<string> reasons)
    {
        if (info.GetValueOrDefault("loading") == "1")
            reasons.Add("Redis is still loading its data.");
        if (info.GetValueOrDefault("role") == "slave")
            reasons.Add("This is a replica: reads may be old, writes are refused. Point ConnectionString at the primary.");
        if (Number(info, "maxmemory") is > 0 and var max && Number(info, "used_memory") is { } used && used > max * _options.MemoryAbove)
            reasons.Add(
                $"Redis uses {Percent((double)used / max)} of its memory ({Megabytes(used)} of {Megabytes(max)} MB), more than {Percent(_options.MemoryAbove)}."
            );
        if (RefusedWritesLately(Number(info, "errorstat_OOM") ?? 0))
            reasons.Add("Redis refused writes for want of memory (OOM) lately.");
    }

    private void AddEventReasons(List<string> reasons)
    {
        if (!_events.IsListening)
            reasons.Add("Not all event channels are subscribed yet: what happens in other services may not be heard here.");
        else if (_events.SinceInterruption is { } since && since < _options.Remember)
            reasons.Add($"The event stream was interrupted {since.TotalSeconds:0} s ago: events can have been missed.");
    }

    private bool RefusedWritesLately(long refusedWrites)
    {
        lock (_gate)
        {
            // The server counts since its start; what happened before our first look is not news. A smaller number is a new server's.
            if (_refusedWrites is { } before && refusedWrites > before)
                _lastRefusal = _time.GetTimestamp();
            _refusedWrites = refusedWrites;
            return _lastRefusal is { } then && _time.GetElapsedTime(then) <= _options.Remember;
        }
    }

    /// <summary>Reads <c>name:value</c> lines; <c>errorstat_OOM:count=3</c> becomes 3.</summary>
    internal static Dictionary<string, string> ParseInfo(string text)
    {
        Dictionary<string, string> info = new(StringComparer.Ordinal);
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            var colon = line.IndexOf(':');
            if (colon <= 0 || line[0] == '#')
                continue;
            var value = line[(colon + 1)..];
            info[line[..colon].ToString()] = (value.StartsWith("count=") ? value["count=".Length..] : value).ToString();
        }

        return info;
    }

    private static long? Number(Dictionary<string, string> info, string name) =>
        info.TryGetValue(name, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : null;

    private static string Milliseconds(TimeSpan time) => time.TotalMilliseconds.ToString("0.#");

    private static string Megabytes(long bytes) => (bytes / (1024.0 * 1024)).ToString("0.#");

    private static string Percent(double share) => (share * 100).ToString("0") + " %";
}
