using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Scripts;

/// <summary>Runs scripts and waits until replicas have what they wrote (WAIT).</summary>
/// <remarks>
/// <para>WAIT speaks of what its own connection wrote, and holds it up. So both go over a leased one; sent together they are one round trip, and take as long as the replicas do.</para>
/// <para>A lease asks nothing again and follows nobody. The scripts that come here may be run twice with the same arguments; so both are done here, as the common connection does them.</para>
/// </remarks>
internal sealed class ReplicatedScripts(RedisClient redis, TimeProvider time)
{
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMilliseconds(50);

    /// <summary>Runs a script that may be run twice.</summary>
    /// <param name="script">The script.</param>
    /// <param name="keys">Its keys, at least one, all of one slot.</param>
    /// <param name="args">Its arguments.</param>
    /// <param name="parser">Reads its reply.</param>
    /// <param name="replicas">How many replicas are waited for; 0 for none: then it goes over the common connection.</param>
    /// <param name="timeout">How long.</param>
    /// <param name="cancellationToken">Ends the wait; the script may have run.</param>
    /// <returns>What the script said, and how many replicas have it: fewer than were wanted when the time was over, and 0 where a slot is on its way to another node for longer than half the command time-out.</returns>
    /// <exception cref="RedisException">As for a command on the common connection.</exception>
    public async ValueTask<(T Reply, int Replicas)> RunAsync<T>(
        RedisScript script,
        RedisArg[] keys,
        RedisArg[] args,
        ReplyParser<T> parser,
        int replicas,
        TimeSpan timeout,
        CancellationToken cancellationToken
    )
    {
        if (replicas == 0)
            return (await RunAloneAsync(script, keys, args, parser, cancellationToken).ConfigureAwait(Rt.Capture), 0);
        for (var began = time.GetTimestamp(); ; )
        {
            try
            {
                return await RunLeasedAsync(script, keys, args, parser, replicas, timeout, cancellationToken).ConfigureAwait(Rt.Capture);
            }
            catch (RedisServerException onItsWay) when (onItsWay.Code is "ASK" or "TRYAGAIN")
            {
                // Moving a slot takes a moment. Where it takes longer, the common connection can follow, and no lease.
                if (time.GetElapsedTime(began) * 2 < redis.Options.CommandTimeout)
                {
                    await Task.Delay(AfterFailure, time, cancellationToken).ConfigureAwait(Rt.Capture);
                    continue;
                }

                return (await RunAloneAsync(script, keys, args, parser, cancellationToken).ConfigureAwait(Rt.Capture), 0);
            }
            catch (RedisServerException moved) when (moved.Code == "MOVED" && IsTimeLeft(began))
            {
                // A command on the common connection follows, and learns where the slot is now.
                await redis.ExistsAsync(keys[0], cancellationToken).ConfigureAwait(Rt.Capture);
                await Task.Delay(AfterFailure, time, cancellationToken).ConfigureAwait(Rt.Capture);
            }
            catch (RedisException passing) when (MayPass(passing) && IsTimeLeft(began))
            {
                await Task.Delay(AfterFailure, time, cancellationToken).ConfigureAwait(Rt.Capture);
            }
        }
    }

    private ValueTask<T> RunAloneAsync<T>(
        RedisScript script,
        RedisArg[] keys,
        RedisArg[] args,
        ReplyParser<T> parser,
        CancellationToken cancellationToken
    ) => redis.Router.SendAsync(new Command(script, keys, args), parser, CommandOptions.Idempotent, cancellationToken);

    private bool IsTimeLeft(long began) => time.GetElapsedTime(began) < redis.Options.CommandTimeout;

    private static bool MayPass(RedisException failure) =>
        failure is { IsTransient: true } and (RedisConnectionException or RedisServerException { Code: not "OOM" });

    private async ValueTask<(T Reply, int Replicas)> RunLeasedAsync<T>(
        RedisScript script,
        RedisArg[] keys,
        RedisArg[] args,
        ReplyParser<T> parser,
        int replicas,
        TimeSpan timeout,
        CancellationToken cancellationToken
    )
    {
        var lease = await redis.LeaseAsync(keys[0], cancellationToken).ConfigureAwait(Rt.Capture);
        await using (lease.ConfigureAwait(Rt.Capture))
        {
            RedisArg[] wait = ["WAIT", replicas, (long)timeout.TotalMilliseconds];
            try
            {
                RedisArg[] cached = ["EVALSHA", script.Digest, keys.Length, .. keys, .. args];
                return await RunAndWaitAsync(lease, cached, parser, wait, timeout, cancellationToken).ConfigureAwait(Rt.Capture);
            }
            catch (RedisServerException unknown) when (unknown.Code == "NOSCRIPT")
            {
                RedisArg[] whole = ["EVAL", script.SourceBytes, keys.Length, .. keys, .. args];
                return await RunAndWaitAsync(lease, whole, parser, wait, timeout, cancellationToken).ConfigureAwait(Rt.Capture);
            }
        }
    }

    private async ValueTask<(T Reply, int Replicas)> RunAndWaitAsync<T>(
        RedisLease lease,
        RedisArg[] command,
        ReplyParser<T> parser,
        RedisArg[] wait,
        TimeSpan timeout,
        CancellationToken cancellationToken
    )
    {
        var running = lease.SendAsync(command, parser, cancellationToken).AsTask();
        // Sent behind it without waiting for it.
        var waiting = lease.SendAsync(wait, ReplyParsers.Int64, timeout + redis.Options.CommandTimeout, cancellationToken).AsTask();
        try
        {
            var reply = await running.ConfigureAwait(Rt.Capture);
            return (reply, (int)await waiting.ConfigureAwait(Rt.Capture));
        }
        finally
        {
            // Whatever the first ended with: the other one must have ended too before the connection goes to somebody else.
            await ((Task)waiting).ConfigureAwait(Rt.Quietly);
        }
    }
}
