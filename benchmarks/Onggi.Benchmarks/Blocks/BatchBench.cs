using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Batches;
using Onggi.Benchmarks.L2;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Benchmarks.Blocks;

/// <summary>What a batch costs beside the commands that it sends.</summary>
internal sealed class BatchBench : IBench
{
    private const int Entries = 200;
    private const long LifeMs = 3_600_000;

    private const string Catalog = """
        {
          "system": "batches", "environment": "bench", "prefix": "{environment}:",
          "defaults": { "ttl": "1h", "grace": "0s", "jitter": "10%", "negativeTtl": "1s" },
          "services": { "node": {} },
          "families": {
            "set": { "key": "set:{id}", "kind": "cache", "value": "string" },
            "get": { "key": "get:{id}", "kind": "cache", "value": "string" },
            "gone": { "key": "gone:{id}", "kind": "cache", "value": "string" }
          }
        }
        """;

    // What a record of a few fields takes.
    private static readonly string Value = new('x', 200);
    private static readonly byte[] Json = Encoding.UTF8.GetBytes($"\"{Value}\"");

    public string Name => "batches";

    public string Summary => "batches against a bare flush of the same commands";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = $"127.0.0.1:{server.Port}";
            options.Service = "node";
            options.Catalog = Catalog;
            options.Json = BenchJson.Default;
            options.RequireRedisAtStart = true;
            options.ConnectTimeout = options.CommandTimeout = TimeSpan.FromSeconds(30);
        });
        using var host = builder.Build();
        await host.StartAsync(run.Stop);
        var keyspace = host.Services.GetRequiredService<OnggiKeyspace>();
        run.Redis = keyspace.Redis.Server?.Version.ToString();
        run.Notes.Add(
            $"Each operation is a batch of {Entries} entries with values of {Json.Length} bytes, against a `RedisBatch` of the same commands, names, values and arguments ready: `set`: the cache's script that puts a value; `get`: GET (the family has no grace); `delete`: UNLINK of the entry and its lease, and the script that publishes `cache.invalidated` with the names of all; `delete.untold`: the same beside the UNLINKs alone, which tell nobody; `mixed`: a third of each; `atomic`: one script. Ours makes names and JSON, looks into memory, tells memory and loads that run. `one`: a batch of one get. Time per batch; 0.8 × the speed is 1.25 × the time."
        );
        var duels = Duels(keyspace).Where(duel => run.Wants(duel.Name)).ToArray();
        return await Duel.RunAsync(duels, run.Quick ? 5 : 11, TimeSpan.FromMilliseconds(run.Quick ? 300 : 700), run.Stop);
    }

    private static IEnumerable<Duel> Duels(OnggiKeyspace keyspace)
    {
        var (sets, gets, gones) = (KeysOf("set"), KeysOf("get"), KeysOf("gone"));
        var (setNames, getNames, goneNames) = (NamesOf(sets), NamesOf(gets), NamesOf(gones));
        keyspace.Cache.SetManyAsync(gets.ToDictionary(static key => key, static _ => (string?)Value)).AsTask().GetAwaiter().GetResult();
        // One slot, since an atomic batch has but one.
        var slot = SlotSteering.SlotOf("bench:set:a");
        var together = Enumerable
            .Range(0, Entries)
            .Select(i => new CacheKey<string>(
                new EntryKey(new KeyFamily("set", "id"), $"a{i}{SlotSteering.SuffixTo($"bench:set:a{i}", slot)}")
            ))
            .ToArray();
        var togetherNames = NamesOf(together);

        void Set(OnggiBatch batch, int i) => batch.Set(sets[i], Value);
        void Get(OnggiBatch batch, int i) => batch.Get(gets[i]);
        void Delete(OnggiBatch batch, int i) => batch.Delete(gones[i]);
        void BareSet(RedisBatch batch, int i) =>
            batch.Add(CacheStore.PutScript, [setNames[i].Entry, setNames[i].Lease], [Json, LifeMs], ReplyParsers.Int64);
        void BareGet(RedisBatch batch, int i) => batch.Add(["GET", getNames[i].Entry], ReplyParsers.Bytes, CommandOptions.Idempotent);
        void BareDelete(RedisBatch batch, int i) =>
            batch.Add(["UNLINK", goneNames[i].Entry, goneNames[i].Lease], ReplyParsers.Int64, CommandOptions.Idempotent);

        yield return DuelOf("set", Entries, Set, BareSet);
        yield return DuelOf("get", Entries, Get, BareGet);
        var told = EventOf(goneNames);
        yield return DuelOf("delete", Entries, Delete, (batch, i) => (i == Entries - 1 ? told + BareDelete : BareDelete)(batch, i));
        yield return DuelOf("delete.untold", Entries, Delete, BareDelete) with
        {
            Goal = null,
        };
        yield return DuelOf(
            "mixed",
            Entries,
            (batch, i) =>
                (
                    i % 3 == 0 ? Set
                    : i % 3 == 1 ? (Action<OnggiBatch, int>)Get
                    : Delete
                )(batch, i),
            (batch, i) =>
                (
                    i % 3 == 0 ? BareSet
                    : i % 3 == 1 ? (Action<RedisBatch, int>)BareGet
                    : BareDelete
                )(batch, i)
        );
        yield return DuelOf("one", 1, Get, BareGet);
        var (bareKeys, bareArgs) = Atomic(togetherNames);
        yield return LockBench.DuelOf(
            "atomic",
            "EVALSHA of its script",
            1,
            async _ =>
            {
                var batch = keyspace.AtomicBatch();
                foreach (var key in together)
                    batch.Set(key, Value);
                (await batch.SendAsync()).ThrowIfFailed();
            },
            async _ => await keyspace.Redis.EvalAsync(BatchScript.Script, bareKeys, bareArgs, ReplyParsers.Ignore),
            new Goal(1.25, AtMost: true)
        );

        Duel DuelOf(string name, int entries, Action<OnggiBatch, int> add, Action<RedisBatch, int> addBare) =>
            LockBench.DuelOf(
                name,
                "a bare flush of its commands",
                1,
                async _ =>
                {
                    var batch = keyspace.Batch();
                    for (var i = 0; i < entries; i++)
                        add(batch, i);
                    (await batch.SendAsync()).ThrowIfFailed();
                },
                async _ =>
                {
                    var batch = keyspace.Redis.CreateBatch();
                    for (var i = 0; i < entries; i++)
                        addBare(batch, i);
                    await batch.SendAsync();
                },
                new Goal(1.25, AtMost: true)
            );

        (string Entry, string Lease)[] NamesOf(CacheKey<string>[] keys) =>
            [.. keys.Select(key => keyspace.Keys.WireName(key.Entry)).Select(static name => (name, LeaseName.Of(name)))];
    }

    // The command that publishes what was removed, as the batch sends it.
    private static Action<RedisBatch, int> EventOf((string Entry, string Lease)[] names)
    {
        const string Type = "cache.invalidated";
        const string Head = $"bench:events:head:{Type}";
        var id = Guid.CreateVersion7().ToString();
        var keys = string.Join(',', names.Select(static name => $"\"{name.Entry}\""));
        var envelope = Encoding.UTF8.GetBytes(
            $$$"""{"v":1,"id":"{{{id}}}","type":"{{{Type}}}","source":"node","time":"2026-11-21T09:30:00.25Z","metadata":{},"data":{"family":"gone","keys":[{{{keys}}}]}}"""
        );
        RedisArg[] args = [$"bench:events:global:{Type}", "PUBLISH", id, envelope, id, 10_000, 4 * 1024 * 1024, 60_000];
        return (batch, _) => batch.Add(EventPublisher.Script, [Head, $"{{{Head}}}:ring"], args, EventPublisher.Answer);
    }

    private static (RedisArg[] Keys, RedisArg[] Args) Atomic((string Entry, string Lease)[] names)
    {
        var keys = new RedisArg[2 * names.Length];
        var args = BatchScript.NewArgs(names.Length);
        for (var i = 0; i < names.Length; i++)
        {
            (keys[2 * i], keys[(2 * i) + 1]) = (names[i].Entry, names[i].Lease);
            var own = BatchScript.ArgsOf(args, i);
            (own[0], own[1], own[2]) = ("s", Json, LifeMs);
        }

        return (keys, args);
    }

    private static CacheKey<string>[] KeysOf(string family) =>
        [.. Enumerable.Range(0, Entries).Select(i => new CacheKey<string>(new EntryKey(new KeyFamily(family, "id"), $"{i}")))];
}
