using System.Text;
using FsCheck;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

/// <summary>What holds for every RESP3 value, not only for those we thought of.</summary>
public sealed class ReaderProperties
{
    private static readonly Gen<Wire> Wires = Property.Grown(Wire.Grow);

    [Fact]
    public Task Whatever_a_server_can_send_is_read_back_the_same_however_it_is_split() =>
        Property.HoldsAsync(
            Wires,
            Wire.Smaller,
            wire =>
            {
                using var talk = new Conversation();
                var replies = wire.Frames.Where(frame => !frame.IsPush).ToArray();
                foreach (var _ in replies)
                    talk.Ask();

                talk.Hear(wire.ToBytes(), wire.Pieces);

                Assert.Equal(replies.Select(Conversation.Expected), replies.Select((_, i) => talk.Outcome(i)));
                Assert.Equal(wire.Frames.Where(frame => frame.IsPush).Select(frame => frame.Reads()), talk.Pushes);
                Assert.Equal(0, talk.InFlight);
            },
            tests: 3000
        );

    [Fact]
    public Task A_streamed_frame_made_plain_reads_the_same_and_has_nothing_streamed_left() =>
        Property.HoldsAsync(
            Property.Grown((random, size) => RespTree.Grow(random, size, pushes: true)),
            RespTree.Smaller,
            tree =>
            {
                var plain = StreamedFrame.Flatten(tree.ToBytes());

                var scanner = new FrameScanner(RespLimits.Default);
                Assert.Equal(plain.Length, scanner.Scan(plain));
                Assert.False(scanner.HasStreamedParts);
                var reader = new RespReader(plain);
                Assert.True(reader.Read());
                Assert.Equal(tree.Reads(), FrameReading.Render(ref reader));
                Assert.False(reader.Read());
            },
            tests: 3000
        );

    [Fact]
    public Task Damaged_frames_break_the_connection_or_read_as_the_reference_parser_reads_them_and_take_no_memory() =>
        Property.HoldsAsync(
            Property.Grown((random, size) => new Damaged(Wire.Grow(random, size), Damage.Several(random))),
            Damaged.Smaller,
            damaged =>
            {
                var bytes = damaged.ToBytes();
                var expected = ReferenceParser.Read(bytes);
                using var talk = new Conversation();
                var replies = expected.Frames.Where(frame => frame[0] != '>').ToArray();
                foreach (var _ in replies)
                    talk.Ask();

                var broken = false;
                try
                {
                    talk.Hear(bytes, damaged.Wire.Pieces);
                }
                catch (RespProtocolException)
                {
                    broken = true;
                }

                Assert.Equal(expected.End == StreamEnd.Broken, broken);
                Assert.Equal(expected.Frames.Where(frame => frame[0] == '>'), talk.Pushes);
                for (var i = 0; i < replies.Length; i++)
                    if (replies[i][0] is not ('-' or '!'))
                        Assert.Equal(replies[i], talk.Outcome(i));
                AssertFrugal(bytes, damaged.Wire.Pieces);
            },
            tests: 4000
        );

    [Theory]
    [InlineData("null", "\"\"")]
    [InlineData("#f", "#t")]
    [InlineData("%[", "[")]
    public async Task A_broken_reader_is_shown_by_a_small_counter_example(string reads, string wrong)
    {
        var smallest = "";
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            Property.HoldsAsync(
                Wires,
                Wire.Smaller,
                wire =>
                {
                    // What the mistaken reader reads.
                    var read = wire.Frames.Select(frame => frame.Reads().Replace(reads, wrong, StringComparison.Ordinal));
                    if (read.SequenceEqual(wire.Frames.Select(frame => frame.Reads())))
                        return;
                    smallest = wire.ToString();
                    Assert.Fail("It reads wrongly.");
                },
                tests: 3000
            )
        );

