using Onggi.Cli.Auditing;
using Onggi.Keys;
using Onggi.Tests.Keys;

namespace Onggi.Tests.Cli;

/// <summary>What names tell, and what the catalog says of a key: no server is asked.</summary>
public class AuditRulesTests
{
    private static readonly Keyspace Small = Keyspace.Load(SampleCatalogs.Small);

    [Theory]
    [InlineData("dev:customer:010-1234-5678", "phone number")]
    [InlineData("dev:customer:01012345678", "phone number")]
    [InlineData("dev:customer:02-123-4567", "phone number")]
    [InlineData("dev:customer:+82-10-1234-5678", "phone number")]
    [InlineData("dev:customer:+821012345678", "phone number")]
    [InlineData("{dev:customer:010-1234-5678}:l", "phone number")]
    [InlineData("dev:x:900101-1234567", "resident registration number")]
    [InlineData("dev:user:kim@example.com", "e-mail address")]
    [InlineData("dev:user:kim%40example.co.kr", "e-mail address")]
    [InlineData("dev:bill:2026-11", null)]
    [InlineData("dev:order:20261122", null)]
    [InlineData("dev:auth:session:a01012345678bcdefghijklmnopqrstuvw", null)]
    [InlineData("dev:x:0198c2f0-7d3a-7000-8000-010123456789", null)]
    [InlineData("dev:locks:invoice:2026-11-22", null)]
    public void Personal_data_is_known_by_its_shape(string name, string? shape) => Assert.Equal(shape, PersonalData.In(name));

    [Theory]
    [InlineData("dev:customer:010-1234-5678", "dev:customer:010…")]
    [InlineData("dev:user:kim@example.com:x", "dev:user:kim…:x")]
    [InlineData("dev:bill:1", "dev:bill:1")]
    public void What_is_personal_is_not_told(string name, string masked) => Assert.Equal(masked, PersonalData.Mask(name));

    [Theory]
    [InlineData("dev:customer:1", null)]
    [InlineData("{dev:customer:1}:l", "l")]
    [InlineData("{dev:billing:session-user:u}:meta", "meta")]
    [InlineData("dev:x:{tag}:~l", "l")]
    public void What_stands_beside_an_entry_is_known(string name, string? part) => Assert.Equal(part, AuditRules.PartOf(name));

    [Theory]
    [InlineData("dev:customer:1", "string", true, true)]
    [InlineData("{dev:customer:1}:l", "string", true, false)]
    [InlineData("dev:billing:session:h", "hash", true, false)]
    [InlineData("dev:billing:session-user:u", "zset", true, false)]
    [InlineData("dev:billing:session-due:00abc", "zset", true, false)]
    [InlineData("{dev:billing:session-user:u}:meta", "hash", true, false)]
    public void The_catalog_tells_type_and_end(string name, string type, bool mustEnd, bool isJsonEntry)
    {
        var family = Small.FamilyOf(name)!;

        Assert.Equal([type], AuditRules.TypesOf(name, family)!);
        Assert.Equal(mustEnd, AuditRules.MustEnd(name, family));
        Assert.Equal(isJsonEntry, AuditRules.PartOf(name) is null && AuditRules.IsJson(family));
    }

    [Fact]
    public void Onggis_own_keys_need_no_end()
    {
        var family = Small.FamilyOf("dev:onggi:epoch")!;

        Assert.False(AuditRules.MustEnd("dev:onggi:epoch", family));
        Assert.Null(AuditRules.TypesOf("dev:onggi:epoch", family));
        Assert.Null(AuditRules.LongestOf("dev:onggi:epoch", family));
    }

    [Fact]
    public void What_is_reckoned_from_some_is_near_and_its_error_is_said()
    {
        const int Seed = 20261122;
        var random = new Random(Seed);
        var inside = 0;
        for (var round = 0; round < 200; round++)
        {
            var tally = new FamilyTally("x") { Keys = 10_000 };
            for (var i = 0; i < 400; i++)
                tally.Add(random.Next(100, 1100));
            if (Math.Abs(tally.Bytes - (599.5 * 10_000)) <= tally.Error)
                inside++;
        }

        // 19 of 20 are promised; the seed makes it the same each time.
        Assert.InRange(inside, 180, 200);
    }

    [Theory]
    [InlineData(0.002)]
    [InlineData(0.05)]
    [InlineData(0.5)]
    [InlineData(1)]
    public void How_many_keys_something_is_wrong_with_is_reckoned_within_its_error(double share)
    {
        const int Seed = 20261122;
        const int Keys = 10_000;
        var random = new Random(Seed);
        var wrong = (long)(share * Keys);
        var inside = 0;
        for (var round = 0; round < 200; round++)
        {
            var tally = new FamilyTally("x") { Keys = Keys };
            var found = 0;
            for (var i = 0; i < 400; i++)
            {
                tally.Add(100);
                found += random.NextDouble() < share ? 1 : 0;
            }

            var (count, error) = tally.Reckon(found);
            Assert.True(error > 0);
            if (Math.Abs(count - wrong) <= error)
                inside++;
        }

        Assert.InRange(inside, 180, 200);
    }

    [Fact]
    public void Of_a_small_family_each_key_has_the_same_chance_to_be_looked_into_beside_the_chosen_ones()
    {
        const int Seed = 20261122;
        var random = new Random(Seed);
        var times = new int[500];
        for (var round = 0; round < 400; round++)
        {
            var tally = new FamilyTally("x") { Chosen = 60 };
            for (var i = 0; i < times.Length; i++)
                tally.Spare($"{i}", random);
            var spared = tally.Spared.ToList();
            Assert.Equal(40, spared.Distinct().Count());
            foreach (var key in spared)
                times[int.Parse(key, System.Globalization.CultureInfo.InvariantCulture)]++;
        }

        // 400 times 40 of 500 is 32 each, give or take 5.4: the first and the last no more than the others.
        Assert.InRange(times[..100].Average(), 30, 34);
        Assert.InRange(times[^100..].Average(), 30, 34);
        Assert.All(times, time => Assert.InRange(time, 8, 60));
        Assert.Empty(new FamilyTally("x") { Chosen = 100 }.Spared);
    }

    [Fact]
    public void Who_looked_into_all_errs_by_nothing()
    {
        var tally = new FamilyTally("x") { Keys = 3 };
        foreach (var bytes in (long[])[10, 20, 60])
            tally.Add(bytes);

        Assert.Equal((90, 0), (tally.Bytes, tally.Error));
    }

    [Fact]
    public void Who_is_slow_is_asked_less_at_once_and_left_alone_for_as_long()
    {
        var pace = new AuditPace();
        var sizes = new List<int>();
        foreach (var took in (int[])[1, 1, 1, 5, 50, 50, 50, 50, 50, 50, 50])
        {
            Assert.Equal(TimeSpan.FromMilliseconds(took), pace.Rest(TimeSpan.FromMilliseconds(took)));
            sizes.Add(pace.AtOnce);
        }

        Assert.Equal([200, 400, 500, 500, 250, 125, 62, 31, 15, 10, 10], sizes);
        Assert.Equal(TimeSpan.FromMilliseconds(200), pace.Rest(TimeSpan.FromSeconds(3)));
    }

    [Fact]
    public void The_largest_are_kept()
    {
        var top = new TopKeys(2, key => key.Bytes);
        foreach (var bytes in (long[])[5, 9, 1, 7])
            top.Add(new KeyFacts($"k{bytes}", null, "string", -1, bytes, null));

        Assert.Equal(["k9", "k7"], top.ToList().Select(key => key.Name));
    }
}
