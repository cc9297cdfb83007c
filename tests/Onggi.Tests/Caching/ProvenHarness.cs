using System.Text;
using Onggi.Caching;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

/// <summary>A memory tier with its clock, and short words for what the reading loop does with it.</summary>
internal sealed class ProvenHarness : IDisposable
{
    public const long Generation = 1;

    private readonly Keyspace _keys = Keyspace.Load(TestKeys.CatalogJson);
    private readonly CacheFamilies _families;

    public ProvenHarness(CacheOptions? options = null, IClock? clock = null, bool proven = true)
    {
        _families = new CacheFamilies(_keys, options ?? new CacheOptions(), Time);
        Clock = clock ?? new TimeProviderClock(Time);
        Memory = new ProvenMemory(options ?? new CacheOptions(), Clock, Time);
        if (!proven)
            return;
        Memory.Begin(Generation);
        Memory.Prove(Generation, long.MaxValue);
    }

    public ManualTimeProvider Time { get; } = new();

    public IClock Clock { get; }

    public ProvenMemory Memory { get; }

    public CacheFamily Family => _families.Of("text");

    public CacheCodec<string> Codec { get; } = new(CacheTestJson.Default.String, isImmutable: true);

    public ProvenEntry? Keep(string id, string value = "value", long generation = Generation, long expires = long.MaxValue) =>
        Keep(id, value, Family, generation, expires);

    public ProvenEntry? Keep(string id, string value, CacheFamily family, long generation = Generation, long expires = long.MaxValue) =>
        Memory.Keep(generation, Key(id), WireName(id), family, Json(value), expires, refreshAt: long.MaxValue);

    public ProvenEntry? Find(string id) => Memory.Find(Key(id));

    /// <summary>What a hit gets that looks no further; <c>null</c> for nothing.</summary>
    public string? Hit(string id) => Memory.TryHit(Key(id), out string? value) ? value : null;

    public string? Value(string id) => Find(id) is { } entry ? Codec.Decode(entry.Json) : null;

    public static EntryKey Key(string id) => TestKeys.Text(id).Entry;

    public string WireName(string id) => _keys.WireName(Key(id));

    public byte[] WireBytes(string id) => Encoding.UTF8.GetBytes(WireName(id));

    public void Pass(int milliseconds) => Time.Advance(TimeSpan.FromMilliseconds(milliseconds));

    public void Dispose() => Memory.Dispose();

    private static byte[] Json(string value) => Encoding.UTF8.GetBytes($"\"{value}\"");
}
