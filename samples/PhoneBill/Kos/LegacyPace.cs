using System.Collections.Concurrent;

namespace PhoneBill.Kos;

/// <summary>How KOS behaves: slow as it is, failing, hanging, or slower than anybody waits.</summary>
public enum LegacyMode
{
    Ok,
    Fail,
    Hang,
    Slow,
}

/// <summary>Makes KOS as slow as the real one, 200–800 ms a call, and counts the calls.</summary>
public sealed class LegacyPace
{
    private readonly Lock _gate = new();
    private readonly Random _random = new(8090);
    private readonly ConcurrentDictionary<string, int> _calls = new();

    public LegacyMode Mode { get; set; }

    public IReadOnlyDictionary<string, int> Calls => _calls;

    /// <summary>Counts the call, then waits as long as the mode says; <c>false</c> when the call fails.</summary>
    public async Task<bool> WaitAsync(string operation, CancellationToken cancellationToken)
    {
        _calls.AddOrUpdate(operation, 1, (_, count) => count + 1);
        if (Mode == LegacyMode.Fail)
            return false;

        TimeSpan wait;
        lock (_gate)
            wait = TimeSpan.FromMilliseconds(_random.Next(200, 800));
        await Task.Delay(
            Mode switch
            {
                LegacyMode.Hang => Timeout.InfiniteTimeSpan,
                LegacyMode.Slow => wait * 5,
                _ => wait,
            },
            cancellationToken
        );
        return true;
    }
}
