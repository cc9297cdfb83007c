using Onggi.Testing;

namespace Onggi.Tests.Client;

public sealed class GoldenFrameTests
{
    [Fact]
    public void Every_golden_frame_reads_as_written_down()
    {
        foreach (var frame in GoldenFrames.All)
            AssertReads(frame, FrameReading.Read(frame.ToBytes()), "whole");
    }

    [Fact]
    public void The_reference_parser_agrees_with_the_golden_frames()
    {
        foreach (var frame in GoldenFrames.All)
            AssertReads(frame, ReferenceParser.Read(frame.ToBytes()), "by the reference parser");
    }

    [Fact]
    public void A_frame_that_arrives_byte_by_byte_reads_the_same()
    {
        foreach (var frame in GoldenFrames.All)
            AssertReads(frame, FrameReading.ReadByteByByte(frame.ToBytes()), "byte by byte");
    }

    [Fact]
    public void A_frame_cut_in_two_anywhere_reads_the_same()
    {
        foreach (var frame in GoldenFrames.Short)
        {
            var bytes = frame.ToBytes();
            for (var cut = 0; cut <= bytes.Length; cut++)
                AssertReads(frame, FrameReading.Read(bytes, cut), $"cut at {cut}");
        }
    }

    [Fact]
    public void A_long_frame_cut_in_two_near_its_ends_and_anywhere_reads_the_same()
    {
        var random = Seed.For(nameof(A_long_frame_cut_in_two_near_its_ends_and_anywhere_reads_the_same));
        foreach (var frame in GoldenFrames.All.Except(GoldenFrames.Short))
        {
            var bytes = frame.ToBytes();
            int[] cuts =
            [
                .. Enumerable.Range(0, 12),
                .. Enumerable.Range(bytes.Length - 12, 12),
                .. Enumerable.Range(0, 20).Select(_ => random.Next(bytes.Length)),
            ];
            foreach (var cut in cuts)
                AssertReads(frame, FrameReading.Read(bytes, cut), $"cut at {cut}, {Seed.Line}");
        }
    }

    [Fact]
    public void Frames_one_after_another_cut_into_any_number_of_pieces_read_the_same_in_the_same_order()
    {
        var random = Seed.For(nameof(Frames_one_after_another_cut_into_any_number_of_pieces_read_the_same_in_the_same_order));
        for (var round = 0; round < 400; round++)
        {
            var frames = Enumerable
                .Range(0, random.Next(1, 60))
                .Select(_ => GoldenFrames.Short[random.Next(GoldenFrames.Short.Count)])
                .ToArray();
            var stream = frames.SelectMany(frame => frame.ToBytes()).ToArray();
            var cuts = Enumerable.Range(0, random.Next(1, 40)).Select(_ => random.Next(stream.Length + 1)).Order().ToArray();

            var reading = FrameReading.Read(stream, cuts);

            Assert.True(
                reading.Frames.SequenceEqual(frames.Select(frame => frame.Reads)) && reading.End == StreamEnd.Clean,
                $"Round {round} differs, {Seed.Line}"
            );
        }
    }

    [Fact]
    public void A_frame_that_lacks_its_last_bytes_is_not_read_yet()
    {
        foreach (var frame in GoldenFrames.Short)
        {
            var bytes = frame.ToBytes();
            for (var length = 1; length < bytes.Length; length++)
            {
                var reading = FrameReading.Read(bytes.AsSpan(0, length));
                Assert.True(reading is { Frames.Count: 0, End: StreamEnd.Incomplete }, $"{frame} at {length}: {reading.End}");
            }
        }
    }

    [Fact]
    public void What_is_not_RESP3_is_refused()
    {
        foreach (var broken in GoldenFrames.Broken)
        {
            var bytes = System.Text.Encoding.Latin1.GetBytes(broken);
            Assert.True(FrameReading.Read(bytes).End == StreamEnd.Broken, $"Let through: {ReferenceParser.Escape(broken)}");
            Assert.True(
                FrameReading.ReadByteByByte(bytes).End == StreamEnd.Broken,
                $"Let through byte by byte: {ReferenceParser.Escape(broken)}"
            );
            Assert.True(
                ReferenceParser.Read(bytes).End == StreamEnd.Broken,
                $"The reference parser let through: {ReferenceParser.Escape(broken)}"
            );
        }
    }

    [Fact]
    public void What_comes_before_broken_bytes_is_still_read()
    {
        foreach (var broken in GoldenFrames.Broken)
        {
            var reading = FrameReading.Read(System.Text.Encoding.Latin1.GetBytes("+first\r\n:2\r\n" + broken));
            Assert.Equal(["+first", ":2"], reading.Frames);
            Assert.Equal(StreamEnd.Broken, reading.End);
        }
    }

    [Theory]
    [InlineData(129)]
    [InlineData(10_000)]
    public void Nesting_deeper_than_128_is_refused_before_it_is_whole(int depth)
    {
        var bytes = GoldenFrames.Nested(depth).ToBytes().AsSpan(0, 129 * 4);

        Assert.Equal(StreamEnd.Broken, FrameReading.Read(bytes).End);
    }

    [Fact]
    public void Attributes_count_as_nesting()
    {
        var bytes = System.Text.Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat("|1\r\n", 200)));

        Assert.Equal(StreamEnd.Broken, FrameReading.Read(bytes).End);
    }

    [Fact]
    public void Ten_thousand_attributes_in_front_of_one_element_are_passed_over()
    {
        var bytes = System.Text.Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat("|1\r\n+k\r\n+v\r\n", 10_000)) + "+a\r\n");

        Assert.Equal(["+a"], FrameReading.Read(bytes).Frames);
    }

    [Fact]
    public void A_line_without_end_is_refused_at_64_KiB()
    {
        var bytes = new byte[70_000];
        bytes.AsSpan().Fill((byte)'a');
        bytes[0] = (byte)'+';

        Assert.Equal(StreamEnd.Incomplete, FrameReading.Read(bytes.AsSpan(0, 65_000)).End);
        Assert.Equal(StreamEnd.Broken, FrameReading.Read(bytes).End);
    }

    private static void AssertReads(GoldenFrame frame, Reading reading, string how) =>
        Assert.True(
            reading.End == StreamEnd.Clean && reading.Frames.Count == 1 && reading.Frames[0] == frame.Reads,
            $"{frame} {how} reads {reading.End}: {string.Join(" | ", reading.Frames.Select(text => text.Length > 200 ? text[..200] : text))}"
        );
}
