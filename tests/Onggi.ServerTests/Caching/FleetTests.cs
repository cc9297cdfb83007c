using System.Diagnostics;
using System.Globalization;
using Onggi.Caching;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>Who loads, when a whole fleet misses one key.</summary>
public sealed class FleetTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private const int Nodes = 8;
    private const int Callers = 1_000;

    // What a lease stands for after its last renewal.
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(2);

    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_thousand_callers_on_eight_nodes_cost_one_load_while_its_holder_lives()
    {
        await using var fleet = await Fleet.StartAsync(Server);
        var (loads, running, most) = (0, 0, 0);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var before = await ScriptsAsync();

        var callers = fleet.Ask(
            Callers,
            "fleet",
            async _ =>
            {
                Interlocked.Increment(ref loads);
                var now = Interlocked.Increment(ref running);
                InterlockedMax(ref most, now);
                await release.Task;
                Interlocked.Decrement(ref running);
                return "value";
            }
        );
        await CacheNode.UntilAsync(() => Volatile.Read(ref loads) > 0);

        // Everybody has asked, and has been told several times that it is being loaded: each renewal of the lease wakes those who wait.
        await CacheNode.UntilAsync(async () => await ScriptsAsync() > before + (5 * Nodes));
        Assert.DoesNotContain(callers, caller => caller.IsCompleted);
        release.SetResult();

        Assert.All(await Task.WhenAll(callers).Within(), value => Assert.Equal("value", value));
        Assert.Equal((1, 1), (loads, most));
        Assert.Equal(1, fleet.Nodes.Sum(node => node.Cache.Statistics("text").Loads));
    }

    [Fact]
    public async Task Where_a_family_waits_for_nobody_each_node_loads_once()
    {
        await using var fleet = await Fleet.StartAsync(
            Server,
            options => options.Cache.ForFamily("text", family => family.WaitForOthers = false)
        );
        var loads = 0;
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        var callers = fleet.Ask(
            Callers,
            "alone",
            async _ =>
            {
                Interlocked.Increment(ref loads);
                await release.Task;
                return "value";
            }
        );
        await CacheNode.UntilAsync(() => Volatile.Read(ref loads) == Nodes);
        Assert.DoesNotContain(callers, caller => caller.IsCompleted);
        release.SetResult();

        Assert.All(await Task.WhenAll(callers).Within(), value => Assert.Equal("value", value));
        Assert.All(fleet.Nodes, node => Assert.Equal(1, node.Cache.Statistics("text").Loads));
        Assert.Equal("\"value\"", await Server.CommandAsync("GET", "test:text:alone"));
    }

    [Fact]
    public async Task A_holder_that_is_killed_is_followed_by_another_as_soon_as_its_lease_has_ended()
    {
        await using var node = await CacheNode.StartAsync(Server.ConnectionString);
        await using var holder = await HolderProcess.StartAsync(Server.Port, "orphan");
        var loads = 0;
        var began = Stopwatch.GetTimestamp();
        var waiting = node
            .Cache.GetOrLoadAsync(
                CacheNode.Text("orphan"),
                _ =>
                {
                    loads++;
                    return new((string?)"follower");
                }
            )
            .AsTask();

        // While it lives it keeps its lease, longer than one lease stands.
        await CacheNode.UntilAsync(() => Stopwatch.GetElapsedTime(began) > 1.5 * Lease || waiting.IsCompleted);
        Assert.False(waiting.IsCompleted);
        Assert.Equal(0, loads);

        var killed = Stopwatch.GetTimestamp();
        holder.Kill();
        Assert.Equal("follower", await waiting.Within());
        var took = Stopwatch.GetElapsedTime(killed);

        Assert.Equal(1, loads);
        // The lease, at most ten milliseconds of spreading, and what a busy machine adds.
        Assert.InRange(took, TimeSpan.Zero, Lease + TimeSpan.FromSeconds(2));
        Assert.Equal("\"follower\"", await Server.CommandAsync("GET", "test:text:orphan"));
    }

    // How many scripts the server has run.
    private async Task<int> ScriptsAsync()
    {
        const string Calls = ":calls=";
        var stats = await Server.CommandAsync("INFO", "commandstats");
        return stats!
            .Split('\n')
            .Where(line => line.StartsWith("cmdstat_eval", StringComparison.Ordinal))
            .Select(line =>
                line[(line.IndexOf(Calls, StringComparison.Ordinal) + Calls.Length)..line.IndexOf(',', StringComparison.Ordinal)]
            )
            .Sum(count => int.Parse(count, CultureInfo.InvariantCulture));
    }

    private static void InterlockedMax(ref int most, int now)
    {
        for (var known = Volatile.Read(ref most); known < now; known = Volatile.Read(ref most))
            Interlocked.CompareExchange(ref most, now, known);
    }

    /// <summary>Eight nodes, each with connections and memory of its own.</summary>
    private sealed class Fleet : IAsyncDisposable
    {
        public List<CacheNode> Nodes { get; } = [];

        public static async Task<Fleet> StartAsync(RedisServerProcess server, Action<OnggiOptions>? configure = null)
        {
            var fleet = new Fleet();
            for (var i = 0; i < FleetTests.Nodes; i++)
                fleet.Nodes.Add(await CacheNode.StartAsync(server.ConnectionString, configure));
            return fleet;
        }

        public List<Task<string?>> Ask(int callers, string id, Func<LoadContext, ValueTask<string?>> loader) =>
            [
                .. Enumerable
                    .Range(0, callers)
                    .Select(caller =>
                        Task.Run(async () => await Nodes[caller % FleetTests.Nodes].Cache.GetOrLoadAsync(CacheNode.Text(id), loader))
                    ),
            ];

        public async ValueTask DisposeAsync()
        {
            foreach (var node in Nodes)
                await node.DisposeAsync();
        }
    }

    /// <summary>A process that loads one entry until it is killed.</summary>
    private sealed class HolderProcess : IAsyncDisposable
    {
        private readonly Process _process;

        private HolderProcess(Process process) => _process = process;

        public static async Task<HolderProcess> StartAsync(int port, string id)
        {
            var start = new ProcessStartInfo("dotnet", [CoherenceRun.Bench(), "holder", $"{port}", id])
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            };
            var holder = new HolderProcess(Process.Start(start)!);
            Assert.Equal("loading", await holder._process.StandardOutput.ReadLineAsync().Within());
            return holder;
        }

        /// <summary>SIGKILL.</summary>
        public void Kill() => _process.Kill();

        public async ValueTask DisposeAsync()
        {
            _process.Kill();
            await _process.WaitForExitAsync().Within();
            _process.Dispose();
        }
    }
}
