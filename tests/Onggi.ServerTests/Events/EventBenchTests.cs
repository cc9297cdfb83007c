using Onggi.ServerTests.Client;
using Onggi.ServerTests.Locks;

namespace Onggi.ServerTests.Events;

/// <summary>The short form of what <c>./bench events</c> does with a process of its own.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class EventBenchTests
{
    [Fact]
    public async Task A_subscriber_that_is_killed_and_cut_off_five_times_does_5000_events_once_and_in_order()
    {
        var (rows, said) = await BlockBenchTests.RunAsync("events", "killed", seconds: 30);

        Assert.Contains(rows, row => row is { Name: "killed.lost", Pass: true });
        Assert.Contains(rows, row => row is { Name: "killed.published", Value: 5_000 });
        Assert.True(rows.All(row => row.Pass is not false), $"{string.Join('\n', rows.AsEnumerable())} {said}");
    }
}
