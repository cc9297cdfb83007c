using Onggi.Caching;

namespace Onggi.Tests.Caching;

public sealed class CacheOptionsTests
{
    private readonly CacheOptionsValidator _validator = new();

    [Fact]
    public void The_defaults_are_valid() => Assert.True(_validator.Validate(null, new CacheOptions()).Succeeded);

    [Fact]
    public void Every_mistake_is_told_at_once_with_its_option()
    {
        var wrong = new CacheOptions
        {
            MemoryTtl = TimeSpan.Zero,
            MaxStaleness = TimeSpan.FromSeconds(20),
            MemoryMaxEntries = 0,
            MemoryMaxBytes = 0,
            MaxValueBytes = 1,
        };

        wrong.Defaults.LeaseWait = TimeSpan.FromDays(2);
        wrong.ForFamily(
            "text",
            static family =>
            {
                family.SoftTimeout = TimeSpan.FromSeconds(2);
                family.HardTimeout = TimeSpan.FromSeconds(1);
                family.RefreshAfter = 1;
                family.Sliding = true;
                family.FailoverSafety = FailoverSafety.Strict;
            }
        );

        var failures = string.Join('\n', _validator.Validate(null, wrong).Failures!);

        Assert.Contains("MemoryTtl", failures, StringComparison.Ordinal);
        Assert.Contains("from 100 ms to 10 s", failures, StringComparison.Ordinal);
        Assert.Contains("Defaults.LeaseWait", failures, StringComparison.Ordinal);
        Assert.Contains("Families[\"text\"].SoftTimeout", failures, StringComparison.Ordinal);
        Assert.Contains("Families[\"text\"].RefreshAfter", failures, StringComparison.Ordinal);
        Assert.Contains("Families[\"text\"] has Sliding", failures, StringComparison.Ordinal);
        Assert.Contains("MemoryMaxEntries", failures, StringComparison.Ordinal);
        Assert.Contains("MemoryMaxBytes", failures, StringComparison.Ordinal);
        Assert.Contains("MemoryMaxValueBytes", failures, StringComparison.Ordinal);
        Assert.Contains("MaxValueBytes", failures, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_family_leaves_to_the_defaults_counts_among_what_cannot_be_together()
    {
        var wrong = new CacheOptions();
        wrong.Defaults.FailoverSafety = FailoverSafety.Strict;
        wrong.ForFamily("slides", static family => family.Sliding = true);
        wrong.ForFamily("large", static family => (family.Large, family.Memory) = (true, true));

        var failures = _validator.Validate(null, wrong).Failures!.ToList();

        Assert.Equal(3, failures.Count);
        Assert.Contains(
            failures,
            static one => one.Contains("Families[\"slides\"] has Sliding and FailoverSafety.Strict", StringComparison.Ordinal)
        );
        Assert.Contains(failures, static one => one.Contains("Families[\"large\"] has Large and Memory", StringComparison.Ordinal));
        Assert.Contains(
            failures,
            static one => one.Contains("Families[\"large\"] has Large and FailoverSafety.Strict", StringComparison.Ordinal)
        );
    }
}
