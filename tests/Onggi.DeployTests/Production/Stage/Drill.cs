using System.Diagnostics;
using Onggi.Client;

namespace Onggi.DeployTests.Production;

/// <summary>What became of one drill.</summary>
/// <param name="Outage">The longest time without an acknowledged write from the fault on.</param>
/// <param name="Acknowledged">Writes that were acknowledged, before, in and after it.</param>
/// <param name="Lost">Those of them that are not there in the end.</param>
/// <param name="LostOver">From the first to the last of these.</param>
/// <param name="Refused">Writes that were refused, or of which nothing is known; by reason.</param>
internal sealed record DrillOutcome(
    TimeSpan Outage,
    int Acknowledged,
    int Lost,
    TimeSpan LostOver,
    IReadOnlyDictionary<string, int> Refused
)
{
    public override string ToString() =>
        FormattableString.Invariant(
            $"outage {Outage.TotalSeconds:0.00} s, {Acknowledged} acknowledged, {Lost} lost over {LostOver.TotalSeconds:0.00} s, not acknowledged: {string.Join(", ", Refused.Select(pair => $"{pair.Value} {pair.Key}"))}"
        );
}

/// <summary>One drill: callers write, something breaks, and in the end their ledger is compared with the primary.</summary>
internal sealed class Drill : IAsyncDisposable
{
    /// <summary>Keys of this shape belong to the service <see cref="Writer"/>.</summary>
    public const string Prefix = "production:kos_response:drill-";

    /// <summary>The service that writes.</summary>
    public const string Writer = "bill-inquiry";

    private readonly ReplicatedSet _set;
    private readonly RedisClient _client;
    private long _fault;

    private Drill(ReplicatedSet set, RedisClient client, WriteMode mode)
    {
        (_set, _client) = (set, client);
        Ledger = new WriteLedger(client, Prefix, mode);
    }

    public WriteLedger Ledger { get; }

    /// <summary>Begins when writes are acknowledged.</summary>
    /// <param name="set">The servers; they are whole.</param>
    /// <param name="mode">How writers write.</param>
    /// <param name="past">The server that they know, past its proxy and without Sentinels; <c>null</c> for the usual way.</param>
    public static async Task<Drill> BeginAsync(ReplicatedSet set, WriteMode mode = WriteMode.Plain, SetServer? past = null)
    {
        var options = past is null ? set.Options(Writer) : set.Options(Writer, past);
        var drill = new Drill(set, await RedisClient.ConnectAsync(options), mode);
        try
        {
            // Some of them, so that all writers are at work.
            for (var i = 0; i < 3; i++)
            {
                var now = Stopwatch.GetTimestamp();
                await drill.Ledger.UntilAsync(write => write.Error is null && write.Began > now, "at the beginning");
            }

            await WriteForAsync(set.WritesFirst);
            return drill;
        }
        catch
        {
            await drill.DisposeAsync();
            throw;
        }
    }

    /// <summary>Now it breaks.</summary>
    public void Fault() => _fault = Stopwatch.GetTimestamp();

    /// <summary>Waits until a write is acknowledged that began from now on.</summary>
    public Task GoesOnAsync()
    {
        var now = Stopwatch.GetTimestamp();
        return Ledger.UntilAsync(write => write.Error is null && write.Began > now, "acknowledged");
    }

    /// <summary>Waits until the Sentinels name another primary, and a write is acknowledged after that.</summary>
    public async Task GoesOnElsewhereAsync(SetServer old)
    {
        await WaitFor.TrueAsync(async () => await _set.PrimaryAsync() != old, "the Sentinels name another primary");
        await GoesOnAsync();
    }

    /// <summary>Waits until a write that began after the fault is not acknowledged, for one of these reasons.</summary>
    public Task RefusedAsync(params string[] reasons) =>
        Ledger.UntilAsync(write => write.Began > _fault && reasons.Contains(write.Error), $"refused with {string.Join(" or ", reasons)}");

    /// <summary>Lets the writers write for a while: what they do in it is what is measured.</summary>
    public static Task WriteForAsync(TimeSpan time) => time > TimeSpan.Zero ? Task.Delay(time) : Task.CompletedTask;

    /// <summary>Ends the writers, waits until the set is whole, and compares.</summary>
    public async Task<DrillOutcome> EndAsync()
    {
        var writes = await Ledger.EndAsync();
        await _set.WholeAsync();
        var acknowledged = writes.Where(write => write.Error is null).OrderBy(write => write.Ended).ToList();
        await using var reader = await RedisClient.ConnectAsync(_set.Options(Writer));
        var lost = await WriteLedger.MissingAsync(reader, acknowledged);
        return new DrillOutcome(
            Outage(acknowledged),
            acknowledged.Count,
            lost.Count,
            lost.Count == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(lost.Min(write => write.Ended), lost.Max(write => write.Ended)),
            writes
                .Where(write => write.Error is not null)
                .GroupBy(write => write.Error!, StringComparer.Ordinal)
                .ToDictionary(same => same.Key, same => same.Count(), StringComparer.Ordinal)
        );
    }

    public async ValueTask DisposeAsync()
    {
        await Ledger.DisposeAsync();
        await _client.DisposeAsync();
    }

    private TimeSpan Outage(List<Write> acknowledged)
    {
        var (longest, last) = (TimeSpan.Zero, _fault);
        foreach (var write in acknowledged.Where(write => write.Ended > _fault))
        {
            var pause = Stopwatch.GetElapsedTime(last, write.Ended);
            if (pause > longest)
                longest = pause;
            last = write.Ended;
        }

        return longest;
    }
}
