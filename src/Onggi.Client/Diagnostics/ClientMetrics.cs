using System.Diagnostics;
using System.Diagnostics.Metrics;
using Onggi.Client.Connections;
using Onggi.Client.Transport;

namespace Onggi.Client.Diagnostics;

/// <summary>The client's meter and its spans, both <c>Onggi.Client</c>, named by the OpenTelemetry conventions for database clients.</summary>
/// <remarks>What is counted for every command is one histogram; all else is read from plain counters when somebody looks. Spans cost nothing while nobody listens.</remarks>
internal sealed class ClientMetrics : Completions, IDisposable
{
    private const string Name = "Onggi.Client";
    private static readonly ActivitySource Spans = new(Name);
    private static readonly KeyValuePair<string, object?> System = new("db.system.name", "redis");

    private readonly Meter _meter;
    private readonly bool _ownsMeter;
    private readonly Histogram<double> _duration;
    private readonly Counter<long> _connects;
    private readonly Counter<long> _losses;
    private readonly TimeProvider _time;
    private readonly PumpCounters _counters;
    private readonly string _namespace;
    private readonly KeyValuePair<string, object?> _address;
    private readonly KeyValuePair<string, object?> _port;
    private volatile bool _disposed;

    public ClientMetrics(
        RedisClientOptions options,
        IMeterFactory? meters,
        TimeProvider time,
        PumpCounters counters,
        Func<bool> isConnected
    )
    {
        _ownsMeter = meters is null;
        _meter = meters?.Create(Name) ?? new Meter(Name);
        (_time, _counters) = (time, counters);
        _namespace = options.Database.ToString(global::System.Globalization.CultureInfo.InvariantCulture);
        _address = new("server.address", options.Seeds[0].Host);
        _port = new("server.port", options.Seeds[0].Port);
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
            () => Measured(() => new Measurement<int>(isConnected() ? 1 : 0, _address, _port)),
            "{connection}",
            "Whether commands flow: 1 or 0"
        );
        MeasureLinks();
        MeasureTraffic();
    }

    public override void Started(PendingReply pending)
    {
        if (!Spans.HasListeners())
            return;

        // The caller's own span stays the current one: what it does next is not part of this command.
        var caller = Activity.Current;
        pending.Activity = Spans.StartActivity(pending.Name, ActivityKind.Client);
        Activity.Current = caller;
        if (pending.Activity is not { IsAllDataRequested: true } span)
            return;
        span.SetTag(System.Key, System.Value);
        span.SetTag("db.operation.name", pending.Name);
        span.SetTag("db.namespace", _namespace);
        if (pending.Script is { } script)
            span.SetTag("db.stored_procedure.name", script.Name);
    }

    public override void Completed(PendingReply pending, Exception? error)
    {
        if (pending.Activity is { } span)
            End(span, pending, error);
        if (!_duration.Enabled)
            return;
        var tags = new TagList { System, { "db.operation.name", pending.Name } };
        if (error is not null)
            tags.Add("error.type", TypeOf(error));
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
        // A factory's meters end with the factory, and their instruments with them: until then this client's say nothing any more.
        _disposed = true;
        if (_ownsMeter)
            _meter.Dispose();
    }

    private void End(Activity span, PendingReply pending, Exception? error)
    {
        pending.Activity = null;
        try
        {
            if (span.IsAllDataRequested)
            {
                span.SetTag(_address.Key, _address.Value);
                span.SetTag(_port.Key, _port.Value);
                if (pending.Retries > 0)
                    span.SetTag("onggi.client.retries", pending.Retries);
            }

            if (error is not null)
            {
                span.SetTag("error.type", TypeOf(error));
                if (error is RedisServerException refused)
                    span.SetTag("db.response.status_code", refused.Code);
                span.SetStatus(ActivityStatusCode.Error, DescriptionOf(error));
            }

            var current = Activity.Current;
            span.Stop();
            Activity.Current = current;
        }
        catch (Exception)
        {
            // Listeners are other people's code; whoever waits for the reply gets it all the same.
        }
    }

    private void MeasureLinks()
    {
        _meter.CreateObservableUpDownCounter(
            "onggi.client.in_flight",
            () => OfEach(link => link.InFlight),
            "{command}",
            "How many commands wait for replies"
        );
        _meter.CreateObservableGauge(
            "onggi.client.oldest_pending",
            () => OfEach(link => link.OldestAsked == long.MaxValue ? 0 : _time.GetElapsedTime(link.OldestAsked).TotalSeconds),
            "s",
            "How long the oldest command has waited for its reply"
        );
        _meter.CreateObservableUpDownCounter(
            "onggi.client.connections",
            () => OfEach(link => link.IsConnected ? 1 : 0),
            "{connection}",
            "How many connections stand"
        );
        _meter.CreateObservableGauge(
            "onggi.client.certificate.expires_in",
            () =>
                (_disposed ? [] : _counters.Certificates.Last).Select(seen => new Measurement<double>(
                    (seen.End - _time.GetUtcNow()).TotalSeconds,
                    new("server.address", seen.Server.Host),
                    new("server.port", seen.Server.Port)
                )),
            "s",
            "How long the certificate still holds that the server has shown last, or one that it rests on"
        );
    }

    private void MeasureTraffic()
    {
        Count(
            "onggi.client.reads",
            "{read}",
            "Reads from the network; replies per read tell how well replies come together",
            () => _counters.Reads
        );
        Count("onggi.client.replies", "{reply}", "Replies and pushes that were read", () => _counters.Replies);
        Count(
            "onggi.client.sends",
            "{send}",
            "Sends to the network; replies per send tell how well commands go together",
            () => _counters.Sends
        );
        Count("onggi.client.bytes.sent", "By", "Bytes that were sent", () => _counters.BytesSent);
        Count("onggi.client.bytes.received", "By", "Bytes that were received", () => _counters.BytesReceived);
        Count(
            "onggi.client.take_overs",
            "{take_over}",
            "How often another thread had to read, because callers blocked",
            () => _counters.TakeOvers
        );
        _meter.CreateObservableCounter(
            "onggi.client.flushes",
            () =>
                (_disposed ? [] : Enum.GetValues<FlushCause>()).Select(cause => new Measurement<long>(
                    _counters.Flushes(cause),
                    _address,
                    _port,
                    new("onggi.cause", CauseText(cause))
                )),
            "{flush}",
            "Why bytes were sent when they were"
        );
    }

    private void Count(string name, string unit, string description, Func<long> value) =>
        _meter.CreateObservableCounter(name, () => Measured(() => new Measurement<long>(value(), _address, _port)), unit, description);

    private Measurement<T>[] Measured<T>(Func<Measurement<T>> measure)
        where T : struct => _disposed ? [] : [measure()];

    private IEnumerable<Measurement<T>> OfEach<T>(Func<IMeasuredLink, T> value)
        where T : struct =>
        _counters.Links.Select(link => new Measurement<T>(
            value(link),
            new("server.address", link.Address.Host ?? _address.Value),
            new("server.port", link.Address.Host is null ? _port.Value : link.Address.Port),
            new("onggi.purpose", link.Kind)
        ));

    private static string CauseText(FlushCause cause) =>
        cause switch
        {
            FlushCause.Alone => "alone",
            FlushCause.Batch => "batch",
            FlushCause.Queued => "queued",
            FlushCause.Keeper => "keeper",
            _ => "sync",
        };

    // A server can repeat arguments in its error, and so do we where keys are in several slots: what names a key or a value does not belong into a span.
    private static string DescriptionOf(Exception error) =>
        error is (RedisException and not RedisServerException) or OperationCanceledException ? error.Message : TypeOf(error);

    private static string TypeOf(Exception error) => error is RedisServerException refused ? refused.Code : error.GetType().Name;
}
