using Onggi.Caching;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Xunit.Abstractions;

namespace Onggi.ServerTests.Caching;

/// <summary>The fake server, on which the simulation runs, beside redis-server with the real scripts: the same random questions, the same answers, the same keys afterwards.</summary>
public sealed class TwinTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Sequences = 40;
    private const int Length = 50;

    private RedisServerProcess _redis = null!;

    public async Task InitializeAsync() => _redis = await RedisServerProcess.StartAsync("--save", "");

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task The_fake_server_answers_as_redis_server_does_and_leaves_the_same_keys()
    {
        var random = Seed.For(nameof(TwinTests));
        await using var client = await RedisClient.ConnectAsync(_redis.ConnectionString);
        var real = new CacheStore(client, FakeServer.EpochName);
        Assert.True(real.TryTrack(new NoSink(), TimeSpan.FromSeconds(10)));
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < Sequences; i++)
        {
            await _redis.CommandAsync("FLUSHALL");
            var twins = new Twins(client, real, random.Next());
            try
            {
                await twins.RunAsync(Length);
            }
            catch (Exception failure)
            {
                Assert.Fail($"{failure.Message}\n{Seed.Line}, sequence {i}\n{string.Join('\n', twins.Trace)}");
            }

            foreach (var (what, count) in twins.Seen)
                seen[what] = seen.GetValueOrDefault(what) + count;
        }

        output.WriteLine(
            $"{Seed.Line}: {string.Join(", ", seen.OrderBy(static one => one.Key).Select(static one => $"{one.Key} {one.Value}"))}"
        );
        // A run in which a case never came up says nothing of it.
        foreach (
            var code in (string[])
                [
                    "Granted",
                    "Fresh",
                    "Held",
                    "StaleHeld",
                    "StaleGranted",
                    "Blocked",
                    "Stored",
                    "LeaseLost",
                    "ForeignWrite",
                    "Full",
                    "OOM",
                    "READONLY",
                ]
        )
            Assert.True(seen.ContainsKey(code), $"{code} never came up; {Seed.Line}");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_fill_while_there_is_no_connection_ends_as_on_the_real_one(bool isBound)
    {
        await using var client = await RedisClient.ConnectAsync(_redis.ConnectionString);
        var (time, sinks) = (new ManualTimeProvider(), new NoSink());
        var real = new CacheStore(client, FakeServer.EpochName);
        var server = new FakeServer(time);
        var fake = new FakeStore(server, time);
        Assert.True(real.TryTrack(sinks, TimeSpan.FromSeconds(10)) && fake.TryTrack(new NoSink(), TimeSpan.FromSeconds(10)));
        await Until.TrueAsync(() => sinks.Generation == 1);
        await real.RenewAsync("token@e", ["k"], TimeSpan.Zero, connection: 1).Within();
        // The lease is there when the next connection comes, as on a server that took over.
        foreach (var name in (string[])["k", "{k}:l"])
            server[name] = null;

        await _redis.KillAsync();
        await Until.TrueAsync(() => real.IsKnownDown);
        fake.Break();
        var bound = isBound ? 1 : 0;
        Task<FillCode[]>[] fills =
        [
            real.FillAsync("token@e", [new FilledEntry("k", "1"u8.ToArray(), 60_000)], bound).AsTask(),
            fake.FillAsync("token@e", [new FilledEntry("k", "1"u8.ToArray(), 60_000)], bound).AsTask(),
        ];
        if (isBound)
        {
            foreach (var fill in fills)
                Assert.Equal(Sent.No, (await fill.FailsWith<RedisConnectionException>()).Sent);
        }

        Assert.All(fills, fill => Assert.Equal(isBound, fill.IsCompleted));
        await _redis.RestartAsync();
        await _redis.CommandAsync("SET", "{k}:l", "token@e|-2", "PX", "60000");
        server["{k}:l"] = "token@e|-2";
        fake.Connect();
        if (!isBound)
        {
            foreach (var fill in fills)
                await fill.Within();
        }

        await Until.TrueAsync(() => sinks.Generation == 2);
        Assert.Equal(isBound ? null : "1", server["k"]);
        if (isBound)
            Assert.Equal("0", await _redis.CommandAsync("EXISTS", "k"));
    }

    private sealed class NoSink : Onggi.Client.Connections.ITrackingSink
    {
        private long _generation;

        public long Generation => Volatile.Read(ref _generation);

        public void Established(long generation) => Volatile.Write(ref _generation, generation);

        public void Invalidated(ReadOnlySpan<byte> key) { }

        public void InvalidatedAll() { }

        public void Lost(long generation) { }
    }
}
