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
            MemoryTtl = TimeSpan.FromSeconds(2),
            MemoryMaxEntries = 0,
            MemoryMaxBytes = 0,
            MaxValueBytes = 1,
        };

        var failures = string.Join('\n', _validator.Validate(null, wrong).Failures!);

        Assert.Contains("MemoryTtl", failures, StringComparison.Ordinal);
        Assert.Contains("at most 1 s", failures, StringComparison.Ordinal);
        Assert.Contains("MemoryMaxEntries", failures, StringComparison.Ordinal);
        Assert.Contains("MemoryMaxBytes", failures, StringComparison.Ordinal);
        Assert.Contains("MemoryMaxValueBytes", failures, StringComparison.Ordinal);
        Assert.Contains("MaxValueBytes", failures, StringComparison.Ordinal);
    }
}
