using System.Diagnostics;

namespace PhoneBill.Demo;

/// <summary>What the services promise, asked of them one call after the other.</summary>
public sealed class Story(Stage stage, Report report)
{
    public async Task TellAsync(CancellationToken cancellationToken)
    {
        var scenes = new Scenes(stage, cancellationToken);
        var (first, replica) = (stage.Ports.BillInquiry, stage.Ports.BillInquiryReplica);

        report.Say("Signing in, and filling the cache with what everybody needs");
        await StepAsync("login", "Log in at Auth", scenes.LogInAsync);
        await StepAsync("warmup", "Warm-up by hand: products, codes, config and lists", scenes.WarmUpAsync);

        report.Say("One bill, asked for again and again");
        await StepAsync("bill.first", "First bill: nobody has it, KOS is asked", scenes.FirstBillAsync);
        await StepAsync("bill.second", "Second, once memory has let go of it: from Redis", step => scenes.BillFromRedisAsync(step, first));
        await StepAsync("bill.third", "Third, right after: from memory", step => scenes.BillFromMemoryAsync(step, first));
        await StepAsync(
            "replica.first",
            "The other replica, which never asked KOS: from Redis",
            step => scenes.BillFromRedisAsync(step, replica)
        );
        await StepAsync("replica.second", "The other replica again: from memory", step => scenes.BillFromMemoryAsync(step, replica));

        report.Say("One service writes, the others let go of what they cached");
        await StepAsync("product.change", "ProductChange gives the line another product", scenes.ChangeProductAsync);
        await StepAsync(
            "product.seen",
            "BillInquiry makes a new bill: KOS is asked again",
            step => scenes.NewBillAsync(step, first, "loader")
        );
        await StepAsync(
            "product.replica",
            "The other replica has the new bill from Redis",
            step => scenes.NewBillAsync(step, replica, "redis")
        );
        await StepAsync("user.updated", "Users changes an address; Auth had that user in memory", scenes.UpdateUserAsync);

        var signIn = new SignInScenes(stage, cancellationToken);
        report.Say("Who is signed in, and until when");
        await StepAsync("auth.bearer", "One token opens every service; none, or a forged one, opens none", signIn.BearerAsync);
        await StepAsync("auth.refresh", "Two tabs refresh at once", signIn.RefreshAsync);
        await StepAsync("auth.end-one", "My sessions: the phone is ended from the desk", signIn.EndOneAsync);
        await StepAsync("auth.everywhere", "Sign out everywhere", signIn.EverywhereAsync);
        await StepAsync("auth.guesses", "Somebody guesses passwords", signIn.GuessAsync);

        report.Say("KOS is down");
        await StepAsync("kos.cached", "KOS fails: the cached bill is served", scenes.CachedWithoutKosAsync);
        await StepAsync("kos.uncached", "KOS fails: a bill that nobody has gets a clear 503", scenes.UncachedWhileKosFailsAsync);
        await StepAsync("kos.hangs", "KOS hangs: the same, once patience has ended", scenes.UncachedWhileKosHangsAsync);
        await StepAsync("kos.back", "KOS is back, and so is the bill", scenes.KosIsBackAsync);

        report.Say("Everybody asks for what nobody has");
        await StepAsync("kos.limit", "KOS gets no more calls than it was promised, from all replicas together", scenes.KosBudgetAsync);

        report.Say("Redis is killed and started again while requests go on");
        await StepAsync("redis.outage", "Callers notice nothing but delays", scenes.RedisOutageAsync);
        await StepAsync("redis.login", "Sessions were in Redis only: Auth wants a new login", scenes.LogInAgainAsync);
        await StepAsync("redis.warmup", "Redis came back empty: the services fill it by themselves", scenes.WarmedByThemselvesAsync);
        await StepAsync("redis.foreign", "redis-cli, which knows nothing of us, reads the bill", scenes.ForeignReaderAsync);
    }

    private async Task StepAsync(string name, string title, Func<Step, Task> happens)
    {
        var step = new Step(name, title);
        var began = Stopwatch.GetTimestamp();
        try
        {
            await happens(step);
        }
        catch (Exception e) when (e is HttpRequestException or TimeoutException)
        {
            step.Expect(false, "an answer", e.Message);
        }

        if (step.Milliseconds == 0)
            step.Milliseconds = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        report.Add(step);
    }
}
