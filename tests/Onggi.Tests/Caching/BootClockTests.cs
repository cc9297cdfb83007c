using System.Globalization;
using Onggi.Caching;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

/// <summary>The clock that goes on while the machine is suspended.</summary>
public sealed class BootClockTests
{
    [Fact]
    public void It_is_the_clock_of_the_machine_s_uptime_which_counts_suspension()
    {
        if (!OperatingSystem.IsLinux())
            return;
        var clock = new BootClock();

        var before = clock.Now;
        var uptime = (long)(1000 * double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture));
        var after = clock.Now;

        // The kernel cuts the uptime off to hundredths.
        Assert.InRange(uptime, before - 10, after);
    }

    [Fact]
    public void The_options_choose_it_and_a_time_that_is_brought_along_goes_before()
    {
        var boot = new CacheOptions { Clock = CacheClock.Boottime };

        Assert.IsType<CoarseClock>(OnggiCache.ClockOf(new CacheOptions(), TimeProvider.System));
        Assert.IsType<BootClock>(OnggiCache.ClockOf(boot, TimeProvider.System));
        Assert.IsType<TimeProviderClock>(OnggiCache.ClockOf(boot, new ManualTimeProvider()));
    }

    [Fact]
    public void Where_it_cannot_be_had_the_host_does_not_start()
    {
        var validator = new CacheOptionsValidator();

        Assert.Equal("only Linux has that clock.", BootClock.WhyNot(isLinux: false));
        Assert.Equal(OperatingSystem.IsLinux(), validator.Validate(null, new CacheOptions { Clock = CacheClock.Boottime }).Succeeded);
        Assert.Contains(
            "no clock",
            validator.Validate(null, new CacheOptions { Clock = (CacheClock)7 }).FailureMessage,
            StringComparison.Ordinal
        );
    }
}
