using System.Text.Json;

// One demonstration at a time: each is seven processes, and the story tells how long things take.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace PhoneBill.EndToEnd;

/// <summary>The story is told once; each fact looks at another part of it.</summary>
public sealed class ToldStory : IAsyncLifetime
{
    public int ExitCode { get; private set; }

    public string Errors { get; private set; } = "";

    public JsonElement Document { get; private set; }

    public async Task InitializeAsync()
    {
        await using var demo = DemoProcess.Start("--once", "--json");
        ExitCode = await demo.ExitAsync();
        Errors = demo.Errors;
        Left = [.. demo.Children(), .. Directory.EnumerateFileSystemEntries(demo.Temp, "phonebill-*")];
        Assert.True(demo.Output.Trim().Length > 0, $"The demonstration printed nothing (exit code {ExitCode}): {Errors}");
        Document = JsonDocument.Parse(demo.Output).RootElement;
    }

    public IReadOnlyList<string> Left { get; private set; } = [];

    public Task DisposeAsync() => Task.CompletedTask;

    public JsonElement Step(string name) =>
        Document.GetProperty("steps").EnumerateArray().Single(step => step.GetProperty("name").GetString() == name);
}

public sealed class StoryTests(ToldStory story) : IClassFixture<ToldStory>
{
    [Fact]
    public void Everything_happens_as_told()
    {
        var missed = story
            .Document.GetProperty("steps")
            .EnumerateArray()
            .Where(step => !step.GetProperty("ok").GetBoolean())
            .Select(step => $"{step.GetProperty("name")}: {step.GetProperty("missed")}");

        Assert.Empty(missed);
        Assert.Equal(0, story.ExitCode);
    }

    [Fact]
    public void Nothing_is_left_behind_and_nothing_is_complained_of()
    {
        Assert.Empty(story.Left);
        Assert.Equal("", story.Errors.Trim());
    }

    [Theory]
    [InlineData("bill.first", "loader")]
    [InlineData("bill.second", "redis")]
    [InlineData("bill.third", "memory")]
    [InlineData("replica.first", "redis")]
    [InlineData("replica.second", "memory")]
    [InlineData("product.seen", "loader")]
    [InlineData("product.replica", "redis")]
    public void An_answer_comes_from_where_the_story_says(string step, string tier) =>
        Assert.Equal(tier, story.Step(step).GetProperty("tier").GetString());

    [Fact]
    public void The_first_bill_is_as_slow_as_KOS_and_the_third_is_not()
    {
        Assert.True(Milliseconds("bill.first") >= 200);
        Assert.True(Milliseconds("bill.third") < 100);
    }

    [Fact]
    public void KOS_gets_no_more_calls_than_it_was_promised_and_the_rest_is_told_when_to_come_back()
    {
        var budget = story.Step("kos.limit").GetProperty("details");

        Assert.InRange(budget.GetProperty("kosCalls").GetInt32(), 1, budget.GetProperty("asked").GetInt32() - 1);
        Assert.True(budget.GetProperty("denied").GetInt32() > 0);
    }

    [Fact]
    public void An_outage_of_Redis_is_no_error_and_no_wrong_answer()
    {
        var outage = story.Step("redis.outage").GetProperty("details");

        Assert.Equal(0, outage.GetProperty("errors").GetInt32());
        Assert.Equal(0, outage.GetProperty("wrong").GetInt32());
        Assert.True(outage.GetProperty("requests").GetInt32() > 50);
    }

    [Fact]
    public void An_empty_Redis_is_warmed_without_anybody_asking()
    {
        var warmed = story.Step("redis.warmup").GetProperty("details");

        Assert.Equal(12, warmed.GetProperty("products").GetInt32());
        Assert.Equal(4, warmed.GetProperty("available_products").GetInt32());
        Assert.Equal(3, warmed.GetProperty("codes").GetInt32());
        Assert.Equal(3, warmed.GetProperty("config").GetInt32());
    }

    [Fact]
    public void Every_key_belongs_to_a_family_and_has_a_time_to_live()
    {
        var groups = story.Document.GetProperty("keys").EnumerateArray().ToList();

        Assert.Contains(groups, group => group.GetProperty("family").GetString() == "bill");
        Assert.DoesNotContain(groups, group => group.GetProperty("family").GetString() == "(nobody's)");
        Assert.All(
            groups.Where(group => group.GetProperty("family").GetString() != "onggi"),
            group => Assert.NotEqual("none", group.GetProperty("timeToLive").GetString())
        );
    }

    private double Milliseconds(string step) => story.Step(step).GetProperty("ms").GetDouble();
}
