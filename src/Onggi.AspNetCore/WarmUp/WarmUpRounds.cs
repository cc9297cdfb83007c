using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Client;

namespace Onggi.AspNetCore.WarmUp;

/// <summary>Runs one warm-up whenever it is due and nobody else in the fleet does: the mark in Redis decides.</summary>
/// <remarks>
/// <list type="number">
/// <item>Look: is there a mark of the round that is due? Where there is none, and no claim, the claim is ours. Of all who look, one gets it.</item>
/// <item>Run, while the claim is lengthened again and again. It is short: when this process dies another one looks again soon.</item>
/// <item>Say so: the mark is set by whoever still holds the claim. Redis emptied in the middle took the claim away, and with it a part of what was stored: no mark, and all look again.</item>
/// <item>Wait for the next round, for word that Redis is another one or empty, or for a minute: the word may be lost, a claim may have ended, on a cluster nobody sends word.</item>
/// </list>
/// </remarks>
internal sealed partial class WarmUpRounds(
    WarmUpRegistration registration,
    string service,
    WarmUps warmUps,
    IWarmMarks marks,
    TimeProvider time,
    ILogger logger
)
{
    /// <summary>How long a claim stands without being lengthened, and how long after a failure the next attempt comes.</summary>
    public static readonly TimeSpan Claim = TimeSpan.FromSeconds(30);

    /// <summary>How often is looked when nothing happens.</summary>
    public static readonly TimeSpan LookAgain = TimeSpan.FromMinutes(1);

    /// <summary>How soon is looked again when Redis could not be asked.</summary>
    public static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan ClaimEnds = TimeSpan.FromMilliseconds(50);

    private readonly OnggiWarmUpOptions _options = registration.Options;
    private readonly WarmUpTimes _times = new(registration.Options, $"{service}:{registration.Name}");
    private readonly Lock _gate = new();
    private TaskCompletionSource _word = NewSignal();

    // The round up to which nothing is left to do; without WhenEmpty the loss of the mark is not looked for.
    private long? _done;

    private string Name => registration.Name;

    /// <summary>Redis is another one, or empty: looks at once. Does not block.</summary>
    public void Wake()
    {
        lock (_gate)
            _word.TrySetResult();
    }

    /// <summary>Runs until <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        if (!_options.WhenEmpty)
            _done = _times.Due(time.GetUtcNow());
        while (!stop.IsCancellationRequested)
        {
            // Before the look: what is heard while looking or running must not be lost.
            Task word;
            lock (_gate)
            {
                _word = NewSignal();
                word = _word.Task;
            }

            var pause = await LookAsync(stop);
            await word.WaitAsync(pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One look, and the run where it comes to that; how long to wait for the next.</summary>
    private async Task<TimeSpan> LookAsync(CancellationToken stop)
    {
        var due = _times.Due(time.GetUtcNow());
        if (!_options.WhenEmpty && due <= _done)
            return Shorter(LookAgain, UntilNext());
        try
        {
            var holder = $"{Environment.MachineName}/{Guid.CreateVersion7():N}";
            var mark = await marks.ClaimAsync(Name, holder, Claim, due, stop);
            switch (mark.State)
            {
                case WarmState.Warm:
                    _done = due;
                    return Shorter(LookAgain, UntilNext());
                case WarmState.Held:
                    return Shorter(LookAgain, mark.Left + ClaimEnds);
                default:
                    return await RunClaimedAsync(holder, due, isFirst: mark.Round < 0, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return TimeSpan.Zero;
        }
        catch (RedisServerException refused)
        {
            LogRefused(Name, refused.Message);
            return LookAgain;
        }
        catch (RedisException)
        {
            // The connection says by itself what is wrong with it, and word comes when it is back.
            return AskAgain;
        }
        catch (Exception failure)
        {
            // The top of a loop that must live as long as the host.
            LogBroken(Name, failure);
            return LookAgain;
        }
    }

    private async Task<TimeSpan> RunClaimedAsync(string holder, long due, bool isFirst, CancellationToken stop)
    {
        if (isFirst)
            LogEmpty(Name);
        else
            LogDue(Name, DateTimeOffset.FromUnixTimeMilliseconds(due));
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var keeping = KeepAsync(holder, ended.Token);
        try
        {
            if (!await TryRunAsync(stop))
            {
                // The claim is left to run out: so the next attempt comes later, whoever makes it.
                await GiveBackAsync(holder, Claim);
                return Claim + ClaimEnds;
            }

            if (await SayDoneAsync(holder, due, stop))
            {
                _done = due;
                return Shorter(LookAgain, UntilNext());
            }

            LogLost(Name);
            return ClaimEnds;
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            // The next replica need not wait for the claim to end.
            await GiveBackAsync(holder, TimeSpan.Zero);
            return TimeSpan.Zero;
        }
        finally
        {
            await ended.CancelAsync();
            await keeping;
        }
    }

    private async Task<bool> TryRunAsync(CancellationToken stop)
    {
        try
        {
            return await warmUps.RunAnewAsync(Name, stop) is not { Stored: 0, Failed: > 0 };
        }
        catch (Exception) when (!stop.IsCancellationRequested)
        {
            // Whatever it was, the run has logged it.
            return false;
        }
    }

    /// <summary>Sets the mark; tries again while Redis does not answer, since all the work would have been for nothing.</summary>
    private async Task<bool> SayDoneAsync(string holder, long due, CancellationToken stop)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await marks.DoneAsync(Name, holder, due, stop);
            }
            catch (RedisException failure) when (failure.IsTransient && attempt < 5)
            {
                await Task.Delay(AskAgain, time, stop);
            }
        }
    }

    /// <summary>Lengthens the claim until the run has ended, or the claim is another's.</summary>
    private async Task KeepAsync(string holder, CancellationToken ended)
    {
        while (true)
        {
            await Task.Delay(Claim / 3, time, ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (ended.IsCancellationRequested)
                return;
            try
            {
                // Lost: the run goes on, since what it stores is right, but it will not count.
                if (!await marks.KeepAsync(Name, holder, Claim, ended))
                    return;
            }
            catch (Exception failure) when (failure is RedisException or OperationCanceledException)
            {
                // There are two more attempts before it ends.
            }
        }
    }

    private async Task GiveBackAsync(string holder, TimeSpan claim)
    {
        try
        {
            await marks.KeepAsync(Name, holder, claim, CancellationToken.None);
        }
        catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
        {
            // It ends by itself.
        }
    }

    private TimeSpan? UntilNext() => _times.UntilNext(time.GetUtcNow());

    private static TimeSpan Shorter(TimeSpan one, TimeSpan? other) => other < one ? other.Value : one;

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [LoggerMessage(
        8104,
        LogLevel.Information,
        "Redis does not know that {Name} was warmed up: it is new, or came back empty. This replica does it."
    )]
    private partial void LogEmpty(string name);

    [LoggerMessage(8105, LogLevel.Information, "The round of {Round:O} of the warm-up {Name} is due. This replica runs it.")]
    private partial void LogDue(string name, DateTimeOffset round);

    [LoggerMessage(
        8106,
        LogLevel.Warning,
        "The claim to warm up {Name} was lost while it ran: Redis was emptied again, or this process was paused. It is looked at anew."
    )]
    private partial void LogLost(string name);

    [LoggerMessage(
        8107,
        LogLevel.Warning,
        "Redis refuses to say whether {Name} was warmed up: {Reason} Until it does, it does not run by itself."
    )]
    private partial void LogRefused(string name, string reason);

    [LoggerMessage(8108, LogLevel.Error, "The loop that runs {Name} by itself failed; it goes on in a minute.")]
    private partial void LogBroken(string name, Exception failure);
}
