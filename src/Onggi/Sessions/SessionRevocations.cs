using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Sessions;

/// <summary>Remembers which sessions this process ended lately, and ends them again: a replica that took over may never have heard of it. And which it could not end: it is tried until it is done.</summary>
/// <remarks>Ending them again ends what had come back and changes nothing else. What another process ended, that one asserts; what nobody alive remembers is lost: see WAIT.</remarks>
internal sealed class SessionRevocations : IAsyncDisposable
{
    private const int Room = 10_000;
    private const int HandlesAtATime = 500;

    private readonly RedisClient _redis;
    private readonly SessionStore _store;
    private readonly TimeSpan _longestLife;
    private readonly Action<string, RevokeReply> _ended;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Reassertion<Note> _notes;
    private int _saidFull;

    /// <param name="redis">Whose link is watched.</param>
    /// <param name="store">Ends them.</param>
    /// <param name="longestLife">How long a session can live: so long it matters that one was to end.</param>
    /// <param name="ended">Is told, with the user's partition, what a revocation that had failed has ended.</param>
    /// <param name="logger">The log.</param>
    /// <param name="time">The clock.</param>
    public SessionRevocations(
        RedisClient redis,
        SessionStore store,
        TimeSpan longestLife,
        Action<string, RevokeReply> ended,
        ILogger logger,
        TimeProvider time
    )
    {
        (_redis, _store, _longestLife, _ended, _logger, _time) = (redis, store, longestLife, ended, logger, time);
        _notes = new Reassertion<Note>(
            redis,
            Room,
            AssertAsync,
            (count, failure) => SessionLog.NotRepeated(_logger, count, failure.Message),
            time
        );
    }

    /// <summary>How many are remembered.</summary>
    internal int Count => _notes.Count;

    /// <summary>Until nothing is being asserted.</summary>
    internal Task WhenQuietAsync() => _notes.WhenQuietAsync();

    /// <summary>These have ended.</summary>
    public void Add(string partition, IReadOnlyList<string> handles)
    {
        foreach (var handle in handles)
            Add(new Note(SessionEnd.Of(partition, [handle], "revoked_again"), null, _longestLife), isMade: true);
    }

    /// <summary>These are to end, and whether they have is not known: the caller was told, and it is tried on.</summary>
    /// <param name="end">Which.</param>
    /// <param name="asked">When the caller asked for it.</param>
    public void Failed(SessionEnd end, long asked)
    {
        var note = new Note(end, asked, _longestLife);
        Add(note, isMade: false);
        _notes.Failed(note);
    }

    public ValueTask DisposeAsync() => _notes.DisposeAsync();

    private void Add(Note note, bool isMade)
    {
        if (_notes.Add(note, isMade) && Interlocked.Exchange(ref _saidFull, 1) == 0)
            SessionLog.RemembersTooLittle(_logger, Room);
    }

    private async ValueTask AssertAsync(List<Note> due, bool all, CancellationToken stop)
    {
        // mutant: what a failover lost stays lost, and what failed stays undone.
        if (SessionMutants.ForgetRevocations)
            return;
        var calls = CallsOf(await FindTimesAsync(due, stop).ConfigureAwait(Rt.Capture));
        var replies = await _store
            .RevokeAgainAsync(calls.ConvertAll(static call => (call.End, call.Notes[0].BegunBy)), stop)
            .ConfigureAwait(Rt.Capture);
        var (back, late, failed) = (0, 0, 0);
        RedisException? failure = null;
        foreach (var ((end, notes), (reply, error)) in calls.Zip(replies))
        {
            if (reply is null)
            {
                (failed, failure) = (failed + notes.Length, error ?? failure);
                continue;
            }

            if (notes[0].FailedSince is not null && _notes.AgeOf(notes[0]) is null)
            {
                late++;
                _ended(end.Partition, reply);
            }
            else
            {
                back += reply.Handles.Length;
            }

            foreach (var one in notes)
                _notes.Asserted(one);
        }

        if (late > 0)
            SessionLog.EndedLate(_logger, late);
        if (back > 0)
            SessionLog.CameBack(_logger, back);
        if (failed > 0)
            SessionLog.NotRepeated(_logger, failed, failure?.Message ?? "There was no answer.");
    }

    // What has ended goes together, by user; what was asked for and failed goes in the words in which it was asked.
    private static List<(SessionEnd End, Note[] Notes)> CallsOf(List<Note> due)
    {
        var calls = due.Where(static one => one.FailedSince is null)
            .GroupBy(static one => one.End.Partition, StringComparer.Ordinal)
            .SelectMany(static user => user.Chunk(HandlesAtATime))
            .Select(static notes => (notes[0].End with { Handles = Array.ConvertAll(notes, static one => one.End.Handles[0]) }, notes))
            .ToList();
        calls.AddRange(due.Where(static one => one.FailedSince is not null).Select(static one => (one.End, (Note[])[one])));
        return calls;
    }

    // Of all that a user has, those end that had begun when it was asked for. That is a time of the server's clock, which nobody could ask then.
    private async ValueTask<List<Note>> FindTimesAsync(List<Note> due, CancellationToken stop)
    {
        if (!due.Exists(static note => note.LacksTime))
            return due;
        long now,
            sent;
        try
        {
            (now, sent) = await ServerTime.AskAsync(_redis, _time, stop).ConfigureAwait(Rt.Capture);
        }
        catch (RedisException failure)
        {
            SessionLog.NotRepeated(_logger, due.Count(static note => note.LacksTime), failure.Message);
            return due.FindAll(static note => !note.LacksTime);
        }

        foreach (var note in due.Where(static note => note.LacksTime))
            note.BegunBy = now - (long)_time.GetElapsedTime(note.FailedSince!.Value, sent).TotalMilliseconds;
        return due;
    }

    /// <param name="end">What is to end, or has ended.</param>
    /// <param name="failedSince">When it was asked for, of what failed; <c>null</c> of what has ended.</param>
    /// <param name="longestLife">Afterwards nothing that was to end would live anyway.</param>
    private sealed class Note(SessionEnd end, long? failedSince, TimeSpan longestLife) : ReassertedNote
    {
        /// <summary>Longer than a replica that is elected can lag behind.</summary>
        private static readonly TimeSpan Memory = TimeSpan.FromMinutes(10);

        public SessionEnd End { get; } = end;

        public long? FailedSince { get; } = failedSince;

        /// <summary>Those end that had begun by this time of the server's clock; 0 for whatever there is.</summary>
        public long BegunBy { get; set; }

        public bool LacksTime => FailedSince is not null && !End.IsByHandle && BegunBy == 0;

        public override TimeSpan MattersFor(bool isMade) => isMade ? Memory : longestLife;
    }
}
