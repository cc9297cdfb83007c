using System.Diagnostics;
using System.Diagnostics.Metrics;
using Onggi.Client.Connections;

namespace Onggi.Client.Diagnostics;

/// <summary>The client's meter, <c>Onggi.Client</c>, named by the OpenTelemetry conventions for database clients.</summary>
internal sealed class ClientMetrics : Completions, IDisposable
{
    private readonly Meter _meter;
    private readonly bool _ownsMeter;
    private readonly Histogram<double> _duration;
    private readonly Counter<long> _connects;
    private readonly Counter<long> _losses;
    private readonly TimeProvider _time;
    private readonly KeyValuePair<string, object?> _address;
    private readonly KeyValuePair<string, object?> _port;

    public ClientMetrics(RedisClientOptions options, IMeterFactory? meters, TimeProvider time, Func<bool> isConnected, Func<int> inFlight)
    {
        _ownsMeter = meters is null;
        _meter = meters?.Create("Onggi.Client") ?? new Meter("Onggi.Client");
        _time = time;
        _address = new("server.address", options.Host);
        _port = new("server.port", options.Port);
        _duration = _meter.CreateHistogram(
            "db.client.operation.duration",
            "s",
            "How long commands took, from the call to the reply, the error or the time-out",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5] }
        );
        _connects = _meter.CreateCounter<long>("onggi.client.connects", "{connection}", "How many connections were made");
        _losses = _meter.CreateCounter<long>("onggi.client.losses", "{connection}", "How many connections were lost");
        _meter.CreateObservableGauge(
            "onggi.client.connected",
            () => new Measurement<int>(isConnected() ? 1 : 0, _address, _port),
            "{connection}",
            "Whether commands flow: 1 or 0"
        );
        _meter.CreateObservableUpDownCounter(
            "onggi.client.in_flight",
            () => new Measurement<int>(inFlight(), _address, _port),
            "{command}",
            "How many commands wait for replies"
        );
    }

    public override void Completed(PendingReply pending, Exception? error)
    {
        if (!_duration.Enabled)
            return;
        var tags = new TagList { { "db.system.name", "redis" }, { "db.operation.name", pending.Name } };
        if (error is not null)
            tags.Add("error.type", error is RedisServerException refused ? refused.Code : error.GetType().Name);
        try
        {
            _duration.Record(_time.GetElapsedTime(pending.Asked).TotalSeconds, tags);
        }
        catch (Exception)
        {
            // Listeners are other people's code; whoever waits for the reply gets it all the same.
        }
    }

    public void Changed(bool connected) => (connected ? _connects : _losses).Add(1, _address, _port);

    public void Dispose()
    {
        // A factory's meters end with the factory.
        if (_ownsMeter)
            _meter.Dispose();
    }
}
