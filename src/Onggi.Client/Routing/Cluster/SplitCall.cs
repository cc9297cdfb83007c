using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>A command that several nodes answer: its parts are asked all at once, and when all have ended, the caller gets one reply, or the error of a part.</summary>
/// <remarks>The whole is not in any queue. Its parts have its deadline, so it ends when they do; what its caller no longer waits for goes on.</remarks>
internal sealed class SplitCall(Router router, PendingReply whole, KeySplit split) : CommandOrigin
{
    private readonly int _word = whole.Word;

    /// <summary>Sends the parts. From here on the whole belongs to us.</summary>
    public void Begin(long now, int mostBytes)
    {
        // Asked when its caller gives up: some part is on its way by then.
        whole.MaybeExecuted = !split.OnlyReads;
        var asked = new Task<PartReply>[split.Parts.Count];
        for (var i = 0; i < asked.Length; i++)
            asked[i] = Ask(split.Parts[i], now, mostBytes);
        _ = FinishAsync(asked);
    }

    // A part is not a call of its own: the whole is measured.
    public override void Completed(PendingReply pending, Exception? error) { }

    public override bool TryAgain(PendingReply pending, RedisException error) => router.TryAgain(pending, error);

    private Task<PartReply> Ask(KeySplit.Part part, long now, int mostBytes)
    {
        var pending = PendingReply<PartReply>.Rent(split.Parser, whole.Name, now, whole.Deadline, this);
        try
        {
            pending.Encode(new Command(part.Words), mostBytes);
            pending.Traits = new CommandTraits(whole.Traits.Options, part.Slot);
            router.Take(pending);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException or ArgumentException)
        {
            pending.Release();
            pending.Release();
            return Task.FromException<PartReply>(error);
        }

        return pending.Task.AsTask();
    }

    private async Task FinishAsync(Task<PartReply>[] asked)
    {
        var outcomes = new PartOutcome[asked.Length];
        for (var i = 0; i < asked.Length; i++)
        {
            try
            {
                outcomes[i] = new PartOutcome(await asked[i].ConfigureAwait(Rt.Capture), null);
            }
            catch (Exception error)
            {
                outcomes[i] = new PartOutcome(default, error);
            }
        }

        Finish(outcomes);
        whole.Release();
    }

    private void Finish(PartOutcome[] outcomes)
    {
        if (PartOutcome.ErrorOf(split, outcomes) is { } error)
        {
            whole.TryFail(_word, error);
            return;
        }

        try
        {
            if (whole.Reply(split.JoinFrame([.. outcomes.Select(static outcome => outcome.Reply)]).Span))
                whole.Complete();
        }
        catch (RedisReplyException unreadable)
        {
            whole.TryFail(_word, unreadable);
        }
    }
}
