using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Keys;
using Onggi.Testing;
using Onggi.Tests.Events;

namespace Onggi.Tests.Caching;

/// <summary>One node's cache without a server: the store, the events and the clock belong to the test. It is connected and greeted when this returns.</summary>
internal sealed class CacheHarness : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    private readonly TimeProviderClock _clock;

    public CacheHarness(CacheOptions? options = null, string? catalog = null, bool watches = true)
    {
        Keys = Keyspace.Load(catalog ?? TestKeys.CatalogJson, service: "shop");
        Store = new FakeStore(new FakeServer(Time), Time) { Watches = watches };
        _clock = new TimeProviderClock(Time);
        Cache = new OnggiCache(
            Store,
            Keys,
            options ?? new CacheOptions(),
            CacheTestJson.Default,
            Events,
            Events,
            Meters,
            new Logger<OnggiCache>(Log),
            Time,
            _clock
        );
        // Nothing here waits for a server, so this does not block for long.
        Cache.Link.GreetedAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60)).GetAwaiter().GetResult();
    }

    public Keyspace Keys { get; }

    public FakeStore Store { get; }

    public FakeServer Server => Store.Server;

    public FakeEvents Events { get; } = new();

    public ManualTimeProvider Time { get; } = new();

    public LogLines Log { get; } = new();

    public IMeterFactory Meters => _services.GetRequiredService<IMeterFactory>();

    public OnggiCache Cache { get; }

    /// <summary>Lets time pass, and the node hear from the server again and again meanwhile.</summary>
    public async Task PassAsync(TimeSpan time)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        for (var left = time; left > TimeSpan.Zero; left -= TimeSpan.FromMilliseconds(50))
        {
            Time.Advance(left < TimeSpan.FromMilliseconds(50) ? left : TimeSpan.FromMilliseconds(50));
            // The proof is to be as young as the last beat that is due by now.
            for (var turn = 1; Cache.Memory.Proof is not { } proof || proof.Until < _clock.Now + 300; turn++)
            {
                patience.Token.ThrowIfCancellationRequested();
                await Task.Yield();
                if (turn % 5_000 != 0)
                    continue;
                // On a busy machine the node can have begun its pause late: then its next beat is due later.
                Time.Advance(TimeSpan.FromMilliseconds(2));
                left -= TimeSpan.FromMilliseconds(2);
            }
        }
    }

    public void Dispose()
    {
        Cache.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _services.Dispose();
    }
}

/// <summary>A load that a test starts, holds and ends.</summary>
internal sealed class Gate<T>
{
    private readonly TaskCompletionSource _begun = new(Rt.Signals);
    private readonly TaskCompletionSource<T> _end = new(Rt.Signals);
    private int _runs;

    public int Runs => Volatile.Read(ref _runs);

    public Task Begun => _begun.Task.WaitAsync(TimeSpan.FromSeconds(60));

    public CancellationToken Token { get; private set; }

    public LoadContext? Context { get; private set; }

    public async ValueTask<T> LoadAsync(LoadContext context)
    {
        Interlocked.Increment(ref _runs);
        (Token, Context) = (context.CancellationToken, context);
        _begun.TrySetResult();
        return await _end.Task;
    }

    public void Release(T value) => _end.SetResult(value);

    public void Fail(Exception error) => _end.SetException(error);
}
