using System.Globalization;
using System.Text;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.Testing;
using Onggi.Tests.Caching;

namespace Onggi.ServerTests.Caching;

/// <summary>One random sequence of what the cache asks and of what others do, on redis-server and on the fake one. Each answer and each key is compared.</summary>
/// <remarks>
/// <para>The fake server's clock is set to Redis's before each step. That time passes is played: on Redis by moving the end of each key, and what leases and the epoch
/// say of times, into the past; on the fake one by its clock.</para>
/// <para>All lives are multiples of ten seconds, and time passes in steps of 7.3 s: no limit is ever met so closely that the milliseconds between the two clocks decide.</para>
/// </remarks>
internal sealed class Twins
{
    private const int Step = 7_300;
    private const int Slack = 700;

    // Limits within a life are not among the sums of lives and steps, nor shortly behind one.
    private const int OffLattice = 2_900;
    private const int Keys = 3;

    private const string Look = """
        local all = {}
        for i, key in ipairs(KEYS) do
          local value = redis.pcall('GET', key)
          if type(value) == 'table' then value = '(other type)' end
          all[i] = { value, redis.call('PEXPIRETIME', key) }
        end
        return all
        """;

    private const string Pass = """
        local by = tonumber(ARGV[1])
        local function back(number) return string.format('%.0f', tonumber(number) - by) end
        for i, key in ipairs(KEYS) do
          local value = redis.pcall('GET', key)
          local ends = redis.call('PEXPIRETIME', key)
          if type(value) == 'string' then
            local head, stamp = string.match(value, '^(.*|)(%d+)$')
            local id, began, bound, tail = string.match(value, '^(%w+) (%d+) (%d+)(.*)$')
            if head then redis.call('SET', key, head .. back(stamp), 'KEEPTTL') end
            if id and #began > 10 then
              tail = string.gsub(tail, '^( %d+ )(%d+)$', function(ceiling, since) return ceiling .. back(since) end)
              redis.call('SET', key, id .. ' ' .. back(began) .. ' ' .. bound .. tail)
            end
          end
          if ends >= 0 then redis.call('PEXPIREAT', key, back(ends)) end
        end
        """;

    private static readonly string[] Names =
    [
        .. Enumerable.Range(0, Keys).SelectMany(static i => (string[])[Entry(i), LeaseName.Of(Entry(i))]),
        FakeServer.EpochName,
    ];

    private readonly RedisClient _redis;
    private readonly Random _random;
    private readonly ManualTimeProvider _time = new();
    private readonly FakeServer _server;
    private readonly FakeStore _fake;
    private readonly CacheStore _real;
    private readonly CacheFamily _family;
    private readonly List<string> _trace = [];
    private readonly Dictionary<string, int> _seen = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _lives = new(StringComparer.Ordinal);
    private long _passed;
    private long _now;
    private bool _isFull;
    private bool _isReplica;

    public Twins(RedisClient redis, CacheStore real, int seed)
    {
        (_redis, _real, _random) = (redis, real, new Random(seed));
        _server = new FakeServer(_time);
        _fake = new FakeStore(_server, _time);
        _family = new CacheFamilies(Keyspace.Load(CacheNode.CatalogJson, service: "shop"), new CacheOptions(), _time).Of("text");
    }

    public IReadOnlyList<string> Trace => _trace;

    /// <summary>How often each answer came.</summary>
    public IReadOnlyDictionary<string, int> Seen => _seen;

    public async Task RunAsync(int length)
    {
        for (var i = 0; i < length; i++)
        {
            await SynchronizeAsync();
            var drawn = _random.Next(100);
            if (drawn < 66)
                await AskBothAsync();
            else if (drawn < 82)
                await ForeignAsync();
            else if (drawn < 94)
                await PassAsync();
            else
                await TroubleAsync();
            await CompareKeysAsync();
        }
    }

    // ---- what the cache asks

    private async Task AskBothAsync()
    {
        switch (_random.Next(12))
        {
            case 0:
                long asked = Pick(300, 500, 2000);
                await BothAsync($"hello {asked}", store => HelloAsync(store, asked));
                break;
            case 1:
                await ReadAsync();
                break;
            case 2:
                var (left, lease) = (Some(), TimeSpan.FromSeconds(Pick(0, 20, 20)));
                var holder = Holder();
                await BothAsync(
                    $"renew {holder} {Text(left)} {lease}",
                    async store => string.Join(' ', await store.RenewAsync(holder, left, lease, connection: 0))
                );
                break;
            case 3:
                var put = Filled();
                await BothAsync($"put {Text(put)}", store => DoneAsync(store.PutAsync(put, CancellationToken.None)));
                break;
            case 4:
                var gone = Some();
                await BothAsync($"unlink {Text(gone)}", store => DoneAsync(store.RemoveAsync(gone, null, CancellationToken.None)));
                break;
            case 5 or 6 or 7:
                await FillAsync();
                break;
            default:
                await AskAsync();
                break;
        }
    }

