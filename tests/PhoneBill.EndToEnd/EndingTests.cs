using System.Net;
using Onggi.Testing;

namespace PhoneBill.EndToEnd;

public sealed class EndingTests
{
    [Fact]
    public async Task A_busy_port_is_named_with_the_option_that_chooses_another()
    {
        using var listener = LoopbackPorts.Listen();
        var busy = ((IPEndPoint)listener.LocalEndPoint!).Port;

        await using var demo = DemoProcess.StartOn(busy, busy + 100, "--once");

        Assert.Equal(2, await demo.ExitAsync());
        Assert.Contains($"Port {busy} on 127.0.0.1 is in use", demo.Errors, StringComparison.Ordinal);
        Assert.Contains("--redis-port", demo.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", demo.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ctrl_C_while_things_start_leaves_nothing_behind()
    {
        await using var demo = DemoProcess.Start();
        // Redis is up then, and every service is a process.
        await demo.SaysAsync("Starting kos");
        Assert.True(demo.Children().Count >= 4);

        demo.Interrupt();

        Assert.Equal(130, await demo.ExitAsync());
        Assert.Empty(demo.Children());
        Assert.Empty(Directory.EnumerateFileSystemEntries(demo.Temp, "phonebill-*"));
    }

    [Fact]
    public async Task When_the_demo_is_killed_its_services_and_its_Redis_end_too_and_the_next_one_tidies_up()
    {
        await using var demo = DemoProcess.Start("--no-story");
        await demo.Up;
        Assert.True(demo.Children().Count >= 7);
        var abandoned = demo.RunDirectory;

        demo.KillHard();

        await demo.ExitAsync();
        await EndedAsync(demo);
        Assert.True(Directory.Exists(abandoned));

        await using var next = DemoProcess.StartIn(demo.Temp, "--no-story");
        await next.SaysAsync("Starting Redis");
        Assert.NotEqual(abandoned, next.RunDirectory);

        // What is in use stays.
        var used = next.RunDirectory;
        await using var third = DemoProcess.StartIn(demo.Temp, "--no-story");
        await third.SaysAsync("Starting Redis");
        Assert.True(Directory.Exists(used));
        third.Interrupt();
        await third.ExitAsync();
        next.Interrupt();
        await next.ExitAsync();
    }

    /// <summary>Those it started notice its end by themselves; nobody tells when they are gone, so they are looked for.</summary>
    private static async Task EndedAsync(DemoProcess demo)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var again = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        var left = demo.Children();
        while (left.Count > 0 && !patience.IsCancellationRequested)
        {
            await again.WaitForNextTickAsync(CancellationToken.None);
            left = demo.Children();
        }

        Assert.True(left.Count == 0, $"30 s after the demonstration was killed these still run: {string.Join("; ", left)}");
    }
}
