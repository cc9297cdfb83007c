using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;

namespace Onggi.Migration;

/// <summary>Lets a service use keys while <c>onggi migrate</c> moves them: on the side that is the true one, without a lost write and without a restart.</summary>
/// <remarks>
/// <para>The phase stands in one key at the new side. The service reads it now and then, and at once when a side refuses a call (NOPERM): that is the fence of the cut-over, the call was not done, and it is
/// done on the other side as soon as the epoch says so. Nothing else decides; a process that was asleep is refused like any other.</para>
/// <para>A call may be done twice, on one side each, only if it consists of several commands of which the fence refused a later one: let a call be one command, one script or one transaction.</para>
/// <para>What a caller sees: Redis <b>slow</b>, <b>gone</b>, <b>full</b>: what the client's call throws. <b>In the cut-over</b>: the call takes as long as that (some ten milliseconds); after <see cref="OnggiMigrationOptions.CutOverPatience"/>
/// the refusal is thrown, and the call was not done. <b>Restarted empty</b>: where the epoch is gone with the keys, the phase last known holds in running processes; new ones begin on the old side, where the fence refuses them if it stands.
/// <b>We were paused</b>: the side last known is asked, and refuses if it is no longer the true one; reads can be old for <see cref="OnggiMigrationOptions.RefreshEvery"/> unless the fence refuses reads too.</para>
/// </remarks>
public sealed class OnggiMigration : IAsyncDisposable
{
    private static readonly TimeSpan FirstPoll = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestPoll = TimeSpan.FromMilliseconds(50);

    private readonly MigrationSide _old;
    private readonly MigrationSide _new;
    private readonly OnggiMigrationOptions _options;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly MigrationMetrics _metrics;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Task _refreshing = Task.CompletedTask;

    // Guarded by the gate.
    private MigrationEpoch _epoch;
    private Task _comparing = Task.CompletedTask;
    private long _reads;
    private long _shadowReads;
    private long _mismatches;

    private OnggiMigration(
        RedisClient old,
        RedisClient @new,
        OnggiMigrationOptions options,
        ILogger logger,
        TimeProvider time,
        IMeterFactory? meters
    )
    {
        (_options, _logger, _time) = (options, logger, time);
        _old = new MigrationSide(old, options.OldPrefix, isNew: false);
        _new = new MigrationSide(@new, options.NewPrefix, isNew: true);
        _metrics = new MigrationMetrics(meters, () => Epoch.Phase);
    }

    /// <summary>The epoch last read.</summary>
    public MigrationEpoch Epoch
    {
        get
        {
            lock (_gate)
                return _epoch;
        }
    }

    /// <summary>How many reads were done on both sides.</summary>
    public long ShadowReads
    {
        get
        {
            lock (_gate)
                return _shadowReads;
        }
    }

    /// <summary>How many of them differed, and still did after <see cref="OnggiMigrationOptions.ShadowPatience"/>.</summary>
    public long ShadowMismatches
    {
        get
        {
            lock (_gate)
                return _mismatches;
        }
    }

