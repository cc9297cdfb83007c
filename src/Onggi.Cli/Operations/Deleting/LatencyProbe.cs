using Onggi.Client;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>What other clients feel while we work: somebody who asks for a sign of life all the time, over a connection of its own.</summary>
internal sealed class LatencyProbe : IAsyncDisposable
{
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(1);

    private readonly RedisClient _client;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private long _asked;
    private long _worst;
    private long _worstOfAll;

    private LatencyProbe(RedisClient client, TimeProvider time)
    {
        (_client, _time) = (client, time);
        _loop = AskAsync();
    }

    /// <summary>The longest wait since the beginning.</summary>
    public TimeSpan Worst => Max(Span(Volatile.Read(ref _worstOfAll)), UnderWay);

    private TimeSpan UnderWay => Volatile.Read(ref _asked) is var asked and not 0 ? _time.GetElapsedTime(asked) : TimeSpan.Zero;

    /// <summary>Connects and begins to ask.</summary>
    /// <param name="options">Those of the connection that works.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait for the connection.</param>
    /// <exception cref="RedisException">Redis cannot be reached, or refuses a second connection.</exception>
    public static async Task<LatencyProbe> StartAsync(RedisClientOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var client = await RedisClient.ConnectAsync(options, time: time, cancellationToken: cancellationToken).ConfigureAwait(false);
        return new LatencyProbe(client, time);
    }

    /// <summary>The longest wait since the last time this was asked; one that has no end yet counts as long as it is.</summary>
    public TimeSpan TakeWorst() => Max(Span(Interlocked.Exchange(ref _worst, 0)), UnderWay);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _client.DisposeAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task AskAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var asked = _time.GetTimestamp();
                Volatile.Write(ref _asked, asked);
                await _client.PingAsync(_stop.Token).ConfigureAwait(false);
                Note(_time.GetTimestamp() - asked);
            }
            catch (Exception problem) when (problem is RedisException or OperationCanceledException or ObjectDisposedException)
            {
                // Whoever works on the other connection meets the same, and says so.
            }

            Volatile.Write(ref _asked, 0);
            await Task.Delay(Between, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // One thread at a time writes; another only empties.
    private void Note(long ticks)
    {
        if (ticks > Volatile.Read(ref _worst))
            Interlocked.Exchange(ref _worst, ticks);
        if (ticks > _worstOfAll)
            Volatile.Write(ref _worstOfAll, ticks);
    }

    private TimeSpan Span(long ticks) => _time.GetElapsedTime(0, ticks);

    private static TimeSpan Max(TimeSpan left, TimeSpan right) => left > right ? left : right;
}
