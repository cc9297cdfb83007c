using System.Collections.Concurrent;
using System.Text.Json;
using Onggi.Client;

namespace Onggi.Benchmarks.Coherence;

/// <summary>What is written in an afternoon: a dictionary before Redis, and a notice by Pub/Sub when a key is invalidated. The control: a checker that finds nothing here sees nothing.</summary>
internal sealed class NaiveSubject : ISubject
{
    private const string Channel = "invalidated";

    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<int, (Item Value, long Expires)> _memory = new();
    private readonly string[] _names = BenchKeys.WireNames();
    private readonly long[] _hits = new long[2];
    private readonly RedisClient _redis;
    private readonly Source _source;

    private NaiveSubject(RedisClient redis, RedisSubscription notices, Source source)
    {
        _redis = redis;
        _source = source;
        _ = ListenAsync(notices);
    }

    public static async Task<ISubject> StartAsync(int port, Source source)
    {
        var redis = await RedisClient.ConnectAsync($"127.0.0.1:{port}");
        return new NaiveSubject(redis, await redis.SubscribeAsync(Channel), source);
    }

    public async ValueTask<Item?> ReadAsync(int key)
    {
        if (_memory.TryGetValue(key, out var kept) && Environment.TickCount64 < kept.Expires)
        {
            Interlocked.Increment(ref _hits[(int)Schedule.StrengthOf(key)]);
            return kept.Value;
        }

        try
        {
            var json = await _redis.GetAsync(_names[key]);
            var item = json is null ? null : JsonSerializer.Deserialize(json, CoherenceJson.Default.Item);
            if (item is null)
            {
                item = (await _source.LoadAsync(key))!;
                await _redis.SetAsync(_names[key], JsonSerializer.SerializeToUtf8Bytes(item, CoherenceJson.Default.Item), TimeToLive);
            }

            _memory[key] = (item, Environment.TickCount64 + (long)TimeToLive.TotalMilliseconds);
            return item;
        }
        catch (RedisException)
        {
            return await _source.LoadAsync(key);
        }
    }

    public async ValueTask InvalidateAsync(int key, Strength strength)
    {
        _memory.TryRemove(key, out _);
        await _redis.UnlinkAsync([_names[key]]);
        await _redis.PublishAsync(Channel, key);
    }

    public long MemoryHits(Strength strength) => Volatile.Read(ref _hits[(int)strength]);

    private async Task ListenAsync(RedisSubscription notices)
    {
        await foreach (var notice in notices.ReadAllAsync())
            if (!notice.Interrupted && int.TryParse(notice.Payload.Span, out var key))
                _memory.TryRemove(key, out _);
    }
}
