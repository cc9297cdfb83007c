using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Onggi.Caching;

namespace Onggi.AspNetCore.WarmUp;

/// <summary>Runs the warm-ups that run by themselves, from the start of the host to its end.</summary>
internal sealed class WarmUpService(
    IServiceProvider services,
    IEnumerable<WarmUpRegistration> registered,
    WarmUps warmUps,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<WarmUpService> logger
) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // A host may have warm-ups without Onggi: those that somebody asks for.
        var automatic = registered.Where(static one => one.Options.IsAutomatic).ToList();
        if (automatic.Count == 0 || services.GetService<OnggiKeyspace>() is not { } keyspace)
            return;
        // The end of the host comes before the end of its services: what runs then is broken off at once.
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lifetime.ApplicationStopping);
        // A warm-up may need what the start makes, and the start must not wait for it.
        var started = Task.Delay(Timeout.InfiniteTimeSpan, time, lifetime.ApplicationStarted);
        await started.WaitAsync(stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        var marks = new WarmMarks(keyspace.Redis, keyspace.Keys, () => keyspace.Cache.IsKnownDown);
        var all = automatic.ConvertAll(one => new WarmUpRounds(one, keyspace.Keys.Service ?? "", warmUps, marks, time, logger));
        void Wake(Epoch epoch, bool wasEmpty)
        {
            foreach (var one in all)
                one.Wake();
        }

        keyspace.Cache.Link.EpochChanged += Wake;
        try
        {
            await Task.WhenAll(all.Select(one => one.RunAsync(stopping.Token)));
        }
        finally
        {
            keyspace.Cache.Link.EpochChanged -= Wake;
        }
    }
}
