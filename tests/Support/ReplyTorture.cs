using System.Diagnostics;
using System.Globalization;
using System.Text;
using Onggi.Client;

namespace Onggi.Testing;

/// <summary>Many callers on one client, over a line that is cut, slowed down, held and silenced: does every reply reach the caller it belongs to?</summary>
/// <remarks>
/// Whatever a caller can get back carries a mark that only this call made, or can be checked against what this caller alone has written. A write of which the outcome is not known
/// (<see cref="Sent.Maybe"/>, cancelled) widens what may be read later; one that was not sent (<see cref="Sent.No"/>) does not, so a wrong "not sent" is found too. The server may
/// come to the last bytes of a cut connection later than to the first of its successor, so a doubtful write stays possible until the caller takes a fresh key.
/// </remarks>
public sealed class ReplyTorture
{
    private const int FreshKeyAfter = 12;

    private static readonly TimeSpan LongAfterTheEnd = TimeSpan.FromSeconds(30);

    private static readonly RedisScript Echo = new("torture-echo", "return {ARGV[1], #KEYS, {KEYS[1]}}");
    private static readonly RedisScript Fail = new("torture-fail", "return redis.error_reply('MINE ' .. ARGV[1])");

    private readonly RedisClient _redis;
    private readonly FaultProxy _proxy;
    private readonly TortureSettings _settings;
    private readonly string _run = Guid.NewGuid().ToString("N")[..8];
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly Lock _gate = new();
    private readonly List<string> _examples = [];
    private readonly int _acceptedBefore;
    private readonly Caller[] _callers;
    private long _commands;
    private long _answered;
    private long _cancelled;
    private long _failed;
    private long _different;
    private long _faults;
    private long _nextFault = long.MaxValue;
    private volatile TaskCompletionSource _faultDue = NewSignal();
    private volatile bool _stopping;

    private ReplyTorture(RedisClient redis, FaultProxy proxy, TortureSettings settings)
    {
        (_redis, _proxy, _settings) = (redis, proxy, settings);
        _acceptedBefore = proxy.Accepted;
        _callers = [.. Enumerable.Range(0, settings.Callers).Select(id => new Caller(this, id))];
    }

    /// <summary>Options that bring the client's limits and time-outs into play.</summary>
    public static RedisClientOptions Options(int port) =>
        new()
        {
            Port = port,
            CommandTimeout = TimeSpan.FromSeconds(5),
            MaxInFlight = 256,
            MaxBacklog = 192,
            DeadAfter = TimeSpan.FromMilliseconds(800),
            ReconnectPause = TimeSpan.FromMilliseconds(2),
            MaxReconnectPause = TimeSpan.FromMilliseconds(50),
        };

    /// <summary>Runs against the server behind <paramref name="proxy"/>.</summary>
    /// <param name="proxy">The line to the server.</param>
    /// <param name="settings">How long, how many, with which seed.</param>
    /// <param name="progress">Hears after each fault how things stand; may be null.</param>
    /// <param name="cancellationToken">Ends the run early; what was seen by then is reported.</param>
    public static async Task<TortureReport> RunAsync(
        FaultProxy proxy,
        TortureSettings settings,
        IProgress<TortureReport>? progress = null,
        CancellationToken cancellationToken = default
    )
    {
        var options = Options(proxy.Port);
        options.Tls = settings.Tls;
        await using var redis = await RedisClient.ConnectAsync(options, cancellationToken: cancellationToken);
        return await RunAsync(redis, proxy, settings, progress, cancellationToken);
    }

    /// <summary>Runs on a client that goes through <paramref name="proxy"/> and stands afterwards, so that it can be tortured again.</summary>
    /// <inheritdoc cref="RunAsync(FaultProxy, TortureSettings, IProgress{TortureReport}, CancellationToken)"/>
    public static Task<TortureReport> RunAsync(
        RedisClient redis,
        FaultProxy proxy,
        TortureSettings settings,
        IProgress<TortureReport>? progress = null,
        CancellationToken cancellationToken = default
    ) => new ReplyTorture(redis, proxy, settings).RunAsync(progress, cancellationToken);

