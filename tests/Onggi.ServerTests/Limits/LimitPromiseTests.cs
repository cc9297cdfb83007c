using System.Diagnostics;
using Onggi.Limits;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.ServerTests.Locks;
using Onggi.Testing;

namespace Onggi.ServerTests.Limits;

/// <summary>What limits promise when something fails, each shown to hold, and, with a known mistake switched on, shown not to.</summary>
[Collection(CoherenceScriptTests.Name)]
public sealed class LimitPromiseTests : IDisposable
{
    public void Dispose() => LimitMutants.DenyTooLong = LimitMutants.NoTimeout = false;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_is_denied_is_denied_here_and_no_longer_than_there(bool tooLong)
    {
        LimitMutants.DenyTooLong = tooLong;
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LimitNode.StartAsync(
            server.ConnectionString,
            options => options.Limits.ForFamily("calls", policy => policy.DenyCache = TimeSpan.FromSeconds(10))
        );
        while ((await node.TakeAsync("d")).Allowed) { }

        var before = await server.ScriptsRunAsync();
        var last = await node.TakeAsync("d");
        for (var i = 0; i < 1000 && last is { Allowed: false }; i++)
            last = await node.TakeAsync("d");
        var asked = await server.ScriptsRunAsync() - before;
        // A tenth of a second is enough for one more.
        var allowed = last.Allowed;
        for (var end = Stopwatch.StartNew(); !allowed && end.Elapsed < TimeSpan.FromSeconds(2); await Task.Delay(10))
            allowed = (await node.TakeAsync("d")).Allowed;

        Assert.InRange(asked, 0, 50);
        Assert.Equal(!tooLong, allowed);
    }

    [Theory]
    [InlineData("open", true, false)]
    [InlineData("closed", false, false)]
    [InlineData("open", true, true)]
    public async Task When_Redis_hangs_the_policy_decides_within_its_time_out(string family, bool allowed, bool noTimeout)
    {
        LimitMutants.NoTimeout = noTimeout;
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LimitNode.StartAsync(
            server.ConnectionString,
            options => options.CommandTimeout = TimeSpan.FromSeconds(noTimeout ? 4 : 15)
        );
        server.Pause();

        var first = Stopwatch.StartNew();
        var decision = await node.Limits.TakeAsync(LimitNode.Key(family, "a")).Within();
        first.Stop();
        Assert.Equal((allowed, DecisionSource.FailMode), (decision.Allowed, decision.Source));
        // Ten times the time-out, for machines that are busy; the client alone would wait for longer.
        Assert.Equal(noTimeout, first.Elapsed > 10 * LimitNode.Timeout);
        // The others do not wait each for itself.
        if (!noTimeout)
        {
            var rest = Stopwatch.StartNew();
            for (var i = 0; i < 50; i++)
                await node.Limits.TakeAsync(LimitNode.Key(family, "a")).Within();
            Assert.True(rest.Elapsed < 10 * LimitNode.Timeout, $"{rest.Elapsed}");
        }

        server.Resume();
        await Until.TrueAsync(
            async () => (await node.Limits.TakeAsync(LimitNode.Key(family, "b"))).Source == DecisionSource.Redis,
            "Redis decides again"
        );
    }
}
