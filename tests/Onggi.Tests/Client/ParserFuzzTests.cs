using System.Text;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>Bytes that nobody in his right mind sends. Every failure's message holds the seed and the bytes.</summary>
public sealed class ParserFuzzTests
{
    private const int Promise = 64 * 1024;

    // The objects an error takes: an exception, its text and its stack.
    private const int ErrorAllowance = 8 * 1024;

    private static readonly byte[][] Corpus =
    [
        .. GoldenFrames.Short.Select(frame => frame.ToBytes()),
        .. GoldenFrames.Broken.Select(Encoding.Latin1.GetBytes),
    ];

    [Fact]
    public void Mutated_frames_read_as_the_reference_parser_reads_them()
    {
        var random = Seed.For(nameof(Mutated_frames_read_as_the_reference_parser_reads_them));
        for (var round = 0; round < 100_000; round++)
            AssertSameAsReference(Mutated(random), random);
    }

    [Fact]
    public void Frames_made_by_the_grammar_read_as_the_reference_parser_reads_them()
    {
        var random = Seed.For(nameof(Frames_made_by_the_grammar_read_as_the_reference_parser_reads_them));
        for (var round = 0; round < 20_000; round++)
        {
            var stream = new StringBuilder();
            for (var frames = random.Next(1, 4); frames > 0; frames--)
                Grow(random, stream, depth: 0);
            AssertSameAsReference(Encoding.Latin1.GetBytes(stream.ToString()), random);
        }
    }

    [Fact]
    public void Random_bytes_neither_crash_nor_hang_nor_take_memory()
    {
        var random = Seed.For(nameof(Random_bytes_neither_crash_nor_hang_nor_take_memory));
        var bytes = new byte[256];
        for (var round = 0; round < 200_000; round++)
        {
            var input = bytes.AsSpan(0, random.Next(1, bytes.Length));
            random.NextBytes(input);
            // Pure noise dies at its first byte: most inputs begin as a frame does, and many bytes are ones that mean something.
            if (round % 4 != 0)
                for (var i = 0; i < input.Length; i++)
                    if (i == 0 || (input[i] & 1) == 0)
                        input[i] = Meaningful(random);
            AssertFrugal(input, random.Next(1, 64));
        }
    }

    [Fact]
    public void Mutated_frames_take_no_memory_beyond_the_promise()
    {
        var random = Seed.For(nameof(Mutated_frames_take_no_memory_beyond_the_promise));
        for (var round = 0; round < 150_000; round++)
            AssertFrugal(Mutated(random), random.Next(1, 300));
    }

    [Theory]
    [InlineData("$536870912\r\n")]
    [InlineData("!536870912\r\n")]
    [InlineData("=536870912\r\ntxt:")]
    [InlineData("*67108864\r\n")]
    [InlineData("%67108864\r\n")]
    [InlineData(">67108864\r\n")]
    [InlineData("|67108864\r\n")]
    [InlineData("$?\r\n;536870912\r\n")]
    [InlineData("*67108864\r\n*67108864\r\n*67108864\r\n*67108864\r\n*67108864\r\n*67108864\r\n")]
    public void A_header_that_announces_much_costs_nothing(string header) => AssertFrugal(Encoding.Latin1.GetBytes(header), 1000);

