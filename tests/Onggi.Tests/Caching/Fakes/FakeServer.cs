using System.Globalization;
using System.Text;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

/// <summary>A Redis as the cache sees it: values, leases, times to live, and the tracking of reads in its default mode. Each script has its twin here.</summary>
/// <remarks>
/// A push goes into the stream of each connection that has read the key, at the moment of the change; to the connection that makes the change it goes right
/// behind the reply. Keys are remembered when a script reads them, as from 7.2 on.
/// </remarks>
internal sealed class FakeServer(ManualTimeProvider time)
{
    public const string EpochName = "test:onggi:epoch";

    private readonly Dictionary<string, HashSet<FakeConnection>> _watched = new(StringComparer.Ordinal);
    private readonly List<string> _ownPushes = [];
    private Dictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private FakeConnection? _executing;
    private bool _watches;
    private bool _hasWritten;
    private int _lives = 1;

    private sealed class Slot
    {
        public byte[]? Json { get; init; }

        /// <summary>Milliseconds of the server's clock; -1 without end.</summary>
        public long Expires { get; set; } = -1;

        public Slot Copy() => new() { Json = Json, Expires = Expires };
    }

    /// <summary>Guards all of it, and the streams of its connections.</summary>
    public Lock Gate { get; } = new();

    public List<FakeStore> Nodes { get; } = [];

    /// <summary>Which life of which server it is.</summary>
    public string RunId { get; private set; } = "run1";

    /// <summary>Out of memory: nothing that takes room is executed.</summary>
    public bool IsFull { get; set; }

    public bool IsReplica { get; set; }

    /// <summary>The error that a greeting gets.</summary>
    public string? RefusesHello { get; set; }

    /// <summary>By how much its clock is ahead of the test's.</summary>
    public long SkewMs { get; set; }

    public TimeSpan LastTimeToLive { get; private set; }

    /// <summary>Told of each value that is stored, by whatever way.</summary>
    public Action<string, string>? Stored { get; set; }

    /// <summary>What stands under the name; setting it is another program's SET or DEL.</summary>
    public string? this[string name]
    {
        get
        {
            lock (Gate)
                return Text(Peek(name)?.Json);
        }
        set => Foreign(() => Set(name, value is null ? null : Encoding.UTF8.GetBytes(value), -1));
    }

    private long NowMs => time.GetUtcNow().ToUnixTimeMilliseconds() + SkewMs;

    /// <summary>Another program's SET with a time to live.</summary>
    public void Set(string name, string json, TimeSpan life) =>
        Foreign(() => Set(name, Encoding.UTF8.GetBytes(json), NowMs + (long)life.TotalMilliseconds));

    /// <summary>Another program writes a key of another type.</summary>
    public void SetOtherType(string name) => Foreign(() => Set(name, new Slot()));

    /// <summary>Another program's UNLINK.</summary>
    public void Remove(params string[] names) =>
        Foreign(() =>
        {
            foreach (var name in names)
                Delete(name);
        });

    /// <summary>The names that begin as the pattern does, before its star.</summary>
    public IReadOnlyList<string> Scan(string pattern)
    {
        lock (Gate)
            return [.. _slots.Keys.Where(name => name.StartsWith(pattern[..^1], StringComparison.Ordinal))];
    }

    /// <summary>Milliseconds to the end; -1 without, -2 absent.</summary>
    public long TimeLeft(string name)
    {
        lock (Gate)
            return Left(name);
    }

    /// <summary>Redis makes room, or looks after what has expired.</summary>
    public void Evict(string name) => Foreign(() => Delete(name));

    public void FlushAll() =>
        Foreign(() =>
        {
            _slots.Clear();
            _watched.Clear();
            foreach (var node in Nodes)
                node.PushAll();
        });

    /// <summary>Another database takes the place of this one. Nobody is told.</summary>
    public void SwapDatabase(Dictionary<string, string>? other = null)
    {
        lock (Gate)
        {
            _slots = new(StringComparer.Ordinal);
            foreach (var (name, json) in other ?? [])
                _slots[name] = new Slot { Json = Encoding.UTF8.GetBytes(json) };
        }
    }

    /// <summary>What a replica has received by now.</summary>
    public object Snapshot()
    {
        lock (Gate)
            return _slots.ToDictionary(static one => one.Key, static one => one.Value.Copy(), StringComparer.Ordinal);
    }

