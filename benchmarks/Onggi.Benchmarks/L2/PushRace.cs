using System.Diagnostics;
using Onggi.Client;

namespace Onggi.Benchmarks.L2;

/// <summary>How long after an invalidation the last node's memory still answers, against a bare message to the last subscriber.</summary>
internal static class PushRace
{
    private const int Nodes = 10;
    private const string Channel = "l2-bench";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task<IReadOnlyList<Row>> MeasureAsync(int port, int turns, CancellationToken stop)
    {
        var nodes = new List<L2Node>();
        var subscribers = new List<RedisClient>();
        try
        {
            for (var i = 0; i < Nodes; i++)
            {
                nodes.Add(await L2Node.StartAsync(port));
                subscribers.Add(await RedisClient.ConnectAsync($"127.0.0.1:{port}", stop));
            }

            return await RaceAsync(nodes, subscribers, turns, stop);
        }
        finally
        {
            foreach (var node in nodes)
                await node.DisposeAsync();
            foreach (var subscriber in subscribers)
                await subscriber.DisposeAsync();
        }
    }

    private static async Task<IReadOnlyList<Row>> RaceAsync(
        List<L2Node> nodes,
        List<RedisClient> subscribers,
        int turns,
        CancellationToken stop
    )
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var heard = new Heard();
        var listening = new List<Task>();
        foreach (var subscriber in subscribers)
        {
            var subscription = await subscriber.SubscribeAsync(Channel, cancellationToken: stop);
            await subscription.WhenActiveAsync(stop);
            listening.Add(ListenAsync(subscription, heard, end.Token));
        }

        List<double> pushes = [];
        List<double> pushesCalled = [];
        List<double> messages = [];
        List<double> messagesCalled = [];
        // The first ones make what is made once.
        for (var turn = -20; turn < turns; turn++)
        {
            stop.ThrowIfCancellationRequested();
            var (push, pushCalled) = await PushAsync(nodes, turn & 7, stop);
            var (message, messageCalled) = await MessageAsync(subscribers[turn & 7], heard, stop);
            if (turn < 0)
                continue;
            pushes.Add(push);
            pushesCalled.Add(pushCalled);
            messages.Add(message);
            messagesCalled.Add(messageCalled);
        }

        await end.CancelAsync();
        await Task.WhenAll(listening);
        return
        [
            Row("push.median", pushes, messages, new Goal(2.0, AtMost: true)),
            Row("push.median-called", pushesCalled, messagesCalled, null),
        ];
    }

    private static Row Row(string name, List<double> ours, List<double> theirs, Goal? goal)
    {
        var (our, their) = (Duel.Median(ours), Duel.Median(theirs));
        return new(name, "µs", our, "PUBLISH to 10 subscribers", their, goal?.Text, goal?.IsMet(our / their));
    }

    private static async Task<(double FromReturn, double FromCall)> PushAsync(List<L2Node> nodes, int i, CancellationToken stop)
    {
        var key = L2Node.Kept[i];
        foreach (var node in nodes)
        {
            var patience = Stopwatch.GetTimestamp();
            while (!node.Cache.TryPeek(key, out _))
            {
                await node.Cache.GetOrLoadAsync(key, static _ => new("value"), stop);
                if (Stopwatch.GetElapsedTime(patience) > Patience)
                    throw new InvalidOperationException("Memory does not come to answer.");
            }
        }

        var called = Stopwatch.GetTimestamp();
        await nodes[i].Cache.InvalidateAsync(key, CancellationToken.None);
        var returned = Stopwatch.GetTimestamp();
        var left = nodes.Count;
        WaitUntil(() =>
        {
            while (left > 0 && !nodes[left - 1].Cache.TryPeek(key, out _))
                left--;
            return left == 0;
        });
        var now = Stopwatch.GetTimestamp();
        return (Stopwatch.GetElapsedTime(returned, now).TotalMicroseconds, Stopwatch.GetElapsedTime(called, now).TotalMicroseconds);
    }

    private static async Task<(double FromReturn, double FromCall)> MessageAsync(RedisClient publisher, Heard heard, CancellationToken stop)
    {
        heard.Count = 0;
        var called = Stopwatch.GetTimestamp();
        await publisher.SendAsync(["PUBLISH", Channel, "changed"], ReplyParsers.Int64, stop);
        var returned = Stopwatch.GetTimestamp();
        WaitUntil(() => Volatile.Read(ref heard.Count) == Nodes);
        var now = Stopwatch.GetTimestamp();
        return (Stopwatch.GetElapsedTime(returned, now).TotalMicroseconds, Stopwatch.GetElapsedTime(called, now).TotalMicroseconds);
    }

    // Looks all the time, but lets go of the processor: those who hear need one.
    private static void WaitUntil(Func<bool> reached)
    {
        var began = Stopwatch.GetTimestamp();
        while (!reached())
        {
            Thread.Yield();
            if (Stopwatch.GetElapsedTime(began) > Patience)
                throw new InvalidOperationException("Not everybody has heard.");
        }
    }

    private static async Task ListenAsync(RedisSubscription subscription, Heard heard, CancellationToken stop)
    {
        try
        {
            await foreach (var message in subscription.ReadAllAsync(stop))
                if (!message.Interrupted)
                    Interlocked.Increment(ref heard.Count);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The race is over.
        }
        finally
        {
            await subscription.DisposeAsync();
        }
    }

    private sealed class Heard
    {
        public int Count;
    }
}