    [Theory]
    [InlineData("$500000000\r\n", "x")]
    [InlineData("*60000000\r\n", ":1\r\n")]
    [InlineData("*60000000\r\n", "$1\r\na\r\n")]
    [InlineData("*60000000\r\n", "*1\r\n%0\r\n")]
    public void A_large_frame_costs_memory_only_as_its_bytes_arrive(string header, string content)
    {
        // A buffer that doubles leaves its smaller selves to the collector: what was allocated in all is at most twice what is held, which is at
        // most twice what has arrived.
        var body = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat(content, 64 * 1024 / content.Length)));
        var buffer = new ReceiveBuffer();
        var scanner = new FrameScanner(RespLimits.Default);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var received = header.Length;
        FrameReading.Scan(buffer, scanner, Encoding.Latin1.GetBytes(header), 1000);
        for (var i = 0; i < 128; i++)
        {
            FrameReading.Scan(buffer, scanner, body, 16_000);
            received += body.Length;
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated <= (2 * Promise) + (4L * received), $"{allocated} bytes were allocated for {received} received.");
        }
    }

    [Fact]
    public void Streamed_parts_cost_no_more_than_a_few_times_what_arrived()
    {
        var body = new string('a', 100_000);
        var nested =
            string.Concat(Enumerable.Repeat("*?\r\n", 100))
            + $"${body.Length}\r\n{body}\r\n"
            + string.Concat(Enumerable.Repeat(".\r\n", 100));
        var bytes = Encoding.Latin1.GetBytes(nested);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Equal(StreamEnd.Clean, FrameReading.Scan(new ReceiveBuffer(), new FrameScanner(RespLimits.Default), bytes, 16_000));

        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated <= Promise + (8L * bytes.Length), $"{allocated} bytes were allocated for {bytes.Length} received.");
    }

    private static void AssertSameAsReference(byte[] bytes, Random random)
    {
        var expected = ReferenceParser.Read(bytes);
        Reading actual;
        try
        {
            actual = random.Next(3) switch
            {
                0 => FrameReading.Read(bytes),
                1 => FrameReading.Read(bytes, random.Next(bytes.Length + 1)),
                _ => FrameReading.ReadByteByByte(bytes),
            };
        }
        catch (Exception crash)
        {
            throw new InvalidOperationException($"Crashed on {ReferenceParser.Escape(bytes)} ({Seed.Line})", crash);
        }

        Assert.True(
            expected.Frames.SequenceEqual(actual.Frames) && expected.End == actual.End,
            $"""
            {ReferenceParser.Escape(bytes)} ({Seed.Line})
            should read: {expected.End} {string.Join(" | ", expected.Frames)}
            but reads:   {actual.End} {string.Join(" | ", actual.Frames)}
            """
        );
    }

    private static void AssertFrugal(ReadOnlySpan<byte> input, int piece)
    {
        var buffer = new ReceiveBuffer();
        var scanner = new FrameScanner(RespLimits.Default);
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            FrameReading.Scan(buffer, scanner, input, piece);
        }
        catch (Exception crash)
        {
            throw new InvalidOperationException($"Crashed on {ReferenceParser.Escape(input)} ({Seed.Line})", crash);
        }

        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (allocated > Promise + ErrorAllowance + (2 * input.Length))
            Assert.Fail($"{allocated} bytes were allocated for {input.Length}: {ReferenceParser.Escape(input)} ({Seed.Line})");
    }

    private static byte[] Mutated(Random random)
    {
        List<byte> bytes = [.. Corpus[random.Next(Corpus.Length)]];
        for (var extra = random.Next(3); extra > 0; extra--)
            bytes.AddRange(Corpus[random.Next(Corpus.Length)]);
        for (var changes = random.Next(1, 5); changes > 0 && bytes.Count > 0; changes--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes[at] = Meaningful(random);
                    break;
                case 2:
                    bytes.RemoveAt(at);
                    break;
                case 3:
                    bytes.Insert(at, Meaningful(random));
                    break;
                case 4:
                    bytes.RemoveRange(at, Math.Min(bytes.Count - at, random.Next(1, 8)));
                    break;
                default:
                    var other = Corpus[random.Next(Corpus.Length)];
                    bytes.InsertRange(at, other.AsSpan(0, random.Next(other.Length + 1)));
                    break;
            }
        }

        return [.. bytes];
    }

    private static byte Meaningful(Random random) => "+-:(,#_$!=*~%>|.;?\r\n\r\n0123456789tfeinfan"u8[random.Next(40)];

    // Whole frames, streamed parts and attributes included, of random shape.
    private static void Grow(Random random, StringBuilder output, int depth)
    {
        if (random.Next(8) == 0)
        {
            var pairs = random.Next(3);
            output.Append($"|{pairs}\r\n");
            for (var i = 0; i < 2 * pairs; i++)
                Grow(random, output, depth + 1);
        }

        switch (random.Next(depth > 5 ? 9 : 15))
        {
            case 0:
                output.Append($"+{Word(random)}\r\n");
                break;
            case 1:
                output.Append($"-{Word(random)}\r\n");
                break;
            case 2:
                output.Append($":{random.NextInt64(long.MinValue, long.MaxValue)}\r\n");
                break;
            case 3:
                output.Append($"({random.NextInt64()}{random.NextInt64()}\r\n");
                break;
            case 4:
                output.Append($",{(random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-300, 300)):R}\r\n");
                break;
            case 5:
                output.Append(
                    random.Next(5) switch
                    {
                        0 => "#t\r\n",
                        1 => "#f\r\n",
                        2 => "_\r\n",
                        3 => "$-1\r\n",
                        _ => "*-1\r\n",
                    }
                );
                break;
            case 6:
                var bulk = Word(random);
                output.Append($"{"$!"[random.Next(2)]}{bulk.Length}\r\n{bulk}\r\n");
                break;
            case 7:
                var text = "txt:" + Word(random);
                output.Append($"={text.Length}\r\n{text}\r\n");
                break;
            case 8:
                output.Append("$?\r\n");
                for (var chunks = random.Next(4); chunks > 0; chunks--)
                {
                    var chunk = Word(random) + "x";
                    output.Append($";{chunk.Length}\r\n{chunk}\r\n");
                }

                output.Append(";0\r\n");
                break;
            case 9 or 10:
                var streamed = "*~%"[random.Next(3)];
                output.Append($"{streamed}?\r\n");
                for (var count = random.Next(4) * (streamed == '%' ? 2 : 1); count > 0; count--)
                    Grow(random, output, depth + 1);
                output.Append(".\r\n");
                break;
            default:
                var type = depth == 0 ? "*~%>"[random.Next(4)] : "*~%"[random.Next(3)];
                var items = random.Next(5);
                output.Append($"{type}{items}\r\n");
                for (var count = items * (type == '%' ? 2 : 1); count > 0; count--)
                    Grow(random, output, depth + 1);
                break;
        }
    }

    private static string Word(Random random) =>
        string.Create(
            random.Next(12),
            random,
            static (letters, random) =>
            {
                for (var i = 0; i < letters.Length; i++)
                    letters[i] = (char)random.Next('a', 'z' + 1);
            }
        );
}
