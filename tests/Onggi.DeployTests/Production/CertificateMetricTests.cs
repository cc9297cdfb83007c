using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.DeployTests.Production;

/// <summary>A service of production tells of every certificate that it depends on: a Sentinel keeps the one that it was started with, also when Redis has got a new one.</summary>
[Collection(ProductionSetTests.Name)]
public sealed class CertificateMetricTests(ProductionSetFixture fixture)
{
    [Fact]
    public async Task A_service_tells_of_the_certificates_of_the_primary_and_of_each_Sentinel()
    {
        await using var host = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meters = host.GetRequiredService<IMeterFactory>();
        await using var redis = new RedisClient(fixture.Set.Options("auth"), meters: meters);
        await redis.ConnectAsync();
        var primary = await fixture.Set.PrimaryAsync();

        await Until.TrueAsync(
            () => Ports(meters).Order().SequenceEqual(fixture.Set.SentinelPorts.Append(primary.Announced).Order()),
            "all are told"
        );
    }

    private static List<int> Ports(IMeterFactory meters)
    {
        var ports = new List<int>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "onggi.client.certificate.expires_in" && instrument.Meter.Scope == meters)
                    self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>(
            (_, seconds, tags, _) =>
            {
                foreach (var tag in tags)
                    if (tag.Key == "server.port" && seconds > 0)
                        ports.Add((int)tag.Value!);
            }
        );
        listener.Start();
        listener.RecordObservableInstruments();
        return ports;
    }
}
