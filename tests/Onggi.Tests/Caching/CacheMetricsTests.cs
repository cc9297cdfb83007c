using System.Diagnostics.Metrics;
using Onggi.Caching;

namespace Onggi.Tests.Caching;

public sealed class CacheMetricsTests : IDisposable
{
    private readonly CacheHarness _node = new();
    private readonly MeterListener _listener = new();
    private readonly Dictionary<string, double> _seen = [];

    public CacheMetricsTests()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "Onggi.Cache" && instrument.Meter.Scope == _node.Meters)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _seen[NameOf(instrument, tags)] = value);
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => _seen[NameOf(instrument, tags)] = value);
        _listener.Start();
    }

    public void Dispose()
    {
        _listener.Dispose();
        _node.Dispose();
    }

    [Fact]
    public async Task The_meter_tells_by_family_what_answered_and_what_failed()
    {
        for (var i = 0; i < 3; i++)
            await _node.Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("value"));
        await Assert.ThrowsAsync<FormatException>(() =>
            _node.Cache.GetOrLoadAsync(TestKeys.Number("a"), static _ => throw new FormatException()).AsTask()
        );
        await _node.Cache.InvalidateAsync(TestKeys.Text("b"));
        _node.Store.IsKnownDown = true;
        await _node.Cache.GetAsync(TestKeys.Number("b"));

        _listener.RecordObservableInstruments();

        Assert.Equal(1, _seen["onggi.cache.requests onggi.family=text onggi.outcome=miss"]);
        Assert.Equal(1, _seen["onggi.cache.requests onggi.family=text onggi.outcome=redis"]);
        Assert.Equal(1, _seen["onggi.cache.requests onggi.family=text onggi.outcome=memory"]);
        Assert.Equal(0, _seen["onggi.cache.requests onggi.family=text onggi.outcome=error"]);
        Assert.Equal(1, _seen["onggi.cache.requests onggi.family=number onggi.outcome=error"]);
        Assert.Equal(1, _seen["onggi.cache.loads onggi.family=text"]);
        Assert.Equal(1, _seen["onggi.cache.load.failures onggi.family=number"]);
        Assert.Equal(0, _seen["onggi.cache.store.failures onggi.family=text"]);
        Assert.Equal(1, _seen["onggi.cache.invalidations onggi.family=text"]);
        Assert.Equal(1, _seen["onggi.cache.memory.entries"]);
        Assert.InRange(_seen["onggi.cache.memory.bytes"], 1, 1000);
        Assert.InRange(_seen["onggi.cache.load.duration onggi.family=text"], 0, 1);
    }

    [Fact]
    public async Task Statistics_are_the_same_numbers()
    {
        for (var i = 0; i < 3; i++)
            await _node.Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("value"));
        await _node.Cache.GetAsync(TestKeys.Number("a"));

        var text = _node.Cache.Statistics("text");
        var all = _node.Cache.Statistics();

        Assert.Equal((1L, 1L, 1L, 3L), (text.MemoryHits, text.RedisHits, text.Misses, text.Reads));
        Assert.Equal(2.0 / 3, text.HitRatio, 3);
        Assert.Equal((2L, 1L, 0.5), (all.Misses, all.Loads, all.HitRatio));
    }

    private static string NameOf(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var name = instrument.Name;
        foreach (var tag in tags)
            name += $" {tag.Key}={tag.Value}";
        return name;
    }
}
