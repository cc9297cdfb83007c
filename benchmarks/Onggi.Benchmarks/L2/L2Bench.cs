using System.Diagnostics;
using System.Globalization;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Benchmarks.L2;

/// <summary>What the cache costs where Redis answers, on one redis-server of its own.</summary>
internal sealed class L2Bench : IBench
{
    private const int Callers = 64;

    // Each caller has keys of its own: callers who ask for the same key at the same time would share one question.
    private const int KeysPerCaller = L2Node.KeyCount / Callers;

    private static readonly string Value = new('v', 64);

    public string Name => "l2";

    public string Summary => "the cache where Redis answers, against the client's own commands";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        run.Notes.AddRange(Notes());
        List<Row> rows = [];
        await using (var node = await L2Node.StartAsync(server.Port))
        {
            run.Redis = node.Redis.Server?.Version.ToString();
            await FillAsync(node);
            using var process = Process.GetProcessById(server.ProcessId);
            var duels = Hits(node, process).Where(duel => run.Wants(duel.Name)).ToArray();
            if (duels.Length > 0)
                rows.AddRange(await Duel.RunAsync(duels, run.Quick ? 5 : 11, TimeSpan.FromMilliseconds(run.Quick ? 300 : 700), run.Stop));
            if (run.Wants("bytes"))
                rows.AddRange(await BytesAsync(node, TimeSpan.FromSeconds(run.Quick ? 1 : 3)));
        }

