using System.Globalization;
using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Migration;

namespace Onggi.Testing;

/// <summary>Writers who use keys while they are moved, each its own, and write down what was answered: afterwards every answered write must be there, and nothing else.</summary>
/// <param name="old">Makes a connection to the old side, as a writer.</param>
/// <param name="new">The same to the new side.</param>
/// <param name="options">The migration as the service knows it.</param>
/// <param name="writers">How many.</param>
/// <param name="seed">Where their choices begin.</param>
/// <param name="keysEach">How many keys each has.</param>
/// <param name="perSecond">How many writes a second each does at the most; 0 for as many as it can.</param>
public sealed class MigrationLedger(
    Func<Task<RedisClient>> old,
    Func<Task<RedisClient>> @new,
    OnggiMigrationOptions options,
    int writers,
    int seed,
    int keysEach = 200,
    int perSecond = 0
) : IAsyncDisposable
{
    private const string Prefix = "w";

    private readonly CancellationTokenSource _stop = new();
    private readonly List<Writer> _writers = [];
    private readonly List<Task> _running = [];

    /// <summary>How many writes were answered.</summary>
    public long Acknowledged => _writers.Sum(writer => Volatile.Read(ref writer.Acknowledged));

    /// <summary>The longest that a writer waited for an answer.</summary>
    public TimeSpan LongestWait => _writers.Max(writer => writer.LongestWait);

    /// <summary>Makes the connections and begins to write.</summary>
    public async Task StartAsync()
    {
        for (var i = 0; i < writers; i++)
        {
            var (one, other) = (await old(), await @new());
            var shim = await OnggiMigration.StartAsync(one, other, options);
            _writers.Add(
                new Writer(
                    $"{Prefix}{i.ToString(CultureInfo.InvariantCulture)}:",
                    one,
                    other,
                    shim,
                    new Random(seed + i),
                    keysEach,
                    perSecond
                )
            );
        }

        _running.AddRange(_writers.Select(writer => Task.Run(() => writer.RunAsync(_stop.Token))));
    }

    /// <summary>Waits until so many writes have been answered from now on.</summary>
    public async Task WhenWrittenAsync(long more)
    {
        var bound = DateTime.UtcNow + TimeSpan.FromSeconds(60);
        for (var from = Acknowledged; Acknowledged < from + more; )
        {
            if (_running.Exists(task => task.IsFaulted))
                await Task.WhenAll(_running);
            if (DateTime.UtcNow > bound)
                throw new TimeoutException($"The writers stand still at {Acknowledged} writes.");
            await Task.Delay(2);
        }
    }

    /// <summary>Ends the writing. Whatever a writer could not do is thrown.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
    }

    /// <summary>Compares what was written down with what there is.</summary>
    /// <param name="client">The side that is to have it all.</param>
    /// <param name="prefix">What the keys begin with there.</param>
    /// <returns>A line for each key that is not as it should be.</returns>
    public async Task<List<string>> DifferencesAsync(RedisClient client, string prefix)
    {
        var found = new List<string>();
        foreach (var (name, entry) in _writers.SelectMany(writer => writer.Entries))
        {
            var key = prefix + name;
            var there = await ReadAsync(client, key);
            var ends = await client.SendAsync(["PEXPIRETIME", key], ReplyParsers.Int64);
            if (there != entry.Text)
                found.Add($"{key}: written {entry.Text}, found {there}");
            else if (there.Length > 0 && ends != entry.Ends)
                found.Add($"{key}: is to end at {entry.Ends}, ends at {ends}");
        }

        return found;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_stop.IsCancellationRequested)
            await _stop.CancelAsync();
        foreach (var task in _running)
            await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var writer in _writers)
            await writer.DisposeAsync();
        _stop.Dispose();
    }

    private static async Task<string> ReadAsync(RedisClient client, string key)
    {
        var type = await client.SendAsync(["TYPE", key], ReplyParsers.Text);
        RedisArg[] question = type switch
        {
            "string" => ["GET", key],
            "list" => ["LRANGE", key, 0, -1],
            "set" => ["SMEMBERS", key],
            "hash" => ["HGETALL", key],
            _ => [],
        };
        if (question.Length == 0)
            return "";
        var reply = await client.SendAsync(question, ReplyParsers.Reply, CommandOptions.Bulk);
        return type switch
        {
            "string" => reply.Text!,
            "list" => string.Join(',', reply.Items.Select(item => item.Text)),
            "set" => string.Join(',', reply.Items.Select(item => item.Text!).Order(StringComparer.Ordinal)),
            _ => string.Join(',', Pairs(reply).Order(StringComparer.Ordinal)),
        };
    }

    private static IEnumerable<string> Pairs(Reply hash)
    {
        for (var i = 0; i + 1 < hash.Items.Count; i += 2)
            yield return $"{hash.Items[i].Text}={hash.Items[i + 1].Text}";
    }

    /// <summary>What a key is to be: the elements in their order, and its end.</summary>
    private sealed class Entry(char kind)
    {
        private readonly SortedDictionary<string, string> _fields = new(StringComparer.Ordinal);
        private readonly List<string> _items = [];
        private string _text = "";

        public char Kind { get; } = kind;

        public long Ends { get; set; } = -1;

        public long Count { get; set; }

        public string Text =>
            Kind switch
            {
                'l' => string.Join(',', _items),
                's' => string.Join(',', _fields.Keys),
                'h' => string.Join(',', _fields.Select(pair => $"{pair.Key}={pair.Value}").Order(StringComparer.Ordinal)),
                _ => _text,
            };

        public void Set(string text) => _text = text;

        public void Push(string item) => _items.Add(item);

        public void Put(string field, string value) => _fields[field] = value;

        public void Clear()
        {
            _items.Clear();
            _fields.Clear();
            (_text, Ends, Count) = ("", -1, 0);
        }
    }

    private sealed class Writer(
        string prefix,
        RedisClient old,
        RedisClient @new,
        OnggiMigration shim,
        Random random,
        int keys,
        int perSecond
    ) : IAsyncDisposable
    {
        private const string Kinds = "tclhs";
        private readonly Entry[] _entries = [.. Enumerable.Range(0, keys).Select(key => new Entry(Kinds[key % Kinds.Length]))];
        private long _number;

        public long Acknowledged;

        public TimeSpan LongestWait { get; private set; }

        public IEnumerable<(string Name, Entry Entry)> Entries => _entries.Select((entry, key) => (NameOf(key), entry));

        public async Task RunAsync(CancellationToken stop)
        {
            var clock = TimeProvider.System;
            var began = clock.GetTimestamp();
            while (!stop.IsCancellationRequested)
            {
                var key = random.Next(keys);
                var asked = clock.GetTimestamp();
                await WriteAsync(NameOf(key), _entries[key]);
                var waited = clock.GetElapsedTime(asked);
                LongestWait = waited > LongestWait ? waited : LongestWait;
                Interlocked.Increment(ref Acknowledged);
                while (
                    perSecond > 0 && Acknowledged > clock.GetElapsedTime(began).TotalSeconds * perSecond && !stop.IsCancellationRequested
                )
                    await Task.Delay(1, CancellationToken.None);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await shim.DisposeAsync();
            await old.DisposeAsync();
            await @new.DisposeAsync();
        }

        private string NameOf(int key) => $"{prefix}{key.ToString(CultureInfo.InvariantCulture)}";

        // Not cancelled: a write whose answer nobody saw could be there or not.
        private async Task WriteAsync(string name, Entry entry)
        {
            var number = (++_number).ToString(CultureInfo.InvariantCulture);
            switch (random.Next(12))
            {
                case 0:
                    await SendAsync(side => ["DEL", side.Key(name)]);
                    entry.Clear();
                    return;
                case 1 when entry.Text.Length > 0:
                    var ends = DateTimeOffset.UtcNow.AddMinutes(10 + random.Next(100)).ToUnixTimeMilliseconds();
                    await SendAsync(side => ["PEXPIREAT", side.Key(name), ends]);
                    entry.Ends = ends;
                    return;
            }

            switch (entry.Kind)
            {
                case 't':
                    await SendAsync(side => ["SET", side.Key(name), number]);
                    entry.Set(number);
                    entry.Ends = -1;
                    break;
                case 'c':
                    await SendAsync(side => ["INCR", side.Key(name)]);
                    entry.Set((++entry.Count).ToString(CultureInfo.InvariantCulture));
                    break;
                case 'l':
                    await SendAsync(side => ["RPUSH", side.Key(name), number]);
                    entry.Push(number);
                    break;
                case 'h':
                    var field = random.Next(20).ToString(CultureInfo.InvariantCulture);
                    await SendAsync(side => ["HSET", side.Key(name), field, number]);
                    entry.Put(field, number);
                    break;
                default:
                    await SendAsync(side => ["SADD", side.Key(name), number]);
                    entry.Put(number, "");
                    break;
            }
        }

        private async Task SendAsync(Func<MigrationSide, RedisArg[]> command) =>
            await shim.WriteAsync((side, token) => side.Redis.SendAsync(command(side), ReplyParsers.Ignore, token));
    }
}
