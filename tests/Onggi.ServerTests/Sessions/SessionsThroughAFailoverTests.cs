using System.Collections.Concurrent;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>The contract behind Sentinels: some of it before a failover, the rest after it. All the while somebody signs people in and out.</summary>
[TestCaseOrderer("Onggi.ServerTests.Client.Sentinel.LastOneLast", "Onggi.ServerTests")]
public sealed class SessionsThroughAFailoverTests(SessionRun run) : SessionContract, IClassFixture<SessionRun>, IAsyncLifetime
{
    protected override string ConnectionString => run.Servers.ConnectionString;

    public Task InitializeAsync() => run.Servers.NextTestAsync();

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task In_the_end_no_session_that_the_replicas_confirmed_is_lost_and_none_that_was_ended_is_back()
    {
        await run.Servers.FailOverAsync();
        await run.WorkOnAsync();

        var (confirmed, ended) = await run.EndAsync();

        Assert.True(confirmed.Count > 10 && ended.Count > 10, $"{confirmed.Count} were confirmed, {ended.Count} ended.");
        foreach (var one in confirmed)
            Assert.True(await run.Node.Sessions.ValidateAsync(one.Id) is not null, $"{one.Handle} was confirmed and is lost.");
        foreach (var one in ended)
            await Until.TrueAsync(
                async () => await run.Node.Sessions.ValidateAsync(one.Id) is null,
                $"{one.Handle}, which was ended, is dead"
            );
    }
}

/// <summary>Sentinels and their servers, and a process that signs people in and out for as long as the tests run.</summary>
public sealed class SessionRun : IAsyncLifetime
{
    private const int Writers = 2;

    private readonly ConcurrentQueue<SessionCreation> _confirmed = new();
    private readonly ConcurrentQueue<SessionCreation> _ended = new();
    private volatile bool _isOver;
    private SentinelRun? _servers;
    private SessionNode? _node;
    private Task _work = Task.CompletedTask;

    internal SessionNode Node => _node!;

    internal SentinelRun Servers => _servers!;

    public async Task InitializeAsync()
    {
        _servers = await SentinelRun.StartAsync(middle: 10);
        _node = await SessionNode.StartAsync(
            _servers.ConnectionString,
            options =>
            {
                // All that there are: whoever is elected has it.
                options.Replicas = 2;
                options.ReplicaTimeout = TimeSpan.FromMilliseconds(250);
            }
        );
        _work = Task.WhenAll(Enumerable.Range(0, Writers).Select(WorkAsync));
        await Until.TrueAsync(() => _work.IsFaulted || (_confirmed.Count > 10 && _ended.Count > 10), "people are signed in and out");
    }

    /// <summary>Until some more people were signed out. With the master one of those has gone that confirm, so nobody is counted as confirmed any more.</summary>
    public Task WorkOnAsync()
    {
        var ended = _ended.Count + 4;
        return Until.TrueAsync(() => _work.IsFaulted || _ended.Count >= ended, "people are signed out at the new master");
    }

    /// <summary>Whose sessions all replicas had confirmed, and whose were ended.</summary>
    public async Task<(IReadOnlyList<SessionCreation> Confirmed, IReadOnlyList<SessionCreation> Ended)> EndAsync()
    {
        _isOver = true;
        await _work.Within();
        return ([.. _confirmed], [.. _ended]);
    }

    public async Task DisposeAsync()
    {
        await EndAsync();
        await Node.DisposeAsync();
        await Servers.DisposeAsync();
    }

    private async Task WorkAsync(int writer)
    {
        for (var i = 0; !_isOver; i++)
        {
            try
            {
                var details = new SessionDetails { Limit = new SessionLimit(0) };
                var made = await Node.Sessions.CreateAsync($"writer-{writer}", details, CancellationToken.None);
                // One that is to end can have ended without its caller being told: nobody asks for it afterwards.
                if (i % 2 == 0)
                {
                    await Node.Sessions.RevokeAsync(made.Id, cancellationToken: CancellationToken.None);
                    _ended.Enqueue(made);
                }
                else if (made.Replicas >= 2)
                {
                    _confirmed.Enqueue(made);
                }
            }
            catch (RedisException)
            {
                // The caller was not told that it is done.
            }

            // Beside the tests, not in their place.
            await Task.Delay(20, CancellationToken.None);
        }
    }
}
