using System.Text;
using Onggi.Caching;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

public sealed class MemoryTierTests : IDisposable
{
    private readonly ManualTimeProvider _time = new();
    private readonly CacheOptions _options = new();
    private readonly Keyspace _keys = Keyspace.Load(TestKeys.CatalogJson);
    private readonly CacheFamilies _families;
    private MemoryTier? _made;

    public MemoryTierTests() => _families = new CacheFamilies(_keys, _time);

    private MemoryTier Memory => _made ??= new MemoryTier(_options, _time);

    public void Dispose() => _made?.Dispose();

    [Fact]
    public void An_entry_is_found_until_one_second_after_the_question()
    {
        var ticket = Memory.Ask("test:text:a");
        _time.Advance(TimeSpan.FromMilliseconds(400));
        Memory.Keep(ticket, Entry("a"), "value", Json("value"));

        _time.Advance(TimeSpan.FromMilliseconds(599));
        Assert.NotNull(Memory.Find(TestKeys.Text("a").Entry));

        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null(Memory.Find(TestKeys.Text("a").Entry));
    }

    [Fact]
    public void What_has_expired_is_let_go_although_nobody_asks()
    {
        Keep("a", "value");
        Assert.Equal(1, Memory.Count);

        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(0, Memory.Count);
        Assert.Equal(0, Memory.Bytes);
        Assert.Equal(0, _time.WaitingTimers);
    }

    [Fact]
    public void There_are_never_more_entries_than_allowed_and_the_oldest_go()
    {
        _options.MemoryMaxEntries = 3;

        foreach (var id in new[] { "a", "b", "c", "d" })
            Keep(id, id);

        Assert.Equal(3, Memory.Count);
        Assert.Null(Memory.Find(TestKeys.Text("a").Entry));
        Assert.NotNull(Memory.Find(TestKeys.Text("d").Entry));
    }

    [Fact]
    public void There_are_never_more_bytes_than_allowed()
    {
        _options.MemoryMaxBytes = 100_000;
        for (var i = 0; i < 1000; i++)
        {
            Keep(i.ToString(), new string('x', 500 + i));
            Assert.InRange(Memory.Bytes, 1, _options.MemoryMaxBytes);
        }

        Assert.InRange(Memory.Count, 10, 100);
    }

    [Fact]
    public void A_value_over_the_ceiling_is_not_kept()
    {
        _options.MemoryMaxValueBytes = 100;

        Keep("a", new string('x', 99));

        Assert.Equal(0, Memory.Count);
    }

    [Fact]
    public void Nothing_is_kept_when_memory_is_off()
    {
        _options.Memory = false;

        Keep("a", "value");

        Assert.Equal(0, Memory.Count);
    }

    [Fact]
    public void A_drop_forgets_the_key_and_what_it_took()
    {
        Keep("a", "value");
        Keep("b", "value");
        var one = Memory.Bytes / 2;

        Memory.Drop("test:text:a");

        Assert.Null(Memory.Find(TestKeys.Text("a").Entry));
        Assert.NotNull(Memory.Find(TestKeys.Text("b").Entry));
        Assert.Equal(one, Memory.Bytes);
    }

    [Fact]
    public void An_answer_to_a_question_from_before_a_drop_is_not_kept()
    {
        var ticket = Memory.Ask("test:text:a");
        Memory.Drop("test:text:a");

        Memory.Keep(ticket, Entry("a"), "old", Json("old"));

        Assert.Null(Memory.Find(TestKeys.Text("a").Entry));
    }

    [Fact]
    public void Clearing_forgets_everything_and_what_is_on_its_way()
    {
        Keep("a", "value");
        var ticket = Memory.Ask("test:text:b");

        Memory.Clear();
        Memory.Keep(ticket, Entry("b"), "old", Json("old"));

        Assert.Equal(0, Memory.Count);
        Assert.Equal(0, Memory.Bytes);
        Assert.Null(Memory.Find(TestKeys.Text("a").Entry));
        Keep("a", "new");
        Assert.Equal("new", Memory.Find(TestKeys.Text("a").Entry)?.Value);
    }

    [Fact]
    public void A_newer_answer_takes_the_place_of_the_older()
    {
        Keep("a", "old");
        Keep("a", "new");

        Assert.Equal(1, Memory.Count);
        Assert.Equal("new", Memory.Find(TestKeys.Text("a").Entry)?.Value);
    }

    [Fact]
    public void Readers_and_writers_at_once_leave_the_sums_right()
    {
        _options.MemoryMaxEntries = 50;
        Parallel.For(
            0,
            8,
            worker =>
            {
                var random = new Random(worker);
                for (var i = 0; i < 5000; i++)
                {
                    var id = random.Next(100).ToString();
                    switch (random.Next(20))
                    {
                        case 0:
                            Memory.Drop("test:text:" + id);
                            break;
                        case 1 when random.Next(20) == 0:
                            Memory.Clear();
                            break;
                        case < 8:
                            Keep(id, id);
                            break;
                        default:
                            if (Memory.Find(TestKeys.Text(id).Entry) is { } entry)
                                Assert.Equal(id, entry.Value);
                            break;
                    }
                }
            }
        );

        Assert.InRange(Memory.Count, 0, 50);
        for (var i = 0; i < 100; i++)
            Memory.Drop("test:text:" + i);
        Assert.Equal(0, Memory.Count);
        Assert.Equal(0, Memory.Bytes);
    }

    private void Keep(string id, string value)
    {
        var entry = Entry(id);
        Memory.Keep(Memory.Ask(entry.WireName), entry, value, Json(value));
    }

    private CacheEntry<string> Entry(string id)
    {
        var key = TestKeys.Text(id);
        return new(key, _keys.WireName(key.Entry), _families.Of(key.Family), new CacheCodec<string>(CacheTestJson.Default.String, true));
    }

    private static byte[] Json(string text) => Encoding.UTF8.GetBytes($"\"{text}\"");
}
