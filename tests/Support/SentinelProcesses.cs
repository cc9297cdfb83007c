using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace Onggi.Testing;

/// <summary>Something that a Sentinel has told its subscribers.</summary>
/// <param name="Timestamp">When it came, by <see cref="Stopwatch.GetTimestamp"/>.</param>
/// <param name="Sentinel">The port of the Sentinel that told it.</param>
/// <param name="Name">What it is: <c>+switch-master</c>, <c>+promoted-slave</c>, <c>+sdown</c> …</param>
/// <param name="Text">To whom it happened.</param>
public sealed record SentinelEvent(long Timestamp, int Sentinel, string Name, string Text);

/// <summary>A master, its replicas and the Sentinels that watch them: real processes on loopback ports, that cannot outlive us.</summary>
public sealed class SentinelProcesses : IAsyncDisposable
{
    /// <summary>The name under which the Sentinels watch the master.</summary>
    public const string Service = "mymaster";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<RedisServerProcess> _servers = [];
    private readonly List<RedisServerProcess> _sentinels = [];
    private readonly Lock _gate = new();
    private readonly List<SentinelEvent> _events = [];
    private readonly List<(Func<SentinelEvent, bool> Wanted, TaskCompletionSource<SentinelEvent> Came)> _waiting = [];
    private readonly CancellationTokenSource _end = new();
    private readonly List<Task> _listening = [];

    private SentinelProcesses() { }

    /// <summary>The one that was the master at the beginning, and then the replicas.</summary>
    public IReadOnlyList<RedisServerProcess> Servers => _servers;

    /// <summary>The Sentinels.</summary>
    public IReadOnlyList<RedisServerProcess> Sentinels => _sentinels;

    /// <summary>All that the Sentinels have told so far, for a failure's message.</summary>
    public IReadOnlyList<SentinelEvent> Events
    {
        get
        {
            lock (_gate)
                return [.. _events];
        }
    }

    /// <summary>Starts them all and waits until each Sentinel knows the replicas and the other Sentinels.</summary>
    /// <param name="replicas">How many replicas the master has.</param>
    /// <param name="sentinels">How many Sentinels watch it; more than half of them agree on its end.</param>
    /// <param name="downAfterMs">How long a server is silent before a Sentinel takes it for dead.</param>
    public static async Task<SentinelProcesses> StartAsync(int replicas = 2, int sentinels = 3, int downAfterMs = 500)
    {
        var all = new SentinelProcesses();
        try
        {
            all._servers.Add(await RedisServerProcess.StartAsync("--repl-diskless-sync-delay", "0"));
            var master = all._servers[0].Port.ToString(CultureInfo.InvariantCulture);
            for (var i = 0; i < replicas; i++)
                all._servers.Add(
                    await RedisServerProcess.StartAsync("--replicaof", "127.0.0.1", master, "--repl-diskless-sync-delay", "0")
                );
            foreach (var replica in all._servers.Skip(1))
                await UntilAsync(
                    async () =>
                        (await replica.CommandAsync("INFO", "replication"))!.Contains("master_link_status:up", StringComparison.Ordinal),
                    $"the replica on port {replica.Port} is in step"
                );
            for (var i = 0; i < sentinels; i++)
                all._sentinels.Add(await StartSentinelAsync(master, quorum: sentinels / 2 + 1, downAfterMs));
            foreach (var sentinel in all._sentinels)
            {
                await UntilAsync(() => KnowsAsync(sentinel, replicas, sentinels - 1), $"the Sentinel on port {sentinel.Port} knows all");
                await all.ListenAsync(sentinel);
            }

            return all;
        }
        catch
        {
            await all.DisposeAsync();
            throw;
        }
    }

    /// <summary>The next thing of this name that any Sentinel tells; the first one tells it first. Ask before you do what brings it about.</summary>
    /// <remarks><c>+promoted-slave</c> comes when a replica has said that it is the master now; <c>+switch-master</c> (old host and port, new host and port) when a Sentinel names it to clients.</remarks>
    public Task<SentinelEvent> NextAsync(string name) => NextAsync(told => told.Name == name);

