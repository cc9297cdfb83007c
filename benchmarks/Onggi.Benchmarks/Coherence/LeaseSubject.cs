using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Onggi.Client;

namespace Onggi.Benchmarks.Coherence;

/// <summary>The other control: the least that keeps the promises. Values are stored under a lease, and memory answers only for as long as the bound. A checker that finds something here accuses the innocent.</summary>
/// <remarks>Nobody tells memory of changes, so every entry is asked for anew twice a second; nobody waits for another's load. It is right and wasteful.</remarks>
internal sealed class LeaseSubject : ISubject
{
    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(30);

    // The value; or an empty text, and with it the lease; or nothing, because another one has it.
    private static readonly RedisScript GetOrLease = new(
        "get-or-lease",
        """
        local value = redis.call('GET', KEYS[1])
        if value then return value end
        if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', 5000) then return '' end
        return false
        """
    );

    // A value that stands there by now is a stranger's, and newer.
    private static readonly RedisScript Fill = new(
        "fill",
        """
        if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
        redis.call('DEL', KEYS[2])
        if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        return 1
        """
    );

    private readonly ConcurrentDictionary<int, (Item Value, long Asked)> _memory = new();
    private readonly string[] _names = BenchKeys.WireNames();
    private readonly long[] _hits = new long[2];
    private readonly RedisClient _redis;
    private readonly Source _source;

    private LeaseSubject(RedisClient redis, Source source) => (_redis, _source) = (redis, source);

    public static async Task<ISubject> StartAsync(int port, Source source) =>
        new LeaseSubject(await RedisClient.ConnectAsync($"127.0.0.1:{port}"), source);

    public async ValueTask<Item?> ReadAsync(int key)
    {
        // The entry before the clock: the other way round a pause in between would make it look younger.
        if (_memory.TryGetValue(key, out var kept) && Stopwatch.GetElapsedTime(kept.Asked) < OnggiSubject.MaxStaleness)
        {
            Interlocked.Increment(ref _hits[(int)Schedule.StrengthOf(key)]);
            return kept.Value;
        }

        try
        {
            return await AskAsync(key, _names[key]);
        }
        catch (RedisException)
        {
            return await _source.LoadAsync(key);
        }
    }

    public async ValueTask InvalidateAsync(int key, Strength strength)
    {
        var name = _names[key];
        await _redis.UnlinkAsync([name, BenchKeys.LeaseOf(name)]);
        if (strength == Strength.Strict)
            await Task.Delay(OnggiSubject.MaxStaleness + TimeSpan.FromMilliseconds(2));
    }

    public long MemoryHits(Strength strength) => Volatile.Read(ref _hits[(int)strength]);

    private async Task<Item?> AskAsync(int key, string name)
    {
        var token = Guid.NewGuid().ToString("N");
        var lease = BenchKeys.LeaseOf(name);
        var asked = Stopwatch.GetTimestamp();
        var json = await _redis.EvalAsync(GetOrLease, [name, lease], [token], ReplyParsers.Bytes);
        if (json is { Length: > 0 })
            return Keep(key, JsonSerializer.Deserialize(json, CoherenceJson.Default.Item)!, asked);
        var item = (await _source.LoadAsync(key))!;
        if (json is null)
            return item;
        asked = Stopwatch.GetTimestamp();
        var bytes = JsonSerializer.SerializeToUtf8Bytes(item, CoherenceJson.Default.Item);
        var filled = await _redis.EvalAsync(Fill, [name, lease], [token, bytes, (long)TimeToLive.TotalMilliseconds], ReplyParsers.Int64);
        return filled == 1 ? Keep(key, item, asked) : item;
    }

    private Item Keep(int key, Item item, long asked)
    {
        _memory[key] = (item, asked);
        return item;
    }
}