    private async Task<TortureReport> RunAsync(IProgress<TortureReport>? progress, CancellationToken cancellationToken)
    {
        using var stop = cancellationToken.Register(() => _stopping = true);
        var faults = _settings.Faults ? MakeFaultsAsync(progress) : Task.CompletedTask;
        var running = _callers.Select(caller => Task.Run(caller.RunAsync)).ToArray();

        // Each caller ends by itself: at the number of commands, at the end of the time, or when told.
        var all = Task.WhenAll(running);
        while (!all.IsCompleted)
        {
            var before = Volatile.Read(ref _commands);
            try
            {
                await all.WaitAsync(LongAfterTheEnd, CancellationToken.None);
            }
            catch (TimeoutException) when (Volatile.Read(ref _commands) == before)
            {
                // Nobody has given a command for so long, though all time-outs are far shorter: what waits now waits for ever.
                break;
            }
            catch (TimeoutException)
            {
                // A long run.
            }
        }

        _stopping = true;
        SignalFault();
        await faults;
        var lost = _callers.Where(caller => !caller.HasEnded).ToArray();
        if (lost.Length == 0)
            await all;
        return Report(lost);
    }

    private TortureReport Report(Caller[] lost)
    {
        lock (_gate)
            return new TortureReport(
                Volatile.Read(ref _commands),
                Volatile.Read(ref _answered),
                Volatile.Read(ref _cancelled),
                Volatile.Read(ref _failed),
                _different,
                lost.Length,
                _faults,
                _proxy.Accepted - _acceptedBefore,
                _watch.Elapsed,
                [.. _examples, .. lost.Take(10).Select(caller => $"{caller.Doing} was never answered.")]
            );
    }

    private bool Ended => _stopping || Volatile.Read(ref _commands) >= _settings.Commands || _watch.Elapsed > _settings.Duration;

    private async Task MakeFaultsAsync(IProgress<TortureReport>? progress)
    {
        var random = new Random(_settings.Seed);
        while (!Ended)
        {
            // Faults come after so much work, not after so much time: a slow machine has as many per command as a fast one.
            Volatile.Write(ref _nextFault, Volatile.Read(ref _commands) + random.Next(500, 6000));
            await _faultDue.Task;
            Volatile.Write(ref _nextFault, long.MaxValue);
            _faultDue = NewSignal();
            if (Ended)
                break;
            await MakeFaultAsync(random);
            _faults++;
            progress?.Report(Report([.. _callers.Where(caller => caller.HasWaitedTooLong)]));
        }

        Heal();
    }

    private async Task MakeFaultAsync(Random random)
    {
        switch (random.Next(100))
        {
            case < 35:
                _proxy.CutAll();
                break;
            case < 50:
                _proxy.CutAfter(ProxyDirection.ToClient, random.Next(1, 3000));
                break;
            case < 65:
                _proxy.CutAfter(ProxyDirection.ToServer, random.Next(1, 3000));
                break;
            case < 75:
                (_proxy.MaxChunk, _proxy.RandomChunks) = (random.Next(1, 100), true);
                await Task.Delay(random.Next(2, 15));
                break;
            case < 84:
                _proxy.BytesPerSecondToClient = random.Next(100_000, 2_000_000);
                await Task.Delay(random.Next(2, 30));
                break;
            case < 92:
                _proxy.Hold();
                await Task.Delay(random.Next(1, 30));
                if (random.Next(2) == 0)
                    _proxy.CutAll();
                break;
            case < 98:
                _proxy.Hold();
                _proxy.CutAfter(random.Next(2) == 0 ? ProxyDirection.ToClient : ProxyDirection.ToServer, random.Next(1, 20_000));
                break;
            default:
                // Half-open: only the client's own sense for silence ends it.
                _proxy.BlackHoleAll();
                break;
        }

        Heal();
    }

    private void Heal()
    {
        (_proxy.MaxChunk, _proxy.RandomChunks, _proxy.BytesPerSecondToClient) = (int.MaxValue, false, 0);
        _proxy.Release();
    }