    private Task FillAsync()
    {
        var (filled, token) = (Filled(), Holder());
        var isLarge = _random.Next(4) == 0;
        if (isLarge)
            filled = [.. filled.Select(static entry => entry with { IsLarge = true })];
        return BothAsync(
            $"fill {token} {Text(filled)}{(isLarge ? ", large" : "")}",
            async store => string.Join(' ', await store.FillAsync(token, filled, connection: 0))
        );
    }

    private async Task ReadAsync()
    {
        var (names, life, ago) = (Some(), 10_000L * _random.Next(1, 7), Ago());
        await BothAsync(
            $"read {Text(names)} of {life}, believed from {ago} ago",
            async store =>
            {
                var call = Call(store, names, life, ago);
                await store.ReadManyAsync(call, CancellationToken.None);
                return call.Told;
            }
        );
    }

    private async Task AskAsync()
    {
        var (names, life, ago) = (Some(), 10_000L * _random.Next(1, 7), Ago());
        var terms = new LeaseTerms(
            Token(),
            TimeSpan.FromSeconds(20),
            Life(),
            0,
            TimeSpan.FromSeconds(Pick(0, 10, 20)),
            TimeSpan.FromSeconds(20),
            TimeSpan.FromMilliseconds(ago is null ? Pick(0, 0, 20_000 - (2 * OffLattice), 40_000 - (2 * OffLattice)) : 0),
            Overwrite: _random.Next(6) == 0,
            Steal: _random.Next(10) == 0
        );
        await AskAsync(names, life, ago, terms);
        // Somebody else comes right behind.
        if (_random.Next(3) == 0)
            await AskAsync(names, life, ago, terms with { Token = Token(), Steal = false });
    }

    private Task AskAsync(string[] names, long life, long? ago, LeaseTerms terms) =>
        BothAsync(
            $"ask {Text(names)} of {life}, believed from {ago} ago, {terms}",
            async store =>
            {
                var call = Call(store, names, life, null);
                await store.AskAsync(call, terms with { Began = Began(store, ago) });
                return call.Told;
            }
        );

    private async Task<string> HelloAsync(ICacheStore store, long asked)
    {
        var call = new HelloCall(asked);
        await store.HelloAsync(call);
        var said = call.Said;
        return $"{IdOf(store, said.Id)} {Relative(store, said.BeganMs)} {said.Role} {said.BoundMs} {said.WasEmpty} {said.CeilingMs} {NormalEpoch(store, said.Text)}";
    }

    // ---- what others do

    private async Task ForeignAsync()
    {
        var name = Entry(_random.Next(Keys));
        var lease = LeaseName.Of(name);
        var life = 10_000 * _random.Next(1, 7);
        var value = Value();
        switch (_random.Next(9))
        {
            case 0:
                await OthersAsync(() => _server[name] = value, "SET", name, value);
                break;
            case 1 or 2:
                await OthersAsync(() => _server.Set(name, value, TimeSpan.FromMilliseconds(life)), "SET", name, value, "PX", $"{life}");
                break;
            case 3:
                await OthersAsync(() => _server.Remove(name), "DEL", name);
                break;
            case 4:
                await OthersAsync(() => _server.Remove(name, lease), "UNLINK", name, lease);
                break;
            case 5:
                await OthersAsync(() => _server.Set(lease, "!h", TimeSpan.FromMilliseconds(life)), "SET", lease, "!h", "PX", $"{life}");
                break;
            case 6:
                await OthersAsync(() => _server.Remove(name), "DEL", name);
                await OthersAsync(() => _server.SetOtherType(name), "HSET", name, "f", "v");
                break;
            case 7:
                long ceiling = Pick(0, 200, 1000);
                var bound = await FleetBound.SetAsync(_redis, FakeServer.EpochName, ceiling, 0, CancellationToken.None);
                Equal($"bound {ceiling}", Text(bound, isReal: true), Text(_server.SetBound(ceiling, 0), isReal: false));
                break;
            default:
                string[] odd = ["x", "id 1 2 3", "id 1 2 tail", "id 5"];
                var epoch = odd[_random.Next(odd.Length)];
                await OthersAsync(() => _server[FakeServer.EpochName] = epoch, "SET", FakeServer.EpochName, epoch);
                break;
        }
    }

    private string Text(FleetBound? bound, bool isReal) =>
        bound is null
            ? "none"
            : $"{bound.BoundMs} {bound.CeilingMs} {(bound.SinceMs == 0 ? "never" : About(bound.SinceMs - (isReal ? _now : _now + _passed)))}";

