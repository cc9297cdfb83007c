using System.Buffers;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Metrics;
using Onggi.Testing;

namespace Onggi.Tests.Web;

public sealed class PrometheusExporterTests : IDisposable
{
    // What the exporter says of itself, at the end of every page.
    private const string Own = """
        # HELP onggi_metrics_dropped_measurements_total Measurements that were dropped, since their instrument has as many series as it may have.
        # TYPE onggi_metrics_dropped_measurements_total counter
        onggi_metrics_dropped_measurements_total 0
        # HELP onggi_metrics_failed_observations_total Looks at the observable instruments that ended with an exception.
        # TYPE onggi_metrics_failed_observations_total counter
        onggi_metrics_failed_observations_total 0

        """;

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly LogLines _log = new();
    private readonly List<PrometheusExporter> _exporters = [];

    private IMeterFactory Factory => _services.GetRequiredService<IMeterFactory>();

    public void Dispose()
    {
        foreach (var exporter in _exporters)
            exporter.Dispose();
        _services.Dispose();
    }

    [Fact]
    public void Every_kind_of_instrument_has_its_form()
    {
        var meter = Factory.Create("Onggi.Test");
        var exporter = Export();
        var requests = meter.CreateCounter<long>("onggi.cache.requests", "{request}", "Reads by outcome.");
        requests.Add(2, new("onggi.family", "customer"), new("onggi.outcome", "redis"));
        requests.Add(40, new("onggi.family", "customer"), new("onggi.outcome", "memory"));
        var waiting = meter.CreateUpDownCounter<int>("onggi.client.waiting", "{command}", "Commands that wait for a reply.");
        waiting.Add(5);
        waiting.Add(-2);
        meter.CreateGauge<double>("onggi.cache.fill", "1", "How full memory is.").Record(0.25);
        meter.CreateObservableGauge("onggi.cache.entries", () => 7L, "{entry}", "Entries in memory.");
        meter.CreateObservableCounter("onggi.client.sent", () => 9.5, "By", "Bytes sent.");
        meter.CreateObservableUpDownCounter("onggi.client.links", () => 1, "{link}", "Links that are up.");
        var duration = meter.CreateHistogram<double>(
            "onggi.load.duration",
            "s",
            "Time a loader took.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1] }
        );
        duration.Record(0.1, new KeyValuePair<string, object?>("onggi.family", "bill"));
        duration.Record(0.5, new KeyValuePair<string, object?>("onggi.family", "bill"));
        duration.Record(3, new KeyValuePair<string, object?>("onggi.family", "bill"));

        Assert.Equal(
            """
            # HELP onggi_cache_entries Entries in memory.
            # TYPE onggi_cache_entries gauge
            onggi_cache_entries 7
            # HELP onggi_cache_fill_ratio How full memory is.
            # TYPE onggi_cache_fill_ratio gauge
            onggi_cache_fill_ratio 0.25
            # HELP onggi_cache_requests_total Reads by outcome.
            # TYPE onggi_cache_requests_total counter
            onggi_cache_requests_total{onggi_family="customer",onggi_outcome="memory"} 40
            onggi_cache_requests_total{onggi_family="customer",onggi_outcome="redis"} 2
            # HELP onggi_client_links Links that are up.
            # TYPE onggi_client_links gauge
            onggi_client_links 1
            # HELP onggi_client_sent_bytes_total Bytes sent.
            # TYPE onggi_client_sent_bytes_total counter
            onggi_client_sent_bytes_total 9.5
            # HELP onggi_client_waiting Commands that wait for a reply.
            # TYPE onggi_client_waiting gauge
            onggi_client_waiting 3
            # HELP onggi_load_duration_seconds Time a loader took.
            # TYPE onggi_load_duration_seconds histogram
            onggi_load_duration_seconds_bucket{onggi_family="bill",le="0.1"} 1
            onggi_load_duration_seconds_bucket{onggi_family="bill",le="1"} 2
            onggi_load_duration_seconds_bucket{onggi_family="bill",le="+Inf"} 3
            onggi_load_duration_seconds_sum{onggi_family="bill"} 3.6
            onggi_load_duration_seconds_count{onggi_family="bill"} 3

            """ + Own,
            Text(exporter)
        );
    }

