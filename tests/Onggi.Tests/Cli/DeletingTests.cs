using Onggi.Cli.Operations.Deleting;

namespace Onggi.Tests.Cli;

public sealed class DeletingTests
{
    private static readonly TimeSpan Budget = TimeSpan.FromMilliseconds(10);

    [Theory]
    [InlineData("*", "anything", true)]
    [InlineData("*", "", true)]
    [InlineData("dev:*", "dev:customer:1", true)]
    [InlineData("dev:*", "prod:customer:1", false)]
    [InlineData("dev:*:1", "dev:customer:1", true)]
    [InlineData("dev:*:1", "dev:customer:2", false)]
    [InlineData("h?llo", "hello", true)]
    [InlineData("h?llo", "hllo", false)]
    [InlineData("h[ae]llo", "hallo", true)]
    [InlineData("h[^e]llo", "hello", false)]
    [InlineData("h[a-c]llo", "hbllo", true)]
    [InlineData("h[a-c]llo", "hdllo", false)]
    [InlineData("h[c-a]llo", "hbllo", true)]
    [InlineData("a\\*b", "a*b", true)]
    [InlineData("a\\*b", "axb", false)]
    [InlineData("h[\\]]", "h]", true)]
    [InlineData("ab", "abc", false)]
    public void Globs_are_read_as_Redis_reads_them(string pattern, string text, bool matches) =>
        Assert.Equal(matches, Glob.IsMatch(pattern, text));

    [Fact]
    public void Batches_grow_while_nobody_waits_and_shrink_at_once_when_somebody_does()
    {
        var pace = new Pace(Budget);
        var first = pace.Keys;

        for (var i = 0; i < 1000; i++)
            Assert.Equal(TimeSpan.Zero, pace.After(TimeSpan.FromMilliseconds(1)));
        var grown = pace.Keys;
        pace.After(TimeSpan.FromMilliseconds(11));

        Assert.True(first < grown);
        Assert.Equal(Pace.Most, grown);
        Assert.Equal(grown / 2, pace.Keys);
        Assert.Equal(1, pace.Overruns);
    }

    [Fact]
    public void Near_the_budget_batches_shrink_a_little()
    {
        var pace = new Pace(Budget);

        pace.After(TimeSpan.FromMilliseconds(6));

        Assert.Equal(256 * 4 / 5, pace.Keys);
        Assert.Equal(0, pace.Overruns);
    }

    [Fact]
    public void Where_the_smallest_batch_is_too_much_there_are_pauses()
    {
        var pace = new Pace(Budget);

        var pauses = Enumerable.Range(0, 10).Select(_ => pace.After(TimeSpan.FromMilliseconds(50))).ToList();

        Assert.Equal(Pace.Least, pace.Keys);
        Assert.Equal(TimeSpan.Zero, pauses[0]);
        Assert.Equal(Budget, pauses[^1]);
    }

    [Fact]
    public void A_bundle_is_read_as_it_was_written_and_says_when_it_breaks_off()
    {
        using var stream = new MemoryStream();
        UndoBundle.WriteHeader(stream, new UndoHeader("pattern a:*", "somewhere:6379", DateTimeOffset.UnixEpoch));
        UndoBundle.Write(stream, new UndoRecord([1, 2, 3], -1, [4]));
        UndoBundle.Write(stream, new UndoRecord([], 17, []));
        var whole = stream.Length;
        UndoBundle.WriteFinished(stream, 2);

        Assert.Equal((2, true), Read(stream.ToArray()));
        for (var length = 0L; length < stream.Length; length++)
        {
            var cut = stream.ToArray()[..(int)length];
            try
            {
                var (count, finished) = Read(cut);
                Assert.False(finished);
                Assert.Equal(length >= whole ? 2 : count, count);
            }
            catch (Onggi.Cli.ToolException)
            {
                // The header itself is cut.
            }
        }
    }

    [Fact]
    public void A_length_that_cannot_be_is_not_believed()
    {
        using var stream = new MemoryStream();
        UndoBundle.WriteHeader(stream, new UndoHeader("pattern a:*", "somewhere:6379", DateTimeOffset.UnixEpoch));
        stream.Write([255, 255, 255, 127, 1, 2, 3]);

        Assert.Equal((0, false), Read(stream.ToArray()));
    }

    private static (int Count, bool Finished) Read(byte[] bytes)
    {
        using var stream = new MemoryStream(bytes);
        UndoBundle.ReadHeader(stream, "file");
        var count = 0;
        while (UndoBundle.Read(stream, out var finished) is var record)
        {
            if (record is null)
                return (count, finished);
            count++;
        }

        return (count, false);
    }
}
