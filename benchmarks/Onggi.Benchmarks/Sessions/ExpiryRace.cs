using System.Collections.Concurrent;
using System.Diagnostics;
using Onggi.Client;
using Onggi.Events;

namespace Onggi.Benchmarks.Sessions;

/// <summary>How long after their deadline sessions are told to have ended, when many are due at once among many other keys.</summary>
internal static class ExpiryRace
{
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>The times in milliseconds, in order; of each session the first event counts.</summary>
    public static async Task<List<double>> MeasureAsync(int port, int others, int sessions, CancellationToken stop)
    {
        await using var node = await SessionBenchNode.StartAsync(port, static options => options.IdleForTests = Idle);
        await using var second = await SessionBenchNode.StartAsync(port, static options => options.IdleForTests = Idle);
        foreach (var chunk in Enumerable.Range(0, others).Chunk(10_000))
        {
            var batch = node.Keyspace.Redis.CreateBatch();
            foreach (var i in chunk)
                batch.Add(["SET", $"other:{i}", "v", "EX", 86_400], ReplyParsers.Ignore);
            await batch.SendAsync(null, stop);
        }

        var heard = new ConcurrentDictionary<string, long>(StringComparer.Ordinal);
        await using var subscription = await node.Keyspace.Events.SubscribeAsync(
            OnggiEventTypes.AuthSessionExpired,
            (expired, _) =>
            {
                heard.TryAdd(expired.Data!.Session, Stopwatch.GetTimestamp());
                return ValueTask.CompletedTask;
            },
            stop
        );
        var made = await Task.WhenAll(
            Enumerable
                .Range(0, sessions)
                .Select(async i =>
                {
                    var creation = await node.Sessions.CreateAsync($"user-{i}", cancellationToken: stop);
                    return (creation.Handle, At: Stopwatch.GetTimestamp());
                })
        );
        var began = Stopwatch.GetTimestamp();
        while (heard.Count < sessions && Stopwatch.GetElapsedTime(began) < Patience)
            await Task.Delay(20, stop);
        return
        [
            .. made.Where(one => heard.ContainsKey(one.Handle))
                .Select(one => (Stopwatch.GetElapsedTime(one.At, heard[one.Handle]) - Idle).TotalMilliseconds)
                .Order(),
        ];
    }
}