    [PromtoolFact]
    public async Task Promtool_has_nothing_to_say()
    {
        var meter = Factory.Create("Onggi.Test");
        var exporter = Export();
        meter
            .CreateCounter<long>("onggi.x.things", "{thing}")
            .Add(1, new KeyValuePair<string, object?>("a.b", "quote \" back \\ line \n end"));
        meter.CreateHistogram<long>("onggi.x.size", "By", "Sizes.").Record(1_000);
        meter.CreateHistogram<double>("onggi.x.wait", "ms", "Waits,\nover two lines \\ with a backslash.").Record(12);
        meter.CreateObservableGauge("onggi.x.fill", () => double.NaN, "%", "Not a number yet.");
        meter.CreateGauge<double>("onggi.x.limit", "KiBy", "No limit.").Record(double.PositiveInfinity);

        Assert.Equal("", await Promtool.CheckAsync(Text(exporter)));
    }

    [Theory]
    [InlineData("onggi.wait", "ms", nameof(MetricKind.Histogram), "onggi_wait_seconds", 0.001)]
    [InlineData("onggi.wait.seconds", "s", nameof(MetricKind.Histogram), "onggi_wait_seconds", 1)]
    [InlineData("onggi.memory", "KiBy", nameof(MetricKind.Gauge), "onggi_memory_bytes", 1_024)]
    [InlineData("onggi.busy", "s", nameof(MetricKind.Counter), "onggi_busy_seconds_total", 1)]
    [InlineData("onggi.requests.total", "{request}", nameof(MetricKind.Counter), "onggi_requests_total", 1)]
    [InlineData("onggi.hits", "1", nameof(MetricKind.Gauge), "onggi_hits_ratio", 1)]
    [InlineData("onggi.hits", "1", nameof(MetricKind.Counter), "onggi_hits_total", 1)]
    [InlineData("onggi.hits", "%", nameof(MetricKind.Gauge), "onggi_hits_ratio", 0.01)]
    [InlineData("dotnet.gc.last_collection.memory.size", "By", nameof(MetricKind.Gauge), "dotnet_gc_last_collection_memory_size_bytes", 1)]
    public void Names_end_in_their_base_unit(string instrument, string unit, string kind, string name, double scale)
    {
        var made = Factory.Create("Onggi.Names").CreateCounter<long>(instrument, unit);

        var result = PrometheusName.Of(made, Enum.Parse<MetricKind>(kind));

        Assert.Equal((name, scale), (result.Text, result.Scale));
    }

    [Fact]
    public void Values_are_converted_with_the_unit_and_the_advised_bounds_too()
    {
        var exporter = Export();
        var advice = new InstrumentAdvice<int> { HistogramBucketBoundaries = [5, 50] };
        Factory.Create("Onggi.Test").CreateHistogram("onggi.wait", "ms", "Waits.", advice: advice).Record(20);

        Assert.Contains(
            """
            onggi_wait_seconds_bucket{le="0.005"} 0
            onggi_wait_seconds_bucket{le="0.05"} 1
            onggi_wait_seconds_bucket{le="+Inf"} 1
            onggi_wait_seconds_sum 0.02
            onggi_wait_seconds_count 1
            """,
            Text(exporter)
        );
    }

    [Fact]
    public void Label_values_are_escaped_and_label_names_made_valid()
    {
        var exporter = Export();
        Factory
            .Create("Onggi.Test")
            .CreateCounter<int>("onggi.x")
            .Add(1, new("1st-tag", "a\"b\\c\nd"), new("flag", true), new("none", null), new("number", 1.5));

        Assert.Contains(
            """
            onggi_x_total{_1st_tag="a\"b\\c\nd",flag="true",none="",number="1.5"} 1
            """,
            Text(exporter)
        );
    }