    private void OnCommand()
    {
        if (Interlocked.Increment(ref _commands) >= Volatile.Read(ref _nextFault))
            SignalFault();
    }

    private void SignalFault() => _faultDue.TrySetResult();

    private void IsDifferent(string what)
    {
        lock (_gate)
        {
            _different++;
            if (_examples.Count < 10)
                _examples.Add(what);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>How one command ended, seen from its caller.</summary>
    private enum Outcome
    {
        Answered,
        NotSent,
        Doubtful,
    }

    /// <summary>One caller with keys of its own.</summary>
    private sealed class Caller
    {
        private const int Keys = 4;

        private readonly ReplyTorture _torture;
        private readonly RedisClient _redis;
        private readonly Random _random;
        private readonly string _name;
        private readonly Slot[] _slots;
        private readonly Counter _counter;
        private long _calls;
        private string _doing = "Nothing";
        private long _since = Stopwatch.GetTimestamp();
        private volatile bool _ended;

        public Caller(ReplyTorture torture, int id)
        {
            (_torture, _redis) = (torture, torture._redis);
            _random = new Random(unchecked((torture._settings.Seed * 397) + id));
            _name = $"{torture._run}:{id}";
            _slots = [.. Enumerable.Range(0, Keys).Select(slot => new Slot($"{_name}:k{slot}"))];
            _counter = new Counter($"{_name}:n");
        }

        /// <summary>The command under way.</summary>
        public string Doing => Volatile.Read(ref _doing);

        public bool HasEnded => _ended;

        /// <summary>Whether the command under way should have been answered or given up long ago.</summary>
        public bool HasWaitedTooLong => !_ended && Stopwatch.GetElapsedTime(Volatile.Read(ref _since)) > LongAfterTheEnd;

        public async Task RunAsync()
        {
            try
            {
                await AskOnAsync();
            }
            finally
            {
                _ended = true;
            }
        }

        private async Task AskOnAsync()
        {
            while (!_torture.Ended)
            {
                // Mostly one after the other, as callers do; sometimes many at once.
                if (_random.Next(20) != 0)
                {
                    await OneAsync();
                    continue;
                }

                var burst = new Task[_random.Next(2, 12)];
                for (var i = 0; i < burst.Length; i++)
                    burst[i] = EchoAsync();
                await Task.WhenAll(burst);
            }
        }

        private Task OneAsync() =>
            _random.Next(100) switch
            {
                < 35 => EchoAsync(),
                < 50 => PutAsync(_slots[_random.Next(Keys)], big: false),
                < 65 => ReadAsync(_slots[_random.Next(Keys)]),
                < 75 => ReadManyAsync(),
                < 85 => CountAsync(),
                < 92 => ScriptAsync(),
                < 97 => FailAsync(),
                < 98 => PutAsync(_slots[_random.Next(Keys)], big: true),
                _ => PingAsync(),
            };

        private string Mark() => string.Create(CultureInfo.InvariantCulture, $"{_name}:{++_calls}");

        private async Task EchoAsync()
        {
            var mark = Mark();
            var (outcome, reply) = await AskAsync($"ECHO {mark}", token => _redis.SendAsync(["ECHO", mark], ReplyParsers.Text, token));
            Check(outcome, reply == mark, "ECHO", mark, reply);
        }

        private async Task PingAsync()
        {
            var (outcome, reply) = await AskAsync("PING", token => _redis.PingAsync(token));
            Check(outcome, reply == "PONG", "PING", "PONG", reply);
        }

        private async Task ScriptAsync()
        {
            var mark = Mark();
            var key = _slots[0].Key;
            var (outcome, reply) = await AskAsync(
                $"EVALSHA {mark}",
                token => _redis.EvalAsync(Echo, [key], [mark], ReplyParsers.Reply, token)
            );
            var expected = $"[{mark}, 1, [{key}]]";
            Check(outcome, reply?.ToString() == expected, "EVALSHA", expected, reply?.ToString());
        }

        private async Task FailAsync()
        {
            var mark = Mark();
            string? error = null;
            var (outcome, _) = await AskAsync(
                $"EVALSHA error {mark}",
                async token =>
                {
                    try
                    {
                        return await _redis.EvalAsync(Fail, [], [mark], ReplyParsers.Text, token);
                    }
                    catch (RedisServerException refused)
                    {
                        return error = refused.Message;
                    }
                }
            );
            Check(outcome, error == $"MINE {mark}", "EVALSHA error", $"MINE {mark}", error);
        }

        private async Task PutAsync(Slot slot, bool big)
        {
            var mark = Mark();
            var value = big ? Blow(mark, _random.Next(10_000, 300_000)) : Encoding.UTF8.GetBytes(mark);
            var (outcome, reply) = await AskAsync(
                $"SET {slot.Key} {mark}",
                token => _redis.SetAsync(slot.Key, value, cancellationToken: token)
            );
            Check(outcome, reply, "SET", "OK", $"{reply}");
            if (slot.Wrote(mark, outcome) is { } left)
                await ForgetAsync(left);
        }

        // A key that is left for a fresh one goes, or a long run fills the server. What comes of it proves nothing: a doubtful write may come later.
        private async Task ForgetAsync(string key)
        {
            var (outcome, reply) = await AskAsync($"UNLINK {key}", token => _redis.UnlinkAsync([key], token));
            Check(outcome, reply is 0 or 1, "UNLINK", "0 or 1", $"{reply}");
        }

        private async Task ReadAsync(Slot slot)
        {
            var (outcome, reply) = await AskAsync($"GET {slot.Key}", token => _redis.GetAsync(slot.Key, token));
            Check(outcome, slot.CanHold(reply), "GET", slot.Expected, Short(reply));
        }

        private async Task ReadManyAsync()
        {
            var slots = _slots.Where(_ => _random.Next(2) == 0).DefaultIfEmpty(_slots[0]).ToArray();
            var (outcome, replies) = await AskAsync(
                $"MGET {slots[0].Key} …",
                token => _redis.GetManyAsync([.. slots.Select(slot => (RedisArg)slot.Key)], token)
            );
            if (outcome != Outcome.Answered)
                return;
            Check(outcome, replies!.Length == slots.Length, "MGET", $"{slots.Length} values", $"{replies.Length}");
            foreach (var (slot, reply) in slots.Zip(replies))
                if (!slot.CanHold(reply))
                    _torture.IsDifferent($"MGET of {slot.Key}: {slot.Expected} was expected, {Short(reply)} came.");
        }

        private async Task CountAsync()
        {
            var (outcome, reply) = await AskAsync(
                $"INCR {_counter.Key}",
                token => _redis.SendAsync(["INCR", _counter.Key], ReplyParsers.Int64, token)
            );
            var expected = _counter.Expected;
            Check(outcome, _counter.Counted(outcome, reply), $"INCR {_counter.Key}", expected, $"{reply}");
        }

        // Gives the command, perhaps gives up waiting for it, and says how that ended.
        private async Task<(Outcome Outcome, T? Reply)> AskAsync<T>(string doing, Func<CancellationToken, ValueTask<T>> ask)
        {
            Volatile.Write(ref _doing, doing);
            Volatile.Write(ref _since, Stopwatch.GetTimestamp());
            _torture.OnCommand();
            using var cancelling = _random.Next(25) == 0 ? new CancellationTokenSource() : null;
            var token = cancelling?.Token ?? CancellationToken.None;
            try
            {
                if (cancelling is null)
                    return Answered(await ask(token));
                var asked = ask(token).AsTask();
                for (var turns = _random.Next(4); turns > 0; turns--)
                    await Task.Yield();
                await cancelling.CancelAsync();
                return Answered(await asked);
            }
            catch (OperationCanceledException cancelled) when (cancelling is not null && cancelled.CancellationToken == token)
            {
                Interlocked.Increment(ref _torture._cancelled);
                return (cancelled.Data[nameof(Sent)] is Sent.No ? Outcome.NotSent : Outcome.Doubtful, default);
            }
            catch (RedisException error) when (error is RedisConnectionException or RedisTimeoutException or RedisBusyException)
            {
                Interlocked.Increment(ref _torture._failed);
                return (error.Sent == Sent.No ? Outcome.NotSent : Outcome.Doubtful, default);
            }
            catch (Exception error)
            {
                _torture.IsDifferent($"{doing} ended with {error.GetType().Name}: {error.Message}");
                return (Outcome.Doubtful, default);
            }

            (Outcome, T?) Answered(T reply)
            {
                Interlocked.Increment(ref _torture._answered);
                return (Outcome.Answered, reply);
            }
        }

        private void Check(Outcome outcome, bool holds, string what, string expected, string? reply)
        {
            if (outcome == Outcome.Answered && !holds)
                _torture.IsDifferent($"{what} of {_name}: {expected} was expected, {reply ?? "null"} came.");
        }

        private static string Short(byte[]? reply) =>
            reply is null ? "null" : Encoding.UTF8.GetString(reply.AsSpan(0, Math.Min(80, reply.Length)));
    }

    // A big value is its mark, a space, and a letter that follows from the mark, many times.
    private static byte[] Blow(string mark, int size)
    {
        var value = new byte[size];
        var head = Encoding.UTF8.GetBytes(mark + " ", value);
        value.AsSpan(head).Fill(FillerOf(value.AsSpan(0, head)));
        return value;
    }

    private static byte FillerOf(ReadOnlySpan<byte> head)
    {
        var sum = 0;
        foreach (var letter in head)
            sum += letter;
        return (byte)('a' + (sum % 26));
    }

    /// <summary>What a key of one caller can hold.</summary>
    private sealed class Slot(string name)
    {
        private readonly HashSet<string> _doubtful = new(StringComparer.Ordinal);
        private string? _certain;
        private int _fresh;

        public string Key { get; private set; } = name + ":0";

        public string Expected => $"{_certain ?? "null"}{(_doubtful.Count == 0 ? "" : " or " + string.Join(" or ", _doubtful))}";

        /// <summary>Notes a write; the key that is left for a fresh one, where so much has become doubtful.</summary>
        public string? Wrote(string mark, Outcome outcome)
        {
            if (outcome == Outcome.Answered)
                _certain = mark;
            else if (outcome == Outcome.Doubtful)
                _doubtful.Add(mark);
            if (_doubtful.Count < FreshKeyAfter)
                return null;
            var left = Key;
            Key = string.Create(CultureInfo.InvariantCulture, $"{name}:{++_fresh}");
            _certain = null;
            _doubtful.Clear();
            return left;
        }

        public bool CanHold(byte[]? value)
        {
            if (value is null)
                return _certain is null;
            var end = value.AsSpan().IndexOf((byte)' ');
            var mark = Encoding.UTF8.GetString(end < 0 ? value : value.AsSpan(0, end));
            if (mark != _certain && !_doubtful.Contains(mark))
                return false;
            return end < 0 || value.AsSpan(end + 1).IndexOfAnyExcept(FillerOf(value.AsSpan(0, end + 1))) < 0;
        }
    }

    /// <summary>Where a counter of one caller can stand.</summary>
    private sealed class Counter(string name)
    {
        private long _last;
        private long _doubtful;
        private int _fresh;

        public string Key { get; private set; } = name + ":0";

        public string Expected => _doubtful == 0 ? $"{_last + 1}" : $"{_last + 1} to {_last + 1 + _doubtful}";

        public bool Counted(Outcome outcome, long now)
        {
            if (outcome == Outcome.NotSent)
                return true;
            if (outcome == Outcome.Doubtful)
            {
                if (++_doubtful < FreshKeyAfter)
                    return true;
                Key = string.Create(CultureInfo.InvariantCulture, $"{name}:{++_fresh}");
                (_last, _doubtful) = (0, 0);
                return true;
            }

            var more = now - _last - 1;
            if (more < 0 || more > _doubtful)
                return false;
            (_last, _doubtful) = (now, _doubtful - more);
            return true;
        }
    }
}
