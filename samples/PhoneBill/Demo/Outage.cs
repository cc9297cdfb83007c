using System.Collections.Concurrent;
using System.Diagnostics;

namespace PhoneBill.Demo;

/// <summary>Callers ask both replicas all the time; meanwhile Redis is killed, is away for two seconds, and comes back empty.</summary>
public sealed class Outage(Stage stage, Caller caller, string[] paths)
{
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    // Slower than any answer from memory or Redis: the caller felt that Redis was away.
    private const double Slow = 100;

    private readonly ConcurrentBag<(long At, Answer Answer, bool IsRight)> _seen = [];

    public async Task RunAsync(Step step, CancellationToken cancellationToken)
    {
        int[] replicas = [stage.Ports.BillInquiry, stage.Ports.BillInquiryReplica];
        var right = new Dictionary<string, string>();
        foreach (var path in paths)
            right[path] = (await caller.GetAsync(replicas[0], path, cancellationToken)).Text;

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var callers = replicas.SelectMany(_ => paths, (port, path) => AskAsync(port, path, right[path], ending.Token)).ToArray();

        await Task.Delay(TimeSpan.FromMilliseconds(500), cancellationToken);
        var killed = Stopwatch.GetTimestamp();
        await stage.Redis.KillAsync();
        await Task.Delay(Away, cancellationToken);
        await stage.Redis.StartAsync(cancellationToken);
        var back = Stopwatch.GetTimestamp();
        var recovered = await RecoveryAsync(back, cancellationToken);
        var connected = await AllConnectedAsync(back, cancellationToken);
        await ending.CancelAsync();
        await Task.WhenAll(callers);

        Judge(step, killed, recovered, connected);
    }

    private void Judge(Step step, long killed, TimeSpan? recovered, TimeSpan? connected)
    {
        var errors = _seen.Where(one => !one.Answer.IsOk).ToList();
        var wrong = _seen.Count(one => one.Answer.IsOk && !one.IsRight);
        var slower = _seen.Count(one => one.Answer.Milliseconds > Slow);
        var slowest = _seen.Max(one => one.Answer.Milliseconds);
        step.Milliseconds = Stopwatch.GetElapsedTime(killed).TotalMilliseconds;
        step.Expect(errors.Count == 0, "no errors", $"{errors.Count}, for example {errors.FirstOrDefault().Answer}");
        step.Expect(wrong == 0, "no wrong answers", wrong);
        step.Expect(recovered is not null, $"answers from Redis again within {Patience.TotalSeconds} s", "none");
        step.Expect(connected is not null, $"every service to call Redis healthy again within {Patience.TotalSeconds} s", "one does not");
        step.Details["requests"] = _seen.Count;
        step.Details["slower"] = slower;
        step.Details["errors"] = errors.Count;
        step.Details["wrong"] = wrong;
        step.Details["slowestMs"] = Math.Round(slowest);
        step.Details["recoveredMs"] = Math.Round(recovered?.TotalMilliseconds ?? -1);
        step.Details["connectedMs"] = Math.Round(connected?.TotalMilliseconds ?? -1);
        step.Note =
            $"{_seen.Count} requests, {slower} slower than {Slow} ms (the slowest {slowest:0} ms), {errors.Count} errors, {wrong} wrong answers; "
            + $"the first answer from Redis {recovered?.TotalMilliseconds:0} ms after it was back, all services connected after {connected?.TotalMilliseconds:0} ms";
    }

    private async Task AskAsync(int port, string path, string right, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var began = Stopwatch.GetTimestamp();
                Answer answer;
                try
                {
                    answer = await caller.GetAsync(port, path, cancellationToken);
                }
                catch (HttpRequestException e)
                {
                    answer = new Answer(0, "", Stopwatch.GetElapsedTime(began).TotalMilliseconds, e.Message);
                }

                _seen.Add((began, answer, answer.Text == right));
                await Task.Delay(5, cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            // The end of the outage, not of a request that counts.
        }
    }

    /// <summary>How long after its return Redis served an answer again; <c>null</c> when it did not in time.</summary>
    private async Task<TimeSpan?> RecoveryAsync(long back, CancellationToken cancellationToken)
    {
        while (Stopwatch.GetElapsedTime(back) < Patience)
        {
            if (_seen.Any(one => one.At > back && one.Answer is { IsOk: true, Tier: "redis" }))
                return Stopwatch.GetElapsedTime(back);
            await Task.Delay(20, cancellationToken);
        }

        return null;
    }

    /// <summary>How long after its return all services said by themselves that Redis is well; <c>null</c> when one did not in time.</summary>
    private async Task<TimeSpan?> AllConnectedAsync(long back, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            await Task.WhenAll(stage.Services.Select(service => service.WaitUntilHealthyAsync(stage.Http, patience.Token)));
            return Stopwatch.GetElapsedTime(back);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }
}
