using Onggi.Events;

namespace Onggi.Tests.Events;

public sealed class EventPositionTests
{
    [Theory]
    [InlineData(
        "019aa7c4-0000-7000-8000-000000000000",
        7,
        "019aa7c4-0000-7000-8000-000000000001",
        "7/019aa7c4-0000-7000-8000-000000000000/019aa7c4-0000-7000-8000-000000000001"
    )]
    [InlineData("e", 0, "", "0/e/")]
    [InlineData("e", long.MaxValue, "an id/with a stroke", "9223372036854775807/e/an id/with a stroke")]
    public void A_position_is_one_text_and_comes_back_from_it(string epoch, long number, string id, string text)
    {
        var position = new EventPosition(epoch, number, id);

        Assert.Equal(text, position.ToString());
        Assert.True(EventPosition.TryParse(text, out var read));
        Assert.Equal(position, read);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("7")]
    [InlineData("7/epoch")]
    [InlineData("7//id")]
    [InlineData("-7/epoch/id")]
    [InlineData("seven/epoch/id")]
    public void Other_texts_are_none(string? text) => Assert.False(EventPosition.TryParse(text, out _));

    [Fact]
    public async Task What_is_no_position_and_a_position_for_all_types_are_refused()
    {
        await using var bus = new TestBus();
        var nothing = new SubscribeOptions { After = default(EventPosition) };
        var some = new SubscribeOptions { After = new EventPosition("epoch", 1, "id") };

        var empty = await Assert.ThrowsAsync<ArgumentException>(async () =>
            await bus.Events.SubscribeAsync(TestBus.UserUpdated, static (_, _) => ValueTask.CompletedTask, nothing)
        );
        var all = await Assert.ThrowsAsync<ArgumentException>(async () =>
            await bus.Events.SubscribeAllAsync(static (_, _) => ValueTask.CompletedTask, some)
        );

        Assert.Contains("leave After out", empty.Message, StringComparison.Ordinal);
        Assert.Contains("with its own position", all.Message, StringComparison.Ordinal);
    }
}
