using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Client;

namespace Onggi.AspNetCore.WarmUp;

/// <summary>The warm-ups of this host, each running at most once at a time.</summary>
internal sealed partial class WarmUps
{
    private readonly SortedDictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private readonly IServiceScopeFactory _scopes;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly TimeProvider _time;
    private readonly ILogger<WarmUps> _logger;

    // Guards which runs are under way.
    private readonly Lock _gate = new();

    /// <exception cref="InvalidOperationException">Two have the same name.</exception>
    public WarmUps(
        IEnumerable<WarmUpRegistration> registered,
        IServiceScopeFactory scopes,
        IHostApplicationLifetime lifetime,
        TimeProvider time,
        ILogger<WarmUps> logger
    )
    {
        _scopes = scopes;
        _lifetime = lifetime;
        _time = time;
        _logger = logger;
        foreach (var registration in registered)
        {
            if (!_slots.TryAdd(registration.Name, new Slot(registration)))
                throw new InvalidOperationException(
                    $"There are two warm-ups named '{registration.Name}'. Give one of the AddOnggiWarmUp calls another name."
                );
        }
    }

    public IEnumerable<string> Names => _slots.Keys;

    /// <summary>The run under way, or a new one; <c>null</c> when there is no warm-up of that name.</summary>
    public (WarmUpRun Run, bool Joined)? Start(string name)
    {
        if (!_slots.TryGetValue(name, out var slot))
            return null;
        lock (_gate)
        {
            if (slot.Current is { } running)
                return (running, true);
            var run = slot.Current = new WarmUpRun();
            _ = RunAsync(slot, run);
            return (run, false);
        }
    }

    /// <summary>A run that begins now: one that is under way is waited for first, since it may have begun before Redis was emptied.</summary>
    /// <exception cref="Exception">Whatever the warm-up throws.</exception>
    public async Task<WarmReport> RunAnewAsync(string name, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (run, joined) = Start(name)!.Value;
            if (!joined)
                return await run.Completion.WaitAsync(cancellationToken);
            await ((Task)run.Completion).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    public WarmUpList List()
    {
        lock (_gate)
            return new WarmUpList([.. _slots.Values.Select(State)]);
    }

    private static WarmUpState State(Slot slot) =>
        new(
            slot.Registration.Name,
            slot.Current is not null,
            slot.Current?.Latest is { } progress ? ProgressBody.Of(progress) : null,
            slot.Last is { } report ? ReportBody.Of(report, joined: false) : null,
            slot.LastEnded
        );

    private async Task RunAsync(Slot slot, WarmUpRun run)
    {
        // The caller holds the gate: whatever the warm-up does first must not happen under it.
        await Task.Yield();
        var name = slot.Registration.Name;
        try
        {
            await using var scope = _scopes.CreateAsyncScope();
            LogStarted(name);
            var report = await slot.Registration.Run(scope.ServiceProvider, run, _lifetime.ApplicationStopping);
            LogEnded(name, report.Stored, report.Failed, report.Elapsed);
            Free(slot, report);
            run.End(report);
        }
        catch (Exception failure)
        {
            // Whatever a warm-up throws is told to those who wait for it; the process goes on.
            if (failure is RedisException or OperationCanceledException)
                LogBroken(name, failure.Message);
            else
                LogFailed(name, failure);
            Free(slot, null);
            run.End(failure);
        }
    }

    // Before those who wait are told: who then asks again gets a new run.
    private void Free(Slot slot, WarmReport? report)
    {
        lock (_gate)
        {
            slot.Current = null;
            if (report is null)
                return;
            slot.Last = report;
            slot.LastEnded = _time.GetUtcNow();
        }
    }

    [LoggerMessage(8100, LogLevel.Information, "Warming up {Name}.")]
    private partial void LogStarted(string name);

    [LoggerMessage(8101, LogLevel.Information, "Warmed up {Name}: {Stored} entries stored, {Failed} failed, in {Elapsed}.")]
    private partial void LogEnded(string name, long stored, long failed, TimeSpan elapsed);

    [LoggerMessage(8102, LogLevel.Warning, "Warming up {Name} broke off: {Reason} What was stored until then stays; start it again later.")]
    private partial void LogBroken(string name, string reason);

    [LoggerMessage(8103, LogLevel.Error, "Warming up {Name} failed.")]
    private partial void LogFailed(string name, Exception failure);

    private sealed class Slot(WarmUpRegistration registration)
    {
        public WarmUpRegistration Registration { get; } = registration;

        public WarmUpRun? Current { get; set; }

        public WarmReport? Last { get; set; }

        public DateTimeOffset? LastEnded { get; set; }
    }
}