    [Fact]
    public void Tags_in_another_order_are_the_same_series()
    {
        var exporter = Export();
        var counter = Factory.Create("Onggi.Test").CreateCounter<int>("onggi.x");
        counter.Add(1, new("a", "1"), new("b", "2"));
        counter.Add(1, new("b", "2"), new("a", "1"));

        Assert.Contains("onggi_x_total{a=\"1\",b=\"2\"} 2\n", Text(exporter));
    }

    [Fact]
    public void Tag_names_that_become_one_label_share_it()
    {
        var exporter = Export();
        Factory.Create("Onggi.Test").CreateCounter<int>("onggi.x").Add(1, new("a.b", "1"), new("a-b", "2"));

        Assert.Contains("onggi_x_total{a_b=\"1;2\"} 1\n", Text(exporter));
    }

    [Fact]
    public void Series_over_the_limit_are_dropped_counted_and_logged_once()
    {
        var exporter = Export(options => options.MaxSeries = 2);
        var counter = Factory.Create("Onggi.Test").CreateCounter<int>("onggi.x");
        for (var visitor = 0; visitor < 10; visitor++)
            counter.Add(1, new KeyValuePair<string, object?>("visitor", visitor));
        counter.Add(1, new KeyValuePair<string, object?>("visitor", 0));

        var text = Text(exporter);
        Assert.Contains("onggi_x_total{visitor=\"0\"} 2\n", text);
        Assert.Contains("onggi_x_total{visitor=\"1\"} 1\n", text);
        Assert.DoesNotContain("visitor=\"2\"", text);

        // Clients that other tests made without a factory measure for the whole process, and are over the limit too.
        const string Dropped = "onggi_metrics_dropped_measurements_total ";
        var dropped = text.Split('\n').Single(line => line.StartsWith(Dropped, StringComparison.Ordinal))[Dropped.Length..];
        Assert.InRange(int.Parse(dropped, CultureInfo.InvariantCulture), 8, int.MaxValue);
        Assert.Single(_log.Lines, line => line.Contains("onggi.x has 2 series", StringComparison.Ordinal));
    }

    [Fact]
    public void What_an_observable_no_longer_names_is_gone()
    {
        var exporter = Export();
        string[] names = ["old"];
        Factory
            .Create("Onggi.Test")
            .CreateObservableGauge(
                "onggi.x",
                () => names.Select(name => new Measurement<int>(1, new KeyValuePair<string, object?>("name", name)))
            );
        Assert.Contains("onggi_x{name=\"old\"} 1\n", Text(exporter));

        names = ["new"];

        var text = Text(exporter);
        Assert.Contains("onggi_x{name=\"new\"} 1\n", text);
        Assert.DoesNotContain("old", text);
    }

    [Fact]
    public void Observable_counters_of_the_same_name_add_up()
    {
        var exporter = Export();
        Factory.Create("Onggi.One").CreateObservableUpDownCounter("onggi.x", () => 2);
        Factory.Create("Onggi.Two").CreateObservableUpDownCounter("onggi.x", () => 3);

        Assert.Contains("onggi_x 5\n", Text(exporter));
        Assert.Contains("onggi_x 5\n", Text(exporter));
    }

    [Fact]
    public void An_observable_that_fails_does_not_hide_the_others()
    {
        var exporter = Export();
        var meter = Factory.Create("Onggi.Test");
        meter.CreateObservableGauge("onggi.bad", Failing);
        meter.CreateObservableGauge("onggi.good", () => 3);

        var text = Text(exporter);

        Assert.Contains("onggi_good 3\n", text);
        Assert.Contains("onggi_metrics_failed_observations_total 1\n", text);

        static int Failing() => throw new InvalidOperationException("gone");
    }

    [Fact]
    public void Meters_of_another_host_in_the_process_are_not_shown()
    {
        using var other = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var exporter = Export();
        other.GetRequiredService<IMeterFactory>().Create("Onggi.Test").CreateCounter<int>("onggi.theirs").Add(1);
        Factory.Create("Onggi.Test").CreateCounter<int>("onggi.ours").Add(1);

        var text = Text(exporter);

        Assert.Contains("onggi_ours_total 1\n", text);
        Assert.DoesNotContain("theirs", text);
    }

