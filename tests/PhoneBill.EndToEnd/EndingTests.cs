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
        while (demo.Children().Count < 4)
            await Task.Delay(10);

        demo.Interrupt();

        Assert.Equal(130, await demo.ExitAsync());
        Assert.Empty(demo.Children());
        Assert.Empty(Directory.EnumerateFileSystemEntries(demo.Temp, "phonebill-*"));
    }

    [Fact]
    public async Task When_the_demo_is_killed_its_services_and_its_Redis_end_too()
    {
        await using var demo = DemoProcess.Start("--no-story");
        await demo.Up;
        Assert.True(demo.Children().Count >= 7);

        demo.KillHard();

        await demo.ExitAsync();
        var patience = DateTime.UtcNow.AddSeconds(15);
        while (demo.Children().Count > 0 && DateTime.UtcNow < patience)
            await Task.Delay(50);
        Assert.Empty(demo.Children());
    }
}
