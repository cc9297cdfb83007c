using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>Whose the client's meter is: the host's, where one gives a factory; the client's own otherwise.</summary>
public sealed class ClientMetricsTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task The_meter_is_of_the_factory_that_was_given()
    {
        await using var server = Answering();
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var factory = services.GetRequiredService<IMeterFactory>();
        using var heard = new Listening(meter => meter.Name == "Onggi.Client" && meter.Scope == factory);
        await using (var redis = new RedisClient(Options(server), meters: factory))
        {
            await redis.PingAsync().AsTask().WaitAsync(Bound);
            heard.Observe();
        }

        Assert.Contains("db.client.operation.duration", heard.Measured);
        Assert.Contains("onggi.client.connects", heard.Measured);
        Assert.Contains("onggi.client.connected", heard.Measured);
        Assert.Contains("onggi.client.in_flight", heard.Measured);
    }

    [Fact]
    public async Task Two_hosts_in_one_process_do_not_hear_each_others_clients()
    {
        await using var server = Answering();
        await using var ours = new ServiceCollection().AddMetrics().BuildServiceProvider();
        await using var theirs = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using var heard = new Listening(meter => meter.Scope == theirs.GetRequiredService<IMeterFactory>());
        await using var redis = new RedisClient(Options(server), meters: ours.GetRequiredService<IMeterFactory>());

        await redis.PingAsync().AsTask().WaitAsync(Bound);
        heard.Observe();

        Assert.Empty(heard.Measured);
    }

    [Fact]
    public async Task A_disposed_client_leaves_the_factorys_meter_to_the_others()
    {
        await using var server = Answering();
        using var factory = new OneMeter();
        using var heard = new Listening(meter => meter.Scope == factory);
        await using var stays = new RedisClient(Options(server), meters: factory);
        await new RedisClient(Options(server), meters: factory).DisposeAsync();

        await stays.PingAsync().AsTask().WaitAsync(Bound);

        Assert.Contains("db.client.operation.duration", heard.Measured);
    }

    [Fact]
    public async Task A_disposed_clients_gauges_say_nothing_any_more_although_the_meter_lives()
    {
        using var factory = new OneMeter();
        using var heard = new Listening(meter => meter.Scope == factory);
        var redis = new RedisClient(new RedisClientOptions { Host = "gone.invalid" }, meters: factory);
        heard.Observe();
        Assert.Contains("onggi.client.connected gone.invalid", heard.Observed);
        Assert.Contains("onggi.client.flushes gone.invalid", heard.Observed);
        Assert.Contains("onggi.client.reads gone.invalid", heard.Observed);

        await redis.DisposeAsync();

        heard.Forget();
        heard.Observe();
        Assert.Empty(heard.Observed);
    }

    [Fact]
    public async Task A_span_does_not_repeat_what_a_server_repeats_of_a_commands_arguments()
    {
        await using var server = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(command => $"-ERR unknown command '{command[0]}', with args beginning with: '{command[1]}' \r\n");
        });
        var name = $"X{Guid.NewGuid():N}";
        var ended = new TaskCompletionSource<Activity>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Onggi.Client",
            Sample = static (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span =>
            {
                if (span.OperationName == name)
                    ended.TrySetResult(span);
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var redis = new RedisClient(Options(server));

        await Assert.ThrowsAsync<RedisServerException>(() => redis.ExecuteAsync([name, "user:42"]).AsTask().WaitAsync(Bound));

        var span = await ended.Task.WaitAsync(Bound);
        Assert.Equal((ActivityStatusCode.Error, "ERR"), (span.Status, span.StatusDescription));
        Assert.DoesNotContain(span.TagObjects, tag => $"{tag.Value}".Contains("user:42", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_factory_the_meter_ends_with_the_client()
    {
        // The name tells this client's measurements from those of other tests' clients.
        var host = $"own-{Guid.NewGuid():N}.invalid";
        using var heard = new Listening(meter => meter.Name == "Onggi.Client" && meter.Scope is null);
        var redis = new RedisClient(new RedisClientOptions { Host = host });
        heard.Observe();
        Assert.Contains($"onggi.client.connected {host}", heard.Observed);

        await redis.DisposeAsync();

        heard.Forget();
        heard.Observe();
        Assert.DoesNotContain($"onggi.client.connected {host}", heard.Observed);
    }

    private static RedisClientOptions Options(FakeRedis server) => new() { Port = server.Port, CommandTimeout = Bound };

    private static FakeRedis Answering() =>
        FakeRedis.Start(connection => connection.ServeAsync(command => command[0] == "HELLO" ? FakeConnection.HelloReply() : "+PONG\r\n"));

    /// <summary>Hands out one meter to all, and does not shield it from being disposed, as a host's factory does.</summary>
    private sealed class OneMeter : IMeterFactory
    {
        private Meter? _meter;

        public Meter Create(MeterOptions options)
        {
            options.Scope = this;
            return _meter ??= new Meter(options);
        }

        public void Dispose() => _meter?.Dispose();
    }

    /// <summary>Hears some meters.</summary>
    private sealed class Listening : IDisposable
    {
        private readonly Lock _gate = new();
        private readonly MeterListener _listener = new();
        private readonly HashSet<string> _measured = [];
        private readonly HashSet<string> _observed = [];

        public Listening(Func<Meter, bool> which)
        {
            _listener.InstrumentPublished = (instrument, self) =>
            {
                if (which(instrument.Meter))
                    self.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Heard(instrument, tags));
            _listener.SetMeasurementEventCallback<long>((instrument, _, tags, _) => Heard(instrument, tags));
            _listener.SetMeasurementEventCallback<int>((instrument, _, tags, _) => Heard(instrument, tags));
            _listener.Start();
        }

        /// <summary>The instruments that measured something.</summary>
        public IReadOnlyList<string> Measured
        {
            get
            {
                lock (_gate)
                    return [.. _measured];
            }
        }

        /// <summary>The same, each with the server it speaks of.</summary>
        public IReadOnlyList<string> Observed
        {
            get
            {
                lock (_gate)
                    return [.. _observed];
            }
        }

        public void Observe() => _listener.RecordObservableInstruments();

        public void Forget()
        {
            lock (_gate)
            {
                _measured.Clear();
                _observed.Clear();
            }
        }

        public void Dispose() => _listener.Dispose();

        private void Heard(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var address = "";
            foreach (var tag in tags)
                if (tag.Key == "server.address")
                    address = $"{tag.Value}";
            lock (_gate)
            {
                _measured.Add(instrument.Name);
                _observed.Add($"{instrument.Name} {address}");
            }
        }
    }
}