    /// <summary>Reads the epoch and begins. One round trip.</summary>
    /// <param name="old">A connection to the server and database that the keys leave. It remains the caller's.</param>
    /// <param name="new">A connection to those they go to, on which the epoch is read; may be the same where only the prefix changes.</param>
    /// <param name="options">Which migration.</param>
    /// <param name="logger">Where it says what happens; <c>null</c> for nowhere.</param>
    /// <param name="time">Its clock; <c>null</c> for the system's.</param>
    /// <param name="meters">Makes its meter; <c>null</c> for a meter of the process.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="RedisException">The epoch cannot be read: which side is the true one is not known.</exception>
    /// <exception cref="ArgumentException">An option has a value that means nothing.</exception>
    public static async ValueTask<OnggiMigration> StartAsync(
        RedisClient old,
        RedisClient @new,
        OnggiMigrationOptions options,
        ILogger<OnggiMigration>? logger = null,
        TimeProvider? time = null,
        IMeterFactory? meters = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(old);
        ArgumentNullException.ThrowIfNull(@new);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        var migration = new OnggiMigration(
            old,
            @new,
            options,
            logger ?? NullLogger<OnggiMigration>.Instance,
            time ?? TimeProvider.System,
            meters
        );
        try
        {
            await migration.RefreshAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch
        {
            await migration.DisposeAsync().ConfigureAwait(Rt.Capture);
            throw;
        }

        using var flow = Rt.WithoutFlow();
        migration._refreshing = migration.KeepFreshAsync();
        return migration;
    }

    /// <summary>Does a call that writes, on the side that is the true one.</summary>
    /// <param name="write">The call: one command, script or transaction on <see cref="MigrationSide.Redis"/>, with keys by <see cref="MigrationSide.Key"/>. Done again on the other side when a fence refused it.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="RedisException">As the call throws it; NOPERM only when the epoch did not change in time.</exception>
    public async ValueTask<T> WriteAsync<T>(
        Func<MigrationSide, CancellationToken, ValueTask<T>> write,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(write);
        var began = _time.GetTimestamp();
        for (var pause = FirstPoll; ; pause = pause < LongestPoll ? pause * 2 : LongestPoll)
        {
            var epoch = Epoch;
            try
            {
                return await write(SideOf(epoch), cancellationToken).ConfigureAwait(Rt.Capture);
            }
            catch (RedisServerException refused) when (refused.Code == "NOPERM")
            {
                var now = await RefreshAsync(cancellationToken).ConfigureAwait(Rt.Capture);
                if (SideOf(now) != SideOf(epoch))
                {
                    _metrics.Redirected();
                    continue;
                }

                // Nothing is under way: the right is missing for another reason.
                if (now.Phase == MigrationPhase.Old || _time.GetElapsedTime(began) > _options.CutOverPatience)
                    throw;
            }

            // The epoch changes soon, or the cut-over is given up and the same side takes it.
            await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
    }

    /// <summary>Does a call that only reads, on the side that is the true one; now and then on the new side too while that is being proven (<see cref="MigrationPhase.Shadow"/>).</summary>
    /// <param name="read">The call.</param>
    /// <param name="same">Whether two results are the same; <c>null</c> for the type's own equality, which for arrays is that of the object.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="RedisException">As the call throws it.</exception>
    public async ValueTask<T> ReadAsync<T>(
        Func<MigrationSide, CancellationToken, ValueTask<T>> read,
        IEqualityComparer<T>? same = null,
        CancellationToken cancellationToken = default
    )
    {
        var value = await WriteAsync(read, cancellationToken).ConfigureAwait(Rt.Capture);
        if (IsShadowsTurn())
            Shadow(read, same ?? EqualityComparer<T>.Default);
        return value;
    }

    /// <summary>Reads the epoch now. One round trip.</summary>
    /// <exception cref="RedisException">It cannot be read.</exception>
    public async ValueTask<MigrationEpoch> RefreshAsync(CancellationToken cancellationToken = default)
    {
        var text = await _new.Redis.GetStringAsync(_options.EpochKey, cancellationToken).ConfigureAwait(Rt.Capture);
        var read = MigrationEpoch.Parse(text);
        lock (_gate)
        {
            // Readings can overtake each other; and a key that is gone says nothing.
            if (read.Number <= _epoch.Number)
                return _epoch;
            _epoch = read;
        }

        MigrationLog.Entered(_logger, _options.Name, read);
        return read;
    }

    /// <summary>Ends the reading of the epoch. The connections remain the caller's.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _refreshing.ConfigureAwait(Rt.Quietly);
        Task comparing;
        lock (_gate)
            comparing = _comparing;
        await comparing.ConfigureAwait(Rt.Quietly);
        _metrics.Dispose();
        _stop.Dispose();
    }

    private MigrationSide SideOf(MigrationEpoch epoch) => epoch.Phase == MigrationPhase.New ? _new : _old;

    private async Task KeepFreshAsync()
    {
        using var timer = new PeriodicTimer(_options.RefreshEvery, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(Rt.Capture))
                await TryRefreshAsync().ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private async ValueTask TryRefreshAsync()
    {
        try
        {
            await RefreshAsync(_stop.Token).ConfigureAwait(Rt.Capture);
        }
        catch (Exception problem) when (problem is RedisException or FormatException)
        {
            MigrationLog.CannotRead(_logger, _options.Name, problem.Message, Epoch);
        }
    }

    private bool IsShadowsTurn()
    {
        if (_options.ShadowEvery == 0)
            return false;
        lock (_gate)
            return _epoch.Phase == MigrationPhase.Shadow && _reads++ % _options.ShadowEvery == 0 && _comparing.IsCompleted;
    }

    private void Shadow<T>(Func<MigrationSide, CancellationToken, ValueTask<T>> read, IEqualityComparer<T> same)
    {
        using var flow = Rt.WithoutFlow();
        var comparing = CompareAsync(read, same);
        lock (_gate)
            _comparing = comparing;
    }

    // The tool is a little behind: what differs is looked at again, on both sides.
    private async Task CompareAsync<T>(Func<MigrationSide, CancellationToken, ValueTask<T>> read, IEqualityComparer<T> same)
    {
        var began = _time.GetTimestamp();
        try
        {
            while (true)
            {
                var there = await read(_new, _stop.Token).ConfigureAwait(Rt.Capture);
                var here = await read(_old, _stop.Token).ConfigureAwait(Rt.Capture);
                var equal = same.Equals(here, there);
                if (!equal && _time.GetElapsedTime(began) < _options.ShadowPatience)
                {
                    await Task.Delay(LongestPoll, _time, _stop.Token).ConfigureAwait(Rt.Capture);
                    continue;
                }

                // Behind the cut-over the two sides may differ.
                if (Epoch.Phase == MigrationPhase.Shadow)
                    Count(equal);
                return;
            }
        }
        catch (Exception problem) when (problem is RedisException or OperationCanceledException)
        {
            // It was only a look: the caller has its value.
        }
    }

    private void Count(bool same)
    {
        lock (_gate)
        {
            _shadowReads++;
            _mismatches += same ? 0 : 1;
        }

        _metrics.Compared(same);
        if (!same)
            MigrationLog.Differs(_logger, _options.Name);
    }
}
