using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Sessions;

/// <summary>Remembers which sessions this process ended lately, and ends them again: a replica that took over may never have heard of it.</summary>
/// <remarks>Ending them again ends what had come back and changes nothing else. What another process ended, that one asserts; what nobody alive remembers is lost: see WAIT.</remarks>
internal sealed class SessionRevocations : IAsyncDisposable
{
    private const int Room = 10_000;
    private const int HandlesAtATime = 500;

    private readonly SessionStore _store;
    private readonly ILogger _logger;
    private readonly Reassertion<Ended> _ended;

    public SessionRevocations(RedisClient redis, SessionStore store, ILogger logger, TimeProvider time)
    {
        _store = store;
        _logger = logger;
        _ended = new Reassertion<Ended>(
            redis,
            Room,
            AssertAsync,
            (count, failure) => SessionLog.NotRepeated(_logger, count, failure.Message),
            time
        );
    }

    public void Add(string partition, IReadOnlyList<string> handles)
    {
        foreach (var handle in handles)
            _ended.Add(new Ended(partition, handle), isMade: true);
    }

    public ValueTask DisposeAsync() => _ended.DisposeAsync();

    private async ValueTask AssertAsync(List<Ended> due, bool all, CancellationToken stop)
    {
        // mutant: what a failover lost stays lost.
        if (SessionMutants.ForgetRevocations)
            return;
        var calls = due.GroupBy(static one => one.Partition, StringComparer.Ordinal)
            .SelectMany(static user => user.Chunk(HandlesAtATime))
            .ToList();
        var replies = await _store
            .RevokeAgainAsync(
                calls.ConvertAll(static ended => (ended[0].Partition, Array.ConvertAll(ended, static one => one.Handle))),
                stop
            )
            .ConfigureAwait(Rt.Capture);
        var (back, failed) = (0, 0);
        RedisException? failure = null;
        foreach (var (ended, (reply, error)) in calls.Zip(replies))
        {
            if (reply is null)
            {
                (failed, failure) = (failed + ended.Length, error ?? failure);
                continue;
            }

            back += reply.Handles.Length;
            foreach (var one in ended)
                _ended.Asserted(one);
        }

        if (back > 0)
            SessionLog.CameBack(_logger, back);
        if (failed > 0)
            SessionLog.NotRepeated(_logger, failed, failure?.Message ?? "There was no answer.");
    }

    private sealed class Ended(string partition, string handle) : ReassertedNote
    {
        /// <summary>Longer than a replica that is elected can lag behind.</summary>
        private static readonly TimeSpan Memory = TimeSpan.FromMinutes(10);

        public string Partition { get; } = partition;

        public string Handle { get; } = handle;

        public override TimeSpan MattersFor(bool isMade) => Memory;
    }
}