    private async Task PassAsync()
    {
        _trace.Add("time passes");
        await EvalAsync(Pass, $"{Step}");
        _passed += Step;
        await SynchronizeAsync();
    }

    private async Task TroubleAsync()
    {
        switch (_random.Next(3))
        {
            case 0:
                await OthersAsync(_server.FlushAll, "FLUSHALL");
                break;
            case 1:
                await SetFullAsync(true);
                for (var left = 3; left > 0; left--)
                    await FillAsync();
                for (var left = _random.Next(1, 6); left > 0; left--)
                    await AskBothAsync();
                await SetFullAsync(false);
                break;
            default:
                await SetReplicaAsync(true);
                for (var left = _random.Next(1, 6); left > 0; left--)
                    await AskBothAsync();
                await SetReplicaAsync(false);
                break;
        }
    }

    private async Task SetFullAsync(bool full)
    {
        _isFull = full;
        await OthersAsync(() => _server.IsFull = _isFull, "CONFIG", "SET", "maxmemory", full ? "1" : "0");
    }

    // Of nobody who answers: it keeps what it has.
    private async Task SetReplicaAsync(bool replica)
    {
        _isReplica = replica;
        if (replica)
            await OthersAsync(() => _server.IsReplica = _isReplica, "REPLICAOF", "127.0.0.1", "1");
        else
            await OthersAsync(_server.Promote, "REPLICAOF", "NO", "ONE");
    }

    private async Task OthersAsync(Action fake, params string[] command)
    {
        _trace.Add(string.Join(' ', command));
        await _redis.SendAsync([.. command.Select(static word => (RedisArg)word)], ReplyParsers.Ignore).Within();
        fake();
    }

    // ---- comparing

    private async Task BothAsync(string what, Func<ICacheStore, Task<string>> ask)
    {
        await SynchronizeAsync();
        var (real, fake) = (await OutcomeAsync(_real, ask), await OutcomeAsync(_fake, ask));
        _trace.Add($"{what}: {real}");
        foreach (var word in real.Split(' ').Where(static word => char.IsAsciiLetterUpper(word[0])))
            _seen[word] = _seen.GetValueOrDefault(word) + 1;
        Equal(what, real, fake);
    }

    private static async Task<string> OutcomeAsync(ICacheStore store, Func<ICacheStore, Task<string>> ask)
    {
        try
        {
            return await ask(store).Within();
        }
        catch (RedisServerException refused)
        {
            return refused.Code;
        }
    }

    private static async Task<string> DoneAsync(ValueTask call)
    {
        await call;
        return "done";
    }

    private async Task CompareKeysAsync()
    {
        var all = (await EvalAsync(Look)).Items;
        for (var i = 0; i < Names.Length; i++)
        {
            var ends = long.Parse(all[i].Items[1].Text!, CultureInfo.InvariantCulture);
            var real = $"{Normal(_real, Names[i], all[i].Items[0].Text)} {(ends < 0 ? ends : About(ends - _now))}";
            var (value, left) = (_server[Names[i]], _server.TimeLeft(Names[i]));
            var fake = $"{Normal(_fake, Names[i], value ?? (left == -2 ? null : "(other type)"))} {(left < 0 ? left : About(left))}";
            Equal(Names[i], real, fake);
        }
    }

    private Task<Reply> EvalAsync(string script, params string[] args)
    {
        RedisArg[] command =
        [
            "EVAL",
            script,
            Names.Length,
            .. Names.Select(static name => (RedisArg)name),
            .. args.Select(static arg => (RedisArg)arg),
        ];
        return _redis.SendAsync(command, ReplyParsers.Reply).Within();
    }

    // Times are equal within what lies between the two clocks.
    private static void Equal(string what, string real, string fake)
    {
        var (left, right) = (real.Split(' '), fake.Split(' '));
        var isEqual = left.Length == right.Length;
        for (var i = 0; isEqual && i < left.Length; i++)
        {
            isEqual =
                left[i] is ['~', .. var one] && right[i] is ['~', .. var other]
                    ? Math.Abs(long.Parse(one, CultureInfo.InvariantCulture) - long.Parse(other, CultureInfo.InvariantCulture)) <= Slack
                    : left[i] == right[i];
        }

        if (!isEqual)
            throw new InvalidOperationException($"{what}: Redis has\n  {real}\nand the fake one\n  {fake}");
    }

    private string Normal(ICacheStore store, string name, string? value)
    {
        if (value is null)
            return "none";
        if (name == FakeServer.EpochName)
            return NormalEpoch(store, value);
        var bar = value.LastIndexOf('|');
        return bar > 0 && long.TryParse(value.AsSpan(bar + 1), CultureInfo.InvariantCulture, out var stamp) && stamp > 0
            ? $"{value[..bar]}| {Relative(store, stamp)}"
            : value;
    }