    /// <summary>The next thing that any Sentinel tells and that is wanted.</summary>
    public async Task<SentinelEvent> NextAsync(Func<SentinelEvent, bool> wanted)
    {
        var came = new TaskCompletionSource<SentinelEvent>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
            _waiting.Add((wanted, came));
        try
        {
            return await came.Task.WaitAsync(Patience);
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException(
                $"No Sentinel told it within {Patience.TotalSeconds} s. They told: {string.Join('\n', Events)}",
                late
            );
        }
    }

    /// <summary>Whom a Sentinel names as the master.</summary>
    /// <param name="sentinel">Which; <c>null</c> for the first that runs.</param>
    public async Task<RedisServerProcess> MasterAsync(RedisServerProcess? sentinel = null)
    {
        sentinel ??= _sentinels.First(one => one.IsRunning);
        var address = await sentinel.CommandAsync("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Service);
        var port = int.Parse(address!.Split('\n')[1], CultureInfo.InvariantCulture);
        return _servers.Single(server => server.Port == port);
    }

    /// <summary>Ends them all.</summary>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_listening);
        foreach (var server in _sentinels.Concat(_servers))
            await server.DisposeAsync();
        _end.Dispose();
    }

    private static async Task<RedisServerProcess> StartSentinelAsync(string master, int quorum, int downAfterMs)
    {
        var sentinel = await RedisServerProcess.StartAsync(
            new RedisServerSettings
            {
                Sentinel = $"""
                sentinel monitor {Service} 127.0.0.1 {master} {quorum}
                sentinel down-after-milliseconds {Service} {downAfterMs}
                sentinel failover-timeout {Service} 2000

                """,
            }
        );
        // Sentinels get to know each other by messages every two seconds, and hear of a promotion by INFO: more often, for tests. And a busy machine must not make them
        // believe that the clock was set. The period of pings is not much shorter than usual: while the master is down, a replica whose INFO, asked for once a second, is older than
        // five of them is no candidate, and with 100 ms half of the elections find none.
        await sentinel.CommandAsync(
            "SENTINEL",
            "DEBUG",
            "INFO-PERIOD",
            "200",
            "PING-PERIOD",
            "400",
            "ASK-PERIOD",
            "100",
            "PUBLISH-PERIOD",
            "200",
            "TILT-TRIGGER",
            "20000"
        );
        return sentinel;
    }

    private static async Task<bool> KnowsAsync(RedisServerProcess sentinel, int replicas, int others)
    {
        var words = (await sentinel.CommandAsync("SENTINEL", "MASTER", Service))!.Split('\n');
        var facts = words.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);
        return facts["flags"] == "master"
            && facts["num-slaves"] == replicas.ToString(CultureInfo.InvariantCulture)
            && facts["num-other-sentinels"] == others.ToString(CultureInfo.InvariantCulture);
    }

    private async Task ListenAsync(RedisServerProcess sentinel)
    {
        var connection = await RawRedis.ConnectAsync(sentinel.Port);
        await connection.CommandAsync("PSUBSCRIBE", "*");
        _listening.Add(ListenLoopAsync(sentinel.Port, connection));
    }

    private async Task ListenLoopAsync(int port, RawRedis connection)
    {
        using (connection)
        {
            try
            {
                while (true)
                {
                    // pmessage, the pattern, the channel, the text.
                    var parts = (await connection.ReadAsync(_end.Token))!.Split('\n', 4);
                    OnEvent(new SentinelEvent(Stopwatch.GetTimestamp(), port, parts[2], parts[3]));
                }
            }
            catch (Exception end) when (end is OperationCanceledException or IOException or SocketException)
            {
                // We are done, or a test has killed the Sentinel.
            }
        }
    }

    private void OnEvent(SentinelEvent told)
    {
        lock (_gate)
        {
            _events.Add(told);
            foreach (var waiting in _waiting.Where(waiting => waiting.Wanted(told)).ToList())
            {
                _waiting.Remove(waiting);
                waiting.Came.TrySetResult(told);
            }
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > Patience)
                throw new TimeoutException($"For {Patience.TotalSeconds} s it was not so that {what}.");
            // Servers tell nobody when they are ready: ask again.
            await Task.Delay(20);
        }
    }
}
