using System.Diagnostics;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.Benchmarks.Sessions;

/// <summary>What sessions cost, on one redis-server of its own.</summary>
internal sealed class SessionBench : IBench
{
    private const int Callers = 64;
    private const int Users = 1024;
    private const int Many = 1000;

    private static readonly SessionDetails Details = new()
    {
        Roles = ["user", "billing"],
        Device = "Firefox on Linux",
        Data = new byte[64],
        Limit = new SessionLimit(0),
    };

    public string Name => "sessions";

    public string Summary => "sessions, against the raw EVALSHA of the same script";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await SessionBenchNode.StartAsync(
            server.Port,
            options =>
            {
                options.Sweep = false;
                options.Events = false;
            }
        );
        run.Redis = node.Keyspace.Redis.Server?.Version.ToString();
        run.Notes.AddRange(Notes());
        var slice = TimeSpan.FromMilliseconds(run.Quick ? 300 : 700);
        List<Row> rows = [];
        var ids = new SessionId[Users];
        for (var i = 0; i < Users; i++)
            ids[i] = (await node.Sessions.CreateAsync($"user-{i}", Details, run.Stop)).Id;
        var raw = Array.ConvertAll(ids, id => new RawTouch(node, id));

        if (run.Wants("validate"))
        {
            Func<int, ValueTask<Session?>> ours = i => node.Sessions.ValidateAsync(ids[i]);
            Func<int, ValueTask<Reply>> theirs = i => raw[i].RunAsync();
            rows.AddRange(
                await Duel.RunAsync(
                    [
                        Validate("validate.c64", Callers, ours, theirs, new Goal(0.8, AtMost: false)),
                        Validate("validate.c1", 1, ours, theirs, null),
                    ],
                    run.Quick ? 5 : 11,
                    slice,
                    run.Stop
                )
            );
            var bytes = await BytesAsync(ours, slice);
            rows.Add(new("validate.bytes", "B/op", bytes, "raw EVALSHA", await BytesAsync(theirs, slice)));
        }

        if (run.Wants("create"))
            rows.Add(new("create.c64", "op/s", await RateAsync(Callers, i => node.Sessions.CreateAsync($"user-{i}", Details), slice)));
        if (run.Wants("many"))
            rows.AddRange(await ManyAsync(node, run));
        if (run.Wants("expiry"))
            rows.AddRange(await ExpiryAsync(run));
        return rows;
    }

    private static string[] Notes() =>
        [
            "`validate.c64`: `ValidateAsync` with data (64 bytes, two roles) by 64 concurrent callers, 1,024 users, against `EVALSHA` of the same script through the same client, its names made beforehand, its reply read as a tree. `validate.c1`: one caller. `validate.bytes`: bytes allocated per operation.",
            "`create.c64`: logins without a limit, by 64 callers. `revoke-all.many`, `list.many`: one user's 1,000 sessions in one call.",
            "`expiry.*`: 1,000 sessions of as many users due at once among 500,000 other keys with long times to live (50,000 with --quick), two sweeping nodes; from the deadline to the handler of the event.",
            "Server and callers share the processors.",
        ];

    private static Duel Validate<TOurs, TTheirs>(
        string name,
        int callers,
        Func<int, ValueTask<TOurs>> ours,
        Func<int, ValueTask<TTheirs>> theirs,
        Goal? goal
    ) => new(name, "op/s", "raw EVALSHA", slice => RateAsync(callers, ours, slice), slice => RateAsync(callers, theirs, slice), goal);

    private static async Task<IReadOnlyList<Row>> ManyAsync(SessionBenchNode node, BenchRun run)
    {
        var list = new List<double>();
        var revoke = new List<double>();
        for (var round = 0; round < (run.Quick ? 5 : 15); round++)
        {
            run.Stop.ThrowIfCancellationRequested();
            await Task.WhenAll(Enumerable.Range(0, Many).Select(_ => node.Sessions.CreateAsync("many", Details).AsTask()));
            var began = Stopwatch.GetTimestamp();
            if ((await node.Sessions.ListAsync("many", run.Stop)).Count != Many)
                throw new InvalidOperationException("Sessions are missing.");
            list.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            began = Stopwatch.GetTimestamp();
            await node.Sessions.RevokeAllAsync("many", cancellationToken: run.Stop);
            revoke.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        return [new("list.many", "ms", Duel.Median(list)), new("revoke-all.many", "ms", Duel.Median(revoke))];
    }

    private static async Task<IReadOnlyList<Row>> ExpiryAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        var late = await ExpiryRace.MeasureAsync(server.Port, run.Quick ? 50_000 : 500_000, Many, run.Stop);
        return
        [
            new("expiry.told", "events", late.Count, Goal: $"≥ {Many}", Pass: late.Count == Many),
            new("expiry.p50", "ms", late[late.Count / 2]),
            Row.AtMost("expiry.p99", "ms", late[(int)(late.Count * 0.99)], 1000),
        ];
    }

    // A user of the caller's own.
    private static Func<int, long, ValueTask<T>> Own<T>(Func<int, ValueTask<T>> ask) =>
        (caller, turn) => ask((caller * (Users / Callers)) + (int)(turn % (Users / Callers)));

    private static Task<double> RateAsync<T>(int callers, Func<int, ValueTask<T>> ask, TimeSpan slice) =>
        CallerLoops.RateAsync(callers, Own(ask), slice);

    private static Task<double> BytesAsync<T>(Func<int, ValueTask<T>> ask, TimeSpan slice) =>
        CallerLoops.BytesAsync(Callers, Own(ask), slice);

    /// <summary>The same script with the same names and arguments, made once.</summary>
    private sealed class RawTouch
    {
        private readonly RedisClient _redis;
        private readonly byte[][] _keys;
        private readonly byte[] _handle;

        public RawTouch(SessionBenchNode node, SessionId id)
        {
            _redis = node.Keyspace.Redis;
            var names = node.Sessions.Family.Keys.Of(id);
            _keys = [names.Session.ToArray(), names.Index.ToArray(), names.Meta.ToArray()];
            _handle = names.Handle.ToArray();
            names.Release();
        }

        public ValueTask<Reply> RunAsync() =>
            _redis.EvalAsync(
                SessionScripts.AsWritten.Touch,
                [_keys[0], _keys[1], _keys[2]],
                [_handle, 60_000, "1", "1"],
                ReplyParsers.Reply
            );
    }
}