    private string NormalEpoch(ICacheStore store, string text)
    {
        var words = text.Split(' ');
        if (words.Length is not (3 or 5) || words[1].Length < 10)
            return text;
        words[0] = IdOf(store, words[0]);
        foreach (var i in (int[])[1, 4])
        {
            if (i < words.Length)
                words[i] = Relative(store, long.Parse(words[i], CultureInfo.InvariantCulture));
        }

        return string.Join(' ', words);
    }

    // The two have other names for a life: the one that comes for the first time is the other's that does.
    private string IdOf(ICacheStore store, string id)
    {
        var own = (store == _real ? "real " : "fake ") + id;
        if (!_lives.TryGetValue(own, out var known))
            _lives[own] = known = $"life{_lives.Keys.Count(key => key.StartsWith(own[..5], StringComparison.Ordinal))}";
        return known;
    }

    private string Relative(ICacheStore store, long at) => at == 0 ? "0" : About(at - NowOf(store));

    private static string About(long milliseconds) => string.Create(CultureInfo.InvariantCulture, $"~{milliseconds}");

    private long NowOf(ICacheStore store) => store == _real ? _now : _now + _passed;

    private async Task SynchronizeAsync()
    {
        var time = await _redis.SendAsync(["TIME"], ReplyParsers.TextArray).Within();
        _now = (long.Parse(time[0]!, CultureInfo.InvariantCulture) * 1000) + (long.Parse(time[1]!, CultureInfo.InvariantCulture) / 1000);
        _server.SkewMs = _now + _passed - _time.GetUtcNow().ToUnixTimeMilliseconds();
    }

    // ---- what is drawn

    private static string Entry(int i) => string.Create(CultureInfo.InvariantCulture, $"test:text:{i}");

    private static string Text(string[] names) => string.Join(',', names.Select(static name => name[^1]));

    private static string Text(FilledEntry[] entries) =>
        string.Join(
            ',',
            entries.Select(static entry => $"{entry.WireName[^1]}={Encoding.UTF8.GetString(entry.Json.Span)} for {entry.LifeMs}")
        );

    private T Pick<T>(params T[] all) => all[_random.Next(all.Length)];

    // One or several, each at most once.
    private string[] Some()
    {
        var all = Enumerable.Range(0, Keys).Select(Entry).ToArray();
        _random.Shuffle(all);
        return all[.._random.Next(1, Keys + 1)];
    }

    private string Token() => Pick("t1", "t2");

    private string Life() => Pick("e1", "e1", "e2", "-");

    // Mostly of somebody who has a lease.
    private string Holder()
    {
        var lease = _server[LeaseName.Of(Entry(_random.Next(Keys)))];
        return lease?.LastIndexOf('|') is > 0 and var bar && _random.Next(4) > 0 ? lease[..bar] : $"{Token()}@{Life()}";
    }

    private string Value() => Pick("null", "1", "2", "3");

    private long? Ago() => _random.Next(3) == 0 ? (10_000 * _random.Next(0, 6)) + OffLattice : null;

    private FilledEntry[] Filled() =>
        [.. Some().Select(name => new FilledEntry(name, Encoding.UTF8.GetBytes(Value()), 10_000 * _random.Next(1, 7)))];

    private long Began(ICacheStore store, long? ago) => ago is { } given ? NowOf(store) - given : 0;

    private AskCall Call(ICacheStore store, string[] names, long life, long? ago) =>
        new([
            .. names.Select(name => new EntryAsk(CacheNode.Text(name[^1..]).Entry, name, _family, life)
            {
                BelievedFrom = Began(store, ago),
            }),
        ]);

    private sealed class AskCall(EntryAsk[] asks) : EntryCall(null, asks, 1 << 20)
    {
        private readonly Asked[] _answers = new Asked[asks.Length];

        public string Told =>
            string.Join(
                ' ',
                _answers.Select(static answer =>
                    $"{answer.Code} {(answer.Json is { } json ? Encoding.UTF8.GetString(json) : "-")} {(answer.Left < 0 ? $"{answer.Left}" : About(answer.Left))} {answer.Holder ?? "-"}"
                )
            );

        public override void Take(int index, in Asked answer) => _answers[index] = answer;

        public override void TakeValue(byte[]? json, bool isOversized) => throw new NotSupportedException();

        public override void TakeLife(long leftMs) => throw new NotSupportedException();
    }

    private sealed class HelloCall(long asked) : EpochCall(asked)
    {
        public Greeting Said { get; private set; }

        public override void Take(in Greeting greeting) => Said = greeting;

        public override void Take(ReadOnlySpan<byte> epoch) => throw new NotSupportedException();
    }
}
