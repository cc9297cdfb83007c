using System.Globalization;
using Onggi.Client;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>Callers who work while a cluster is in trouble. Each is the only one who writes its keys, and knows what it has been told.</summary>
/// <param name="redis">The client that they share.</param>
/// <param name="tags">The hash tags of their keys: who has which slot.</param>
internal sealed class ClusterCallers(RedisClient redis, IReadOnlyList<string> tags)
{
    private const int KeysEach = 4;
    private static readonly RedisScript PutAndGet = new(
        "put-and-get",
        "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[2])"
    );

    private readonly string _run = $"{Guid.NewGuid():N}"[..6];
    private readonly List<Task> _running = [];
    private long _calls;
    private volatile bool _end;

    /// <summary>Whether servers die: what they had acknowledged can then be lost, since Redis replicates later; and a script may have been executed or not.</summary>
    public bool ServersDie { get; init; }

    /// <summary>How many calls have been answered.</summary>
    public long Calls => Interlocked.Read(ref _calls);

    /// <summary>Scripts whose fate is not known.</summary>
    public int NotKnown;

    /// <summary>Starts them: so many who await, and so many who block.</summary>
    public void Start(int seed, int awaiting = 60, int blocking = 4)
    {
        for (var i = 0; i < awaiting + blocking; i++)
        {
            var caller = new Caller(this, i, new Random(seed + i));
            _running.Add(
                i < awaiting
                    ? Task.Run(caller.RunAsync)
                    : Task.Factory.StartNew(caller.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
            );
        }
    }

    /// <summary>Waits until so many calls more have been answered.</summary>
    public async Task MoreAsync(int calls)
    {
        var until = Calls + calls;
        using var patience = new CancellationTokenSource(Waiting.Bound);
        while (Calls < until)
        {
            if (_running.Find(static task => task.IsFaulted) is { } failed)
                await failed;
            await Task.Delay(2, patience.Token);
        }
    }

    /// <summary>Ends them; throws what one of them saw that must not be.</summary>
    public async Task EndAsync()
    {
        _end = true;
        await Task.WhenAll(_running).Within();
    }

    private sealed class Caller(ClusterCallers all, int number, Random random)
    {
        private readonly string[] _keys =
        [
            .. Enumerable.Range(0, KeysEach).Select(i => $"{{{all.Tag(number + (i / 2))}}}:{all._run}:{number}:{i}"),
        ];
        private readonly long[] _acknowledged = new long[KeysEach];
        private long _last;

        public async Task RunAsync()
        {
            while (!all._end)
            {
                var key = random.Next(KeysEach);
                switch (random.Next(4))
                {
                    case 0:
                        var value = ++_last;
                        await all.Redis.SendAsync(["SET", _keys[key], Text(key, value)], ReplyParsers.Boolean, CommandOptions.Idempotent);
                        _acknowledged[key] = value;
                        break;
                    case 1:
                        Check(key, await all.Redis.GetStringAsync(_keys[key]));
                        break;
                    case 2:
                        RedisArg[] mget = ["MGET", .. _keys];
                        var found = await all.Redis.SendAsync(mget, ReplyParsers.TextArray);
                        for (var i = 0; i < KeysEach; i++)
                            Check(i, found[i]);
                        break;
                    default:
                        await RunScriptAsync(key);
                        break;
                }

                Interlocked.Increment(ref all._calls);
            }
        }

        public void Run()
        {
            while (!all._end)
            {
                var key = random.Next(KeysEach);
                switch (random.Next(3))
                {
                    case 0:
                        var value = ++_last;
                        all.Redis.Send(["SET", _keys[key], Text(key, value)], ReplyParsers.Boolean, CommandOptions.Idempotent);
                        _acknowledged[key] = value;
                        break;
                    case 1:
                        Check(key, all.Redis.Send(["GET", _keys[key]], ReplyParsers.Text));
                        break;
                    default:
                        RedisArg[] mget = ["MGET", .. _keys];
                        var found = all.Redis.Send(mget, ReplyParsers.TextArray);
                        for (var i = 0; i < KeysEach; i++)
                            Check(i, found[i]);
                        break;
                }

                Interlocked.Increment(ref all._calls);
            }
        }

        // Two keys of one slot: while the slot is on its way they can be apart.
        private async Task RunScriptAsync(int key)
        {
            var other = key ^ 1;
            var value = ++_last;
            try
            {
                var read = await all.Redis.EvalAsync(PutAndGet, [_keys[key], _keys[other]], [Text(key, value)], ReplyParsers.Text);
                Check(other, read);
                _acknowledged[key] = value;
            }
            catch (RedisException error) when (all.ServersDie && error.Sent == Sent.Maybe)
            {
                // A script is not asked twice. What stands there now is for the next write to say.
                Interlocked.Increment(ref all.NotKnown);
                value = ++_last;
                await all.Redis.SendAsync(["SET", _keys[key], Text(key, value)], ReplyParsers.Boolean, CommandOptions.Idempotent);
                _acknowledged[key] = value;
            }
        }

        private string Text(int key, long value) => string.Create(CultureInfo.InvariantCulture, $"{_keys[key]}={value}");

        private void Check(int key, string? found)
        {
            if (found == (_acknowledged[key] == 0 ? null : Text(key, _acknowledged[key])))
                return;
            var older =
                found is null || (found.StartsWith($"{_keys[key]}=", StringComparison.Ordinal) && Number(found) < _acknowledged[key]);
            if (!all.ServersDie || !older)
                Assert.Fail($"Of {_keys[key]} {_acknowledged[key]} was acknowledged, and '{found}' was read.");
        }

        private static long Number(string found) => long.Parse(found.AsSpan(found.LastIndexOf('=') + 1), CultureInfo.InvariantCulture);
    }

    private RedisClient Redis => redis;

    private string Tag(int i) => tags[i % tags.Count];
}