    /// <summary>A replica becomes the primary, and keeps its connections.</summary>
    public void Promote()
    {
        lock (Gate)
            (RunId, IsReplica) = ("run" + (++_lives).ToString(CultureInfo.InvariantCulture), false);
    }

    /// <summary>A replica takes over with what it has received, or the server comes back empty. All connections end; the nodes connect when the test says so.</summary>
    public void BeginNewLife(object? snapshot)
    {
        foreach (var node in Nodes)
            node.Break();
        lock (Gate)
        {
            RunId = "run" + (++_lives).ToString(CultureInfo.InvariantCulture);
            _slots = (Dictionary<string, Slot>?)snapshot ?? new(StringComparer.Ordinal);
            _watched.Clear();
        }
    }

    /// <summary>Executes a request of a connection. Under the gate.</summary>
    public void Execute(FakeConnection connection, FakeRequest request)
    {
        (_executing, _watches, _hasWritten) = (connection, request.IsTracked && connection.IsTracked, false);
        Action? reply = null;
        Exception? error = null;
        try
        {
            reply = request.Execute(this);
        }
        catch (RedisServerException refused)
        {
            error = refused;
        }

        connection.Inbox.Enqueue(new FakeFrame(request, reply, error, null));
        foreach (var name in _ownPushes)
            connection.Inbox.Enqueue(FakeFrame.Push(name));
        _ownPushes.Clear();
        (_executing, _watches) = (null, false);
    }

    /// <summary>The connection has ended as the server sees it. Under the gate.</summary>
    public void Forget(FakeConnection connection)
    {
        foreach (var watchers in _watched.Values)
            watchers.Remove(connection);
    }

    // ---- commands and scripts, under the gate

    public byte[]? Get(string name)
    {
        var item = Read(name);
        return item is { Json: null } ? throw WrongType() : item?.Json;
    }

    public long Pttl(string name) => Left(name);

    /// <summary>The twin of read.lua, for one entry.</summary>
    public (byte[]? Json, long Left) ReadOne(EntryAsk ask)
    {
        if (Read(ask.WireName) is not { } slot)
            return (null, -2);
        if (slot.Json is not { } json)
            return (null, -3);
        var left = Left(ask.WireName);
        var life = Text(json) == "null" ? (long)ask.Family.Settings.NegativeTtl.TotalMilliseconds : ask.LifeMs;
        var isBelieved = ask.BelievedFrom == 0 || (left >= 0 && left <= life && NowMs - (life - left) >= ask.BelievedFrom);
        return isBelieved ? (json, left) : (null, -2);
    }

    /// <summary>The twin of hello.lua.</summary>
    public Greeting Hello(long asked)
    {
        if (RefusesHello is { } refusal)
            throw new RedisServerException(refusal);
        // A script that may write is refused before it begins.
        if (IsReplica)
            throw ReadOnly();
        var text = Text(Peek(EpochName)?.Json);
        var known = FakeEpoch.Parse(text);
        var bound = Math.Max(known.Bound, known.Ceiling > 0 ? Math.Min(asked, known.Ceiling) : asked);
        if (known.Id != RunId)
            known = known with { Id = RunId, Began = NowMs };
        known = known with { Bound = bound };
        // Redis takes it also when it is full.
        _hasWritten = true;
        if (known.ToString() != text)
            Set(EpochName, Encoding.UTF8.GetBytes(known.ToString()), -1);
        return new Greeting(RunId, known.Began, "master", bound, text is null, known.Ceiling, known.ToString());
    }

    /// <summary>The twin of bound.lua.</summary>
    public FleetBound? SetBound(long ceiling, long since)
    {
        lock (Gate)
        {
            var known = FakeEpoch.Parse(Text(Peek(EpochName)?.Json));
            if (known.Id == "")
                return null;
            if (since != 0)
                known = known.Ceiling == ceiling && known.Since == since ? known with { Bound = Math.Min(known.Bound, ceiling) } : known;
            else if (ceiling == 0)
                known = known with { Ceiling = 0, Since = 0 };
            else if (known.Ceiling != ceiling)
                known = known with { Ceiling = ceiling, Since = NowMs };
            Set(EpochName, Encoding.UTF8.GetBytes(known.ToString()), -1);
            return new FleetBound(known.Bound, known.Ceiling, known.Since);
        }
    }

