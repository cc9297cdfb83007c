using System.Globalization;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Locks;

namespace Onggi.ServerTests.Events.Streams;

/// <summary>The short form of what <c>./bench streams</c> does with processes of its own.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class StreamBenchTests
{
    [Fact]
    public async Task Consumers_that_are_killed_at_random_lose_nothing_and_do_nothing_twice()
    {
        // A minute, as the promise is measured: ONGGI_STREAM_SECONDS=60, or ./bench streams.
        var seconds = int.TryParse(Environment.GetEnvironmentVariable("ONGGI_STREAM_SECONDS"), CultureInfo.InvariantCulture, out var asked)
            ? asked
            : 15;

        var (rows, said) = await BlockBenchTests.RunAsync("streams", "torture", seconds);

        Assert.Contains(rows, row => row is { Name: "torture.not.once", Pass: true });
        Assert.True(rows.All(row => row.Pass is not false), $"{string.Join('\n', rows.AsEnumerable())} {said}");
    }
}