        if (run.Wants("trips"))
            rows.AddRange(await RoundTrips.MeasureAsync(server.Port, run.Stop));
        if (run.Wants("push"))
            rows.AddRange(await PushRace.MeasureAsync(server.Port, run.Quick ? 150 : 600, run.Stop));
        return rows;
    }

    private static string[] Notes() =>
        [
            "`hit.c64`: time per operation (elapsed divided by operations) of `GetOrLoadAsync` that Redis answers, by 64 concurrent callers, against `GET` through the same client into a `byte[]`. Values of 66 bytes of JSON. `ReadMode.Auto`, warmed up: `GET` and `PTTL` in one flush, watched by the server. The values are over `MemoryMaxValueBytes`, so memory never answers. Callers ask for different keys, so no question is shared.",
            "`pair.c64`: the same two commands in one flush by the client alone, without watching, without a cache: what is left of `hit.c64` above it is the cache's.",
            "`server.c64`: of the same calls, the processor's time that the server alone uses for one. At 64 callers, on a machine whose processors both sides fill, this is a part of `hit.c64` that no client can lessen: two commands, and each key written down twice for its watcher.",
            "`hit.c64.unkept`: the same for a family with memory off, which the server does not watch. `hit.c64.lease`: as `hit.c64.unkept`, with `ReadMode.Lease`, one script. `hit.c64.get`: the same as `hit.c64` by `GetAsync`, without the flight that others could join. `hit.c1`: one caller.",
            "`hit.bytes`: bytes allocated per operation by 64 callers, the array and the text made of it included; the baseline is the same `GET`.",
            "`miss.trips`, `invalidate.trips`, `many.trips`: round trips that the caller waits for, by the time: a proxy holds back what passes by 50 ms either way, and the shortest of several runs is divided by both. A miss is asked for, loaded at once and stored; `many` is 150 keys that are all missing.",
            "`push.median`: from the return of `InvalidateAsync` at one node until the last of 10 nodes (10 caches in this process, each with connections of its own) no longer answers from memory; the baseline is a message of PUBLISH to 10 subscribers with connections of their own, from the return of PUBLISH until the last has it. In turns. `-called`: from the beginning of the call.",
            "Server and caches share the processors.",
        ];

    private static IEnumerable<Duel> Hits(L2Node node, Process server)
    {
        var names = Array.ConvertAll(L2Node.Plain, L2Node.WireName);
        ValueTask<byte[]?> Get(int i) => node.Redis.GetAsync(names[i]);
        yield return Hit("hit.c64", Callers, i => GetOrLoadAsync(node, L2Node.Plain[i]), Get, new Goal(1.6, AtMost: true));
        var pairs = Array.ConvertAll(names, name => new BarePair(node.Redis, name));
        yield return Hit("pair.c64", Callers, i => pairs[i].AskAsync(), Get, null);
        yield return Hit("server.c64", Callers, i => GetOrLoadAsync(node, L2Node.Plain[i]), Get, null, server);
        yield return Hit("hit.c64.unkept", Callers, i => GetOrLoadAsync(node, L2Node.Unkept[i]), Get, null);
        yield return Hit("hit.c64.get", Callers, i => node.Cache.GetAsync(L2Node.Plain[i]), Get, null);
        yield return Hit("hit.c64.lease", Callers, i => GetOrLoadAsync(node, L2Node.Lease[i]), Get, null);
        yield return Hit("hit.c1", 1, i => GetOrLoadAsync(node, L2Node.Plain[i]), Get, null);
    }

    private static Duel Hit<TOurs, TTheirs>(
        string name,
        int callers,
        Func<int, ValueTask<TOurs>> ours,
        Func<int, ValueTask<TTheirs>> theirs,
        Goal? goal,
        Process? cpuOf = null
    ) =>
        new(
            name,
            "ns/op",
            "GET by the client",
            slice => TimeAsync(callers, ours, slice, cpuOf),
            slice => TimeAsync(callers, theirs, slice, cpuOf),
            goal
        );

    private static async Task<IReadOnlyList<Row>> BytesAsync(L2Node node, TimeSpan slice)
    {
        var names = Array.ConvertAll(L2Node.Plain, L2Node.WireName);
        var get = await BytesAsync(i => node.Redis.GetAsync(names[i]), slice);
        return
        [
            new("hit.bytes", "B/op", await BytesAsync(i => GetOrLoadAsync(node, L2Node.Plain[i]), slice), "GET by the client", get),
            new("hit.bytes.get", "B/op", await BytesAsync(i => node.Cache.GetAsync(L2Node.Plain[i]), slice), "GET by the client", get),
            new("hit.bytes.lease", "B/op", await BytesAsync(i => GetOrLoadAsync(node, L2Node.Lease[i]), slice), "GET by the client", get),
        ];
    }

    private static ValueTask<string?> GetOrLoadAsync(L2Node node, CacheKey<string> key) =>
        node.Cache.GetOrLoadAsync(key, 0, static (_, _) => throw new InvalidOperationException("Redis was to answer."));

    private static async Task FillAsync(L2Node node)
    {
        foreach (var key in L2Node.Plain.Concat(L2Node.Unkept).Concat(L2Node.Lease))
            await node.Cache.SetAsync(key, Value);
        // Until it is known that the family mostly hits, the script asks.
        for (var round = 0; round < 2; round++)
            foreach (var key in L2Node.Plain.Concat(L2Node.Unkept))
                await GetOrLoadAsync(node, key);
        if (node.Cache.Statistics().MemoryHits > 0)
            throw new InvalidOperationException("Memory has answered.");
    }

    // A key of the caller's own.
    private static Func<int, long, ValueTask<T>> Own<T>(Func<int, ValueTask<T>> ask) =>
        (caller, turn) => ask((caller * KeysPerCaller) + (int)(turn % KeysPerCaller));

    // The time that passes, or what a process uses of its processor's meanwhile.
    private static async Task<double> TimeAsync<T>(int callers, Func<int, ValueTask<T>> ask, TimeSpan slice, Process? cpuOf)
    {
        var (began, used) = (Stopwatch.GetTimestamp(), TimeOf(cpuOf));
        var each = await CallerLoops.TimeAsync(callers, Own(ask), slice);
        return cpuOf is null ? each : (TimeOf(cpuOf) - used) / Stopwatch.GetElapsedTime(began) * each;
    }

    private static TimeSpan TimeOf(Process? process)
    {
        process?.Refresh();
        return process?.TotalProcessorTime ?? TimeSpan.Zero;
    }

    private static Task<double> BytesAsync<T>(Func<int, ValueTask<T>> ask, TimeSpan slice) =>
        CallerLoops.BytesAsync(Callers, Own(ask), slice);
}