    /// <summary>The twin of ask.lua, for one entry.</summary>
    public Asked Ask(EntryAsk ask, in LeaseTerms terms)
    {
        var (k, l) = (ask.WireName, LeaseName.Of(ask.WireName));
        var item = Read(k);
        var value = item?.Json;
        var left = item is { Json: null } ? -3L : -2L;
        var lease = Text(Read(l)?.Json);
        var (life, grace) = (ask.LifeMs, (long)terms.Grace.TotalMilliseconds);
        var isNull = Text(value) == "null";
        if (value is not null)
        {
            left = Left(k);
            if (isNull)
                (grace, life) = (0, (long)terms.Negative.TotalMilliseconds);
            if (terms.Began > 0 && (left < 0 || left > life || NowMs - (life - left) < terms.Began))
                value = null;
            if (terms.Overwrite || terms.Steal)
                value = null;
        }

        if (value is not null && (left < 0 || left > grace))
        {
            var sliding = (long)terms.Sliding.TotalMilliseconds;
            if (sliding > 0 && left >= 0 && left - grace < sliding / 2 && !isNull)
            {
                Begin(takesRoom: false);
                left = sliding + grace;
                item!.Expires = NowMs + left;
                Changed(k);
                Read(k);
            }

            return new Asked(AskCode.Fresh, value, IsOversized: false, left, null);
        }

        if (lease is ['!', ..])
            return new Asked(AskCode.Blocked, value, IsOversized: false, Left(l), null);
        var mine = $"{terms.Token}@{terms.Epoch}";
        var holder = lease is not null && !terms.Steal && lease.LastIndexOf('|') is var bar and >= 0 ? lease[..bar] : null;
        var epoch = holder?.IndexOf('@', StringComparison.Ordinal) is { } at and >= 0 ? holder[(at + 1)..] : null;
        var isVoid =
            holder is not null && epoch != terms.Epoch && (terms.Began > 0 || (epoch is not null && epoch != "-" && terms.Epoch != "-"));
        if (holder is not null && holder != mine && !isVoid)
            return new Asked(value is null ? AskCode.Held : AskCode.StaleHeld, value, IsOversized: false, Left(l), holder);
        if (holder != mine)
        {
            Set(
                l,
                Encoding.UTF8.GetBytes($"{mine}|{Expiretime(k).ToString(CultureInfo.InvariantCulture)}"),
                NowMs + (long)terms.Lease.TotalMilliseconds
            );
            Read(l);
        }

        return new Asked(value is null ? AskCode.Granted : AskCode.StaleGranted, value, IsOversized: false, left, mine);
    }

    /// <summary>The twin of fill.lua, for one entry.</summary>
    public FillCode Fill(string token, FilledEntry entry)
    {
        var (k, l) = (entry.WireName, LeaseName.Of(entry.WireName));
        var lease = Text(Peek(l)?.Json);
        var bar = lease?.LastIndexOf('|') ?? -1;
        // mutant: NoLease
        if (CoherenceMutants.NoLease)
            return Store(entry);
        if (bar < 0 || lease![..bar] != token)
            return FillCode.LeaseLost;
        var epoch = token[(token.LastIndexOf('@') + 1)..];
        if (entry.IsLarge && epoch != "-" && epoch != RunId)
            return FillCode.LeaseLost;
        var code = IsAsGranted(k, lease[(bar + 1)..]) ? Store(entry) : FillCode.ForeignWrite;
        Delete(l);
        return code;
    }

    // Whether nobody has written the entry since its lease was given; that it has ended by itself does not count.
    private bool IsAsGranted(string name, string stamp)
    {
        var (ends, expires) = (long.Parse(stamp, CultureInfo.InvariantCulture), Expiretime(name));
        return expires == ends || (expires == -2 && ends > 0 && NowMs >= ends);
    }

    /// <summary>The twin of renew.lua, for one lease.</summary>
    public bool Renew(string token, string wireName, TimeSpan lease)
    {
        var l = LeaseName.Of(wireName);
        var item = Peek(l);
        var text = Text(item?.Json);
        if (text is null || text.LastIndexOf('|') is var bar && (bar < 0 || text[..bar] != token))
            return false;
        if (lease == TimeSpan.Zero)
            return Delete(l);
        // mutant: RenewBlind
        if (!CoherenceMutants.RenewBlind && !IsAsGranted(wireName, text[(bar + 1)..]))
        {
            Delete(l);
            return false;
        }

        Begin(takesRoom: false);
        item!.Expires = NowMs + (long)lease.TotalMilliseconds;
        Changed(l);
        return true;
    }

