using Onggi.Keys;

namespace Onggi.Tests.Keys;

public class JitterTests
{
    private static readonly Keyspace Keyspace = Keyspace.Load(SampleCatalogs.Small);
    private static readonly FamilySettings Customer = Keyspace.SettingsOf(SampleCatalogs.CustomerFamily);

    /// <summary>Other languages compute the same: these values were computed apart, from the steps in the class.</summary>
    [Theory]
    [InlineData("dev:customer:010-1234-5678", 0.9585965783306444)]
    [InlineData("dev:customer:010-1234-5679", 0.49832788532563954)]
    [InlineData("dev:bill:홍길동:2026-11", 0.9047844688222837)]
    [InlineData("", 0.93676944839044)]
    public void The_fraction_is_a_function_of_the_name(string name, double fraction) => Assert.Equal(fraction, Jitter.Fraction(name), 15);

    [Fact]
    public void Names_longer_than_the_buffer_count_whole()
    {
        var name = "dev:" + new string('가', 500);

        Assert.NotEqual(Jitter.Fraction(name + "a"), Jitter.Fraction(name + "b"));
        Assert.NotEqual(Jitter.Fraction("a" + name), Jitter.Fraction("b" + name));
    }

    [Fact]
    public void Neighbouring_names_spread_evenly()
    {
        var buckets = new int[20];
        for (var i = 0; i < 20_000; i++)
            buckets[(int)(Jitter.Fraction($"dev:customer:{i}") * buckets.Length)]++;

        Assert.All(buckets, count => Assert.InRange(count, 850, 1150));
    }

    [Fact]
    public void It_only_takes_away_and_never_more_than_its_share()
    {
        var whole = Customer.Ttl + Customer.Grace;
        for (var i = 0; i < 1000; i++)
        {
            var ttl = Keyspace.PhysicalTtl(Customer, $"dev:customer:{i}");
            Assert.InRange(ttl, whole * 0.9 - TimeSpan.FromMilliseconds(1), whole);
            Assert.Equal(0, ttl.Ticks % TimeSpan.TicksPerMillisecond);
            Assert.Equal(ttl, Keyspace.PhysicalTtl(Customer, $"dev:customer:{i}"));
        }
    }

    /// <summary>What has no more left than the grace is past its life: a short one would be over before it began.</summary>
    [Theory]
    [InlineData(1_000)]
    [InlineData(60_000)]
    [InlineData(3_600_000)]
    public void It_is_taken_off_the_life_and_not_off_the_grace(int milliseconds)
    {
        var chosen = TimeSpan.FromMilliseconds(milliseconds);
        for (var i = 0; i < 1000; i++)
        {
            var life = Keyspace.PhysicalTtl(Customer, $"dev:customer:{i}", chosen) - Customer.Grace;
            Assert.InRange(life, chosen * 0.9 - TimeSpan.FromMilliseconds(1), chosen);
        }
    }

    [Fact]
    public void A_loaders_time_counts_within_the_rules_of_the_kind()
    {
        const string name = "dev:customer:010";

        Assert.InRange(Keyspace.PhysicalTtl(Customer, name, TimeSpan.FromMinutes(1)), TimeSpan.FromMinutes(9.9), TimeSpan.FromMinutes(11));
        Assert.Equal(
            Keyspace.PhysicalTtl(Customer, name, TimeSpan.FromDays(7)),
            Keyspace.PhysicalTtl(Customer, name, TimeSpan.FromDays(700))
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => Keyspace.PhysicalTtl(Customer, name, TimeSpan.Zero));
    }

    [Fact]
    public void Without_jitter_the_time_is_exact_and_at_least_a_millisecond()
    {
        var settings = new FamilySettings
        {
            Family = SampleCatalogs.CustomerFamily,
            Kind = "cache",
            Ttl = TimeSpan.FromMinutes(5),
            ScanPatterns = [],
        };

        Assert.Equal(TimeSpan.FromMinutes(5), Keyspace.PhysicalTtl(settings, "a"));
        Assert.Equal(TimeSpan.FromMilliseconds(1), Keyspace.PhysicalTtl(settings, "a", TimeSpan.FromTicks(1)));
    }
}
