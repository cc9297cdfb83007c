using System.Runtime.InteropServices;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Batches;

/// <summary>Sends a batch.</summary>
/// <remarks>
/// <list type="number">
/// <item>What is about to be changed is dropped here, so that nobody begins with it.</item>
/// <item>What memory has is answered; the rest goes out together. Where a change is answered, it is dropped once more, on the reading loop.</item>
/// <item>When all have an end, each takes its result; where a change was not answered, it may be made all the same, so it is dropped a last time.</item>
/// <item>What was removed is told, and waited for where its family says so.</item>
/// </list>
/// </remarks>
internal sealed class BatchRun(EntryCommands commands, List<BatchEntry> entries, bool isAtomic)
{
    public async ValueTask RunAsync(CancellationToken cancellationToken)
    {
        var cancelled = cancellationToken.IsCancellationRequested;
        if (entries.Count > 0 && !cancelled)
        {
            Forget();
            try
            {
                await SendAsync(cancellationToken).ConfigureAwait(Rt.Capture);
                await WaitForAllAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                cancelled = true;
            }
            finally
            {
                Forget();
            }
        }

        if (cancelled)
            ThrowUnlessDone(cancellationToken);
    }

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (isAtomic)
                await SendAtomicAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            else
                await SendEachAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            TellRemoved();
        }
    }

    private void TellRemoved()
    {
        var families = new Dictionary<CacheFamily, List<string>>();
        foreach (var entry in entries)
        {
            if (!IsRemoved(entry))
                continue;
            ref var names = ref CollectionsMarshal.GetValueRefOrAddDefault(families, entry.OfFamily, out _);
            (names ??= new List<string>(entries.Count)).Add(entry.WireName);
        }

        foreach (var (family, names) in families)
            commands.Removed(family, [.. names]);
    }

    private async ValueTask SendEachAsync(CancellationToken cancellationToken)
    {
        // Reads are not kept, so they go where nobody watches them: watched, each would cost the server as much again.
        RedisBatch? changes = null;
        RedisBatch? reads = null;
        List<BatchEntry>? judged = null;
        var sent = new List<BatchEntry>(entries.Count);
        foreach (var entry in entries)
        {
            if (entry.TryAnswer(commands))
                continue;
            if (entry.IsChange)
                Add(entry, changes ??= commands.NewBatch(), sent, epoch: null);
            else if (entry.OfFamily.Policy.FailoverSafety == FailoverSafety.Strict)
                (judged ??= []).Add(entry);
            else
                Add(entry, reads ??= commands.NewReadBatch(), sent, epoch: null);
        }

        if (judged is not null)
            await AddJudgedAsync(judged, changes ??= commands.NewBatch(), sent, cancellationToken).ConfigureAwait(Rt.Capture);
        try
        {
            // Both are on their way before either is waited for.
            var changing = changes?.SendAsync(cancellationToken: cancellationToken) ?? Task.CompletedTask;
            var reading = reads?.SendAsync(cancellationToken: cancellationToken) ?? Task.CompletedTask;
            await Task.WhenAll(changing, reading).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            foreach (var entry in sent)
                entry.Finish(commands);
        }
    }

    // Of these it matters when they were written: the question needs the epoch of the connection that it goes over.
    private async ValueTask AddJudgedAsync(
        List<BatchEntry> judged,
        RedisBatch batch,
        List<BatchEntry> sent,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var epoch = await commands.EpochAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            foreach (var entry in judged)
                Add(entry, batch, sent, epoch);
        }
        catch (RedisException error)
        {
            foreach (var entry in judged)
                entry.Fail(error);
        }
    }

    private void Add(BatchEntry entry, RedisBatch batch, List<BatchEntry> sent, Epoch? epoch)
    {
        try
        {
            entry.AddTo(batch, commands, epoch);
            sent.Add(entry);
        }
        catch (RedisBusyException error)
        {
            // Alone it is larger than what the client lets wait.
            entry.Fail(error);
        }
    }

    private async ValueTask SendAtomicAsync(CancellationToken cancellationToken)
    {
        var batch = commands.NewBatch();
        BatchItem<bool> all;
        try
        {
            all = entries.Exists(static entry => entry.IsChange) ? AddScript(batch) : AddReads(batch);
        }
        catch (RedisBusyException error)
        {
            entries.ForEach(entry => entry.Fail(error));
            return;
        }

        try
        {
            await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            foreach (var entry in entries)
            {
                if (all.Outcome == BatchOutcome.Answered)
                    entry.FinishAtomic(commands);
                else if (all.Outcome == BatchOutcome.Failed)
                    entry.Fail(all.Error!);
                else
                    entry.Leave(all.Outcome);
            }
        }
    }

    private BatchItem<bool> AddScript(RedisBatch batch)
    {
        var keys = new RedisArg[2 * entries.Count];
        var args = BatchScript.NewArgs(entries.Count);
        for (var i = 0; i < entries.Count; i++)
        {
            BatchScript.KeysOf(entries[i].WireName).CopyTo(keys, 2 * i);
            entries[i].WriteArgs(BatchScript.ArgsOf(args, i));
        }

        return batch.Add(BatchScript.Script, keys, args, ReadAll);
    }

    // Who may only read the keys may do that in one step, too.
    private BatchItem<bool> AddReads(RedisBatch batch) =>
        batch.Add(
            CacheStore.ReadScript,
            entries.ConvertAll(static entry => (RedisArg)entry.WireName).ToArray(),
            [],
            ReadAll,
            CommandOptions.Idempotent | CommandOptions.Primary
        );

    private bool ReadAll(ref RespReader reader)
    {
        foreach (var entry in entries)
        {
            reader.Read();
            entry.Read(ref reader, commands);
        }

        return true;
    }

    // Nobody may be able to give what was removed any more, where its family says so.
    private async ValueTask WaitForAllAsync(CancellationToken cancellationToken)
    {
        var strict = entries.FindAll(static entry => IsRemoved(entry) && entry.OfFamily.Policy.Invalidation == Invalidation.Strict);
        if (strict.Count == 0)
            return;
        try
        {
            await commands.WaitForAllAsync(strict.Count, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (InvalidationUnconfirmedException error)
        {
            strict.ForEach(entry => entry.Fail(error));
        }
        catch (OperationCanceledException)
        {
            // They are gone from Redis, and others may still have them.
            strict.ForEach(static entry => entry.Leave(BatchOutcome.Unknown));
            throw;
        }
    }

    private static bool IsRemoved(BatchEntry entry) => entry is { Operation: BatchOperation.Delete, Outcome: BatchOutcome.Answered };

    private void Forget()
    {
        foreach (var entry in entries)
            if (entry.IsChange && entry.Outcome != BatchOutcome.Answered)
                commands.Forget(entry.WireName);
    }

    private void ThrowUnlessDone(CancellationToken cancellationToken)
    {
        var report = BatchReport.Of(entries);
        if (report.Unknown + report.NotSent == 0)
            return;
        var cancelled = new OperationCanceledException(
            $"The batch was cancelled: of its {entries.Count} entries {report.Answered} are answered, {report.Failed} have failed, {report.Unknown} may be executed, {report.NotSent} were not sent.",
            cancellationToken
        );
        cancelled.Data[nameof(Sent)] = entries.TrueForAll(static entry => entry.Sent == Sent.No) ? Sent.No : Sent.Maybe;
        throw cancelled;
    }
}
