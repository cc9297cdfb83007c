using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Tokens;

/// <summary>What this process revoked lately, and asserts again: a failover can lose what Redis had acknowledged, and with it bring a revoked token back.</summary>
/// <remarks>
/// A revocation that failed is kept all the same: its caller was told, and it is tried again until it has succeeded or does not matter any more. That is as long as a refresh family can live, which it was to end.
/// </remarks>
internal sealed class RecentRevocations : IAsyncDisposable
{
    private const int MostPerFlush = 500;

    private readonly RedisClient _redis;
    private readonly ServerClock _clock;
    private readonly int _capacity;
    private readonly TokensMetrics _metrics;
    private readonly ILogger _logger;
    private readonly Reassertion<RevocationNote> _notes;
    private readonly Lock _gate = new(); // Guards the epochs of the notes, and below.
    private bool _saidFull;

    public RecentRevocations(RedisClient redis, ServerClock clock, int capacity, TokensMetrics metrics, ILogger logger, TimeProvider time)
    {
        (_redis, _clock, _capacity, _metrics, _logger) = (redis, clock, capacity, metrics, logger);
        _notes = new Reassertion<RevocationNote>(
            redis,
            capacity,
            AssertAsync,
            (count, failure) => TokensLog.ReassertionFailed(_logger, count, failure.Message),
            time
        );
    }

    /// <summary>How many are remembered.</summary>
    public int Count => _notes.Count;

    /// <summary>Remembers one, before Redis is asked: whatever becomes of that call.</summary>
    public void Add(RevocationNote note)
    {
        if (!_notes.Add(note))
            return;
        lock (_gate)
        {
            if (_saidFull)
                return;
            _saidFull = true;
        }

        TokensLog.RemembersTooLittle(_logger, _capacity);
    }

    /// <summary>Redis has made it.</summary>
    /// <param name="note">What was made.</param>
    /// <param name="epoch">The epoch that it set; 0 for none.</param>
    public void Made(RevocationNote note, long epoch)
    {
        lock (_gate)
            note.Epoch = Math.Max(note.Epoch, epoch);
        _notes.Made(note);
    }

    /// <summary>The call that was to make it has failed.</summary>
    public void Failed(RevocationNote note) => _notes.Failed(note);

    public ValueTask DisposeAsync() => _notes.DisposeAsync();

    private async ValueTask AssertAsync(List<RevocationNote> due, bool all, CancellationToken stop)
    {
        if (TokenMutants.NoReassertion)
            return;
        var done = 0;
        due = await FindEpochsAsync(due, stop).ConfigureAwait(Rt.Capture);
        foreach (var part in due.Chunk(MostPerFlush))
        {
            var batch = _redis.CreateBatch();
            lock (_gate)
            {
                foreach (var note in part)
                    batch.Add(note.Script, note.Keys, note.ArgsAt(_notes.AgeOf(note)), ReplyParsers.Ignore, CommandOptions.Idempotent);
            }

            await batch.SendAsync(cancellationToken: stop).ConfigureAwait(Rt.Capture);
            for (var i = 0; i < part.Length; i++)
            {
                if (batch.Items[i].Outcome != BatchOutcome.Answered)
                    continue;
                done++;
                _notes.Asserted(part[i]);
            }

            if (batch.Items.FirstOrDefault(item => item.Error is not null)?.Error is { } error)
                TokensLog.ReassertionFailed(_logger, batch.Items.Count(item => item.Error is not null), error.Message);
        }

        _metrics.Reasserted(done);
        if (all && done > 0)
            TokensLog.Reasserted(_logger, done);
    }

    // Before the answer to it is known, a sign-out ends what was issued before it was asked for. That is a time of the server's clock, and our own can be hours off.
    private async ValueTask<List<RevocationNote>> FindEpochsAsync(List<RevocationNote> due, CancellationToken stop)
    {
        if (!due.Exists(static note => note is { HasEpoch: true, Epoch: 0 }))
            return due;
        if (!_clock.IsKnown)
            await _clock.AskAsync(_redis, stop).ConfigureAwait(Rt.Capture);
        lock (_gate)
        {
            foreach (var note in due.Where(static note => note is { HasEpoch: true, Epoch: 0 }))
                note.Epoch = _clock.IsKnown ? _clock.At(note.Asked) : 0;
        }

        // Without an epoch it would sign out who has signed in since.
        var known = due.FindAll(static note => note is not { HasEpoch: true, Epoch: 0 });
        if (known.Count < due.Count)
            TokensLog.ReassertionFailed(_logger, due.Count - known.Count, "The server does not say its time.");
        return known;
    }
}