        Assert.True(smallest.Length <= 40, $"The smallest was {smallest}");
        Assert.Contains("ONGGI_SEED=", failure.Message, StringComparison.Ordinal);
        Assert.Contains(smallest, failure.Message, StringComparison.Ordinal);
    }

    // Scanner and buffer alone: no callers, no values. The promise is the initial buffer and one reserve, and twice what arrived.
    private static void AssertFrugal(byte[] bytes, IReadOnlyList<int> pieces)
    {
        const int Promise = 96 * 1024;
        var (buffer, scanner) = (new ReceiveBuffer(), new FrameScanner(RespLimits.Default));
        var before = GC.GetAllocatedBytesForCurrentThread();
        FrameReading.Scan(buffer, scanner, bytes, pieces is [var piece, ..] ? piece : bytes.Length + 1);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        // Streamed frames are written anew; the growing buffer leaves its smaller selves behind.
        Assert.True(allocated <= Promise + (12L * bytes.Length), $"{allocated} bytes were allocated for {bytes.Length}.");
    }

    /// <summary>Frames one after another, and the sizes of the pieces in which they arrive.</summary>
    internal sealed record Wire(IReadOnlyList<RespTree> Frames, IReadOnlyList<int> Pieces)
    {
        public static Wire Grow(Random random, int size)
        {
            var frames = new RespTree[random.Next(1, 2 + (size / 12))];
            for (var i = 0; i < frames.Length; i++)
                frames[i] = RespTree.Grow(random, size, pushes: true);
            var most = random.Next(3) switch
            {
                0 => 2,
                1 => 30,
                _ => 20_000,
            };
            return new Wire(frames, [.. Enumerable.Range(0, random.Next(5)).Select(_ => random.Next(1, most))]);
        }

        public static IEnumerable<Wire> Smaller(Wire wire) =>
            [
                .. Property.Smaller(wire.Frames, RespTree.Smaller).Select(frames => wire with { Frames = frames }),
                .. Property.Smaller(wire.Pieces, Property.Smallest).Select(pieces => wire with { Pieces = pieces }),
            ];

        public byte[] ToBytes() => [.. Frames.SelectMany(frame => frame.ToBytes())];

        public override string ToString() =>
            string.Concat(Frames) + (Pieces.Count == 0 ? "" : $" in pieces of {string.Join(", ", Pieces)}");
    }

    /// <summary>One thing that goes wrong with a stream: at a place (taken modulo its length) a byte is changed, taken out, put in, a number grows, or a part is lost or doubled.</summary>
    internal sealed record Damage(int Kind, int At, byte Byte)
    {
        public static Damage[] Several(Random random)
        {
            var several = new Damage[random.Next(1, 5)];
            for (var i = 0; i < several.Length; i++)
                several[i] = new(random.Next(6), random.Next(1 << 20), "+-:(,#_$!=*~%>|.;?\r\n0129tf\0\xff"u8[random.Next(26)]);
            return several;
        }

        public void Do(List<byte> bytes)
        {
            if (bytes.Count == 0)
                return;
            var at = At % bytes.Count;
            var part = Math.Min(Byte, bytes.Count - at);
            switch (Kind)
            {
                case 0:
                    bytes[at] = Byte;
                    break;
                case 1:
                    bytes.RemoveAt(at);
                    break;
                case 2:
                    bytes.Insert(at, Byte);
                    break;
                case 3:
                    bytes.RemoveRange(at, part);
                    break;
                case 4:
                    // A length that promises far more than will come.
                    bytes.InsertRange(
                        bytes.FindIndex(at, letter => letter is >= (byte)'0' and <= (byte)'9') is var digit and >= 0 ? digit : at,
                        "3000000"u8
                    );
                    break;
                default:
                    bytes.InsertRange(at, bytes.GetRange(at, part));
                    break;
            }
        }
    }

    internal sealed record Damaged(Wire Wire, IReadOnlyList<Damage> Damages)
    {
        public static IEnumerable<Damaged> Smaller(Damaged damaged) =>
            [
                .. Property.Smaller(damaged.Damages, Property.Smallest).Select(fewer => damaged with { Damages = fewer }),
                .. Wire.Smaller(damaged.Wire).Select(wire => damaged with { Wire = wire }),
            ];

        public byte[] ToBytes()
        {
            List<byte> bytes = [.. Wire.ToBytes()];
            foreach (var damage in Damages)
                damage.Do(bytes);
            return [.. bytes];
        }

        public override string ToString()
        {
            var text = ReferenceParser.Escape(ToBytes());
            return $"{(text.Length > 1000 ? $"{text[..1000]}…" : text)} in pieces of {string.Join(", ", Wire.Pieces)}, from {Wire}";
        }
    }
}
