using Onggi.Testing;

namespace Onggi.ServerTests.Client.Sentinel;

/// <summary>A master, its replicas and Sentinels for all tests of a class; in the middle of their run the master is killed, and another takes over.</summary>
public sealed class SentinelRun : IAsyncDisposable
{
    private readonly SentinelProcesses _all;
    private readonly int _middle;
    private int _begun;
    private Task? _failover;

    private SentinelRun(SentinelProcesses all, int middle) => (_all, _middle) = (all, middle);

    public string ConnectionString =>
        $"redis+sentinel://{string.Join(',', _all.Sentinels.Select(sentinel => $"127.0.0.1:{sentinel.Port}"))}/{SentinelProcesses.Service}";

    /// <param name="middle">Before which test the master is killed.</param>
    public static async Task<SentinelRun> StartAsync(int middle) => new(await SentinelProcesses.StartAsync(), middle);

    /// <summary>A test begins.</summary>
    public Task NextTestAsync() => ++_begun == _middle ? FailOverAsync() : Task.CompletedTask;

    /// <summary>The master is killed, if it has not been; ends when another has taken over.</summary>
    public Task FailOverAsync() => _failover ??= RunAsync();

    public ValueTask DisposeAsync() => _all.DisposeAsync();

    private async Task RunAsync()
    {
        var switched = _all.NextAsync("+switch-master");
        await (await _all.MasterAsync()).KillAsync();
        await switched;
    }
}

/// <summary>Runs the test that is named so after all others of its class.</summary>
public sealed class LastOneLast : Xunit.Sdk.ITestCaseOrderer
{
    /// <summary>How the last one's name begins.</summary>
    public const string Beginning = "In_the_end_";

    public IEnumerable<TTestCase> OrderTestCases<TTestCase>(IEnumerable<TTestCase> testCases)
        where TTestCase : Xunit.Abstractions.ITestCase =>
        testCases.OrderBy(one => one.TestMethod.Method.Name.StartsWith(Beginning, StringComparison.Ordinal));
}
