using System.Runtime.CompilerServices;

namespace Onggi.Events.Replay;

/// <summary>Reads a part of a ring from end to end, for people and tests.</summary>
internal static class RingScan
{
    // What the server's clock may go on by between two questions.
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(10);

    /// <summary>The events that the ring has now and that are in the range, in their order. A round trip per page.</summary>
    public static async IAsyncEnumerable<EventEnvelope> ReadAsync(
        RingReader ring,
        string type,
        EventRange range,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var now = await ring.ReadAsync(type, 1, null, most: 0, cancellationToken).ConfigureAwait(Rt.Capture);
        TimeSpan? age = range.From is { } start ? Max(now.Time - start, TimeSpan.Zero) + Slack : null;
        var next = Math.Max(range.FromSequence ?? 1, 1);
        var last = Math.Min(range.ToSequence ?? long.MaxValue, now.Sequence);
        while (next <= last)
        {
            var page = await ring.ReadAsync(type, next, age, RingReader.EventsOfPage, cancellationToken).ConfigureAwait(Rt.Capture);
            if (page.Events.Count == 0 || page.Epoch != now.Epoch)
                yield break;
            foreach (var kept in page.Events)
            {
                var number = kept.Event.Sequence ?? next;
                if (number > last || kept.Time > range.To)
                    yield break;
                if (!(kept.Time < range.From))
                    yield return kept.Event;
                next = number + 1;
            }
        }
    }

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