    /// <summary>The twin of put.lua, for one entry.</summary>
    public void Put(FilledEntry entry)
    {
        if (Store(entry) == FillCode.Full)
            throw Full();
        Delete(LeaseName.Of(entry.WireName));
    }

    public bool Delete(string name)
    {
        Begin(takesRoom: false);
        if (Peek(name) is null)
            return false;
        _slots.Remove(name);
        Changed(name);
        return true;
    }

    private FillCode Store(FilledEntry entry)
    {
        if (IsOutOfRoom)
            return FillCode.Full;
        LastTimeToLive = TimeSpan.FromMilliseconds(entry.LifeMs);
        Set(entry.WireName, entry.Json.ToArray(), NowMs + entry.LifeMs);
        return FillCode.Stored;
    }

    private void Set(string name, byte[]? json, long expires)
    {
        if (json is null)
            Delete(name);
        else
            Set(name, new Slot { Json = json, Expires = expires });
    }

    private void Set(string name, Slot item)
    {
        Begin(takesRoom: true);
        _slots[name] = item;
        Changed(name);
        if (item.Json is not null)
            Stored?.Invoke(name, Encoding.UTF8.GetString(item.Json));
    }

    // A script that has written once may go on, so that nothing is left half done.
    private bool IsOutOfRoom => IsFull && !_hasWritten;

    // A write of a node begins. Other programs are not asked about: they are the test.
    private void Begin(bool takesRoom)
    {
        if (_executing is null)
            return;
        if (IsReplica)
            throw ReadOnly();
        if (takesRoom && IsOutOfRoom)
            throw Full();
        _hasWritten = true;
    }

    private Slot? Read(string name)
    {
        var item = Peek(name);
        if (!_watches)
            return item;
        if (!_watched.TryGetValue(name, out var watchers))
            _watched[name] = watchers = [];
        watchers.Add(_executing!);
        return item;
    }

    private Slot? Peek(string name)
    {
        if (!_slots.TryGetValue(name, out var item))
            return null;
        if (item.Expires < 0 || NowMs <= item.Expires)
            return item;
        _slots.Remove(name);
        Changed(name);
        return null;
    }

    private long Left(string name) => Peek(name) is { } item ? (item.Expires < 0 ? -1 : item.Expires - NowMs) : -2;

    private long Expiretime(string name) => Peek(name)?.Expires ?? -2;

    private void Changed(string name)
    {
        if (!_watched.Remove(name, out var watchers))
            return;
        foreach (var watcher in watchers)
        {
            if (watcher != _executing)
                watcher.Inbox.Enqueue(FakeFrame.Push(name));
            // mutant: NoLoop
            else if (!CoherenceMutants.NoLoop)
                _ownPushes.Add(name);
        }
    }

    private void Foreign(Action change)
    {
        lock (Gate)
            change();
        Pump();
    }

    /// <summary>Lets all nodes read that do so by themselves.</summary>
    public void Pump()
    {
        foreach (var node in Nodes)
            node.Pump();
    }

    private static string? Text(byte[]? json) => json is null ? null : Encoding.UTF8.GetString(json);

    private static RedisServerException ReadOnly() => new("READONLY You can't write against a read only replica.");

    private static RedisServerException Full() => new("OOM command not allowed when used memory > 'maxmemory'.");

    private static RedisServerException WrongType() => new("WRONGTYPE Operation against a key holding the wrong kind of value");
}

/// <summary>What stands in the key of the epoch.</summary>
internal sealed record FakeEpoch(string Id, long Began, long Bound, long Ceiling, long Since)
{
    public static FakeEpoch Parse(string? text)
    {
        var words = text?.Split(' ') ?? [];
        if (words.Length < 3 || !words.Skip(1).All(static word => word.All(char.IsAsciiDigit)))
            return new FakeEpoch("", 0, 0, 0, 0);
        var numbers = words.Skip(1).Select(static word => long.Parse(word, CultureInfo.InvariantCulture)).ToArray();
        return new FakeEpoch(
            words.Length is 3 or 5 ? words[0] : "",
            numbers[0],
            numbers[1],
            words.Length == 5 ? numbers[2] : 0,
            words.Length == 5 ? numbers[3] : 0
        );
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Id} {Began} {Bound}")
        + (Ceiling > 0 ? string.Create(CultureInfo.InvariantCulture, $" {Ceiling} {Since}") : "");
}