    [Fact]
    public void Only_the_chosen_meters_are_shown()
    {
        var exporter = Export(options => options.Meters.Add("Shop"));
        Factory.Create("Shop").CreateCounter<int>("shop.orders").Add(1);
        Factory.Create("Shop.Other").CreateCounter<int>("shop.other").Add(1);
        Factory.Create("Onggi.Anything").CreateCounter<int>("onggi.x").Add(1);

        var text = Text(exporter);

        Assert.Contains("shop_orders_total 1\n", text);
        Assert.Contains("onggi_x_total 1\n", text);
        Assert.DoesNotContain("shop_other", text);
    }

    [Fact]
    public void A_name_that_another_kind_of_instrument_has_is_refused_with_a_log_line()
    {
        var exporter = Export();
        Factory.Create("Onggi.A").CreateGauge<int>("onggi.x").Record(1);
        Factory.Create("Onggi.B").CreateHistogram<int>("onggi.x").Record(5);

        Assert.Contains("onggi_x 1\n", Text(exporter));
        Assert.Single(_log.Lines, line => line.Contains("onggi.x of the meter Onggi.B is not shown", StringComparison.Ordinal));
    }

    [Fact]
    public void Concurrent_measurements_all_count()
    {
        var exporter = Export();
        var meter = Factory.Create("Onggi.Test");
        var counter = meter.CreateCounter<long>("onggi.x");
        var histogram = meter.CreateHistogram<double>("onggi.y", "s");
        Parallel.For(
            0,
            8,
            _ =>
            {
                for (var i = 0; i < 10_000; i++)
                {
                    counter.Add(1, new KeyValuePair<string, object?>("t", i % 10));
                    histogram.Record(0.5);
                }
            }
        );

        var text = Text(exporter);

        for (var t = 0; t < 10; t++)
            Assert.Contains($"onggi_x_total{{t=\"{t}\"}} 8000\n", text);
        Assert.Contains("onggi_y_seconds_count 80000\n", text);
        Assert.Contains("onggi_y_seconds_sum 40000\n", text);
    }

    [Fact]
    public async Task A_measurement_allocates_nothing_once_its_series_is_known()
    {
        Export();
        var meter = Factory.Create("Onggi.Test");
        var counter = meter.CreateCounter<long>("onggi.x");
        var histogram = meter.CreateHistogram<double>("onggi.y", "s");

        await Allocation.NoneAsync(() => Measure(1_000));

        void Measure(int times)
        {
            for (var i = 0; i < times; i++)
            {
                counter.Add(1, new("onggi.family", "customer"), new("onggi.outcome", "redis"));
                histogram.Record(0.01, new KeyValuePair<string, object?>("onggi.family", "customer"));
            }
        }
    }

    [Fact]
    public void Not_a_number_does_not_stop_the_counting()
    {
        var exporter = Export();
        var counter = Factory.Create("Onggi.Test").CreateCounter<double>("onggi.x");
        counter.Add(double.NaN);
        counter.Add(1);

        Assert.Contains("onggi_x_total NaN\n", Text(exporter));
    }

    private PrometheusExporter Export(Action<OnggiMetricsOptions>? configure = null)
    {
        var options = new OnggiMetricsOptions();

        // Clients that other tests make have a meter of the process, which every exporter of the process shows.
        if (configure is null)
        {
            options.Meters.Clear();
            foreach (var name in (string[])["Onggi.Test", "Onggi.Names", "Onggi.One", "Onggi.Two", "Onggi.A", "Onggi.B"])
                options.Meters.Add(name);
        }

        configure?.Invoke(options);
        var exporter = new PrometheusExporter(options, Factory, _log);
        _exporters.Add(exporter);
        return exporter;
    }

    private static string Text(PrometheusExporter exporter)
    {
        var buffer = new ArrayBufferWriter<byte>();
        exporter.Write(buffer);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Keeps what is logged.</summary>
    private sealed class LogLines : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Add(formatter(state, exception));
    }
}
