using System.Globalization;
using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

/// <summary>What holds for every command: besides what <see cref="CommandWriterTests"/> shows, that one which fails leaves no trace among its neighbours.</summary>
public sealed class WriterProperties
{
    private const int LastScalar = 0x10FFFF;

    private static readonly RedisScript Script = new("any", "return 1");

    [Fact]
    public Task Commands_one_after_another_are_written_whole_or_not_at_all() =>
        Property.HoldsAsync(
            Property.Grown(Asked.Several),
            all => Property.Smaller(all, Asked.Smaller),
            all =>
            {
                var output = new OutputBuffer();
                var expected = new List<byte>();
                foreach (var asked in all)
                {
                    if (!asked.IsValid)
                    {
                        Assert.Throws<ArgumentException>(() => asked.Write(output));
                        Assert.Equal(expected, output.Written.ToArray());
                        continue;
                    }

                    var before = output.Length;
                    asked.Write(output);
                    var written = output.Written[before..].ToArray();
                    Assert.Equal(asked.Expected, ReferenceParser.Arguments(written));
                    expected.AddRange(written);
                }

                // What was written first is still there after all that came later.
                Assert.Equal(expected, output.Written.ToArray());
            },
            tests: 2000
        );

    [Fact]
    public Task What_is_measured_bounds_what_is_written() =>
        Property.HoldsAsync(
            Property.Grown(Asked.Several),
            all => Property.Smaller(all, Asked.Smaller),
            all =>
            {
                foreach (var asked in all.Where(asked => asked.IsValid))
                {
                    var output = new OutputBuffer();
                    asked.Write(output);
                    var (measured, most) = asked.Measure();
                    Assert.InRange(output.Length, 1, measured);
                    Assert.InRange(measured, 1, most);
                }
            },
            tests: 1000
        );

    [Fact]
    public void Every_scalar_of_Unicode_is_written_as_UTF_8()
    {
        const int Together = 4096;
        for (var first = 0; first <= LastScalar; first += Together)
        {
            var text = new StringBuilder();
            List<byte> bytes = [];
            for (var scalar = first; scalar < first + Together && scalar <= LastScalar; scalar++)
            {
                if (scalar is >= 0xD800 and <= 0xDFFF)
                    continue;
                text.Append(char.ConvertFromUtf32(scalar));
                bytes.AddRange(Utf8(scalar));
            }

            if (text.Length == 0)
                continue;
            var output = new OutputBuffer();
            CommandWriter.Write(output, new Command([text.ToString()]));
            Assert.Equal([ReferenceParser.Escape(bytes.ToArray())], ReferenceParser.Arguments(output.Written.ToArray())!);
        }
    }

    [Fact]
    public void Every_surrogate_alone_is_refused()
    {
        for (var half = 0xD800; half <= 0xDFFF; half++)
        {
            var output = new OutputBuffer();
            var text = $"a{(char)half}b";
            Assert.Throws<ArgumentException>(() => CommandWriter.Write(output, new Command(["SET", text])));
            Assert.Equal(0, output.Length);
        }
    }

    // By the bits, not by the library that the client uses.
    private static byte[] Utf8(int scalar) =>
        scalar switch
        {
            < 0x80 => [(byte)scalar],
            < 0x800 => [(byte)(0xC0 | (scalar >> 6)), Low(scalar)],
            < 0x10000 => [(byte)(0xE0 | (scalar >> 12)), Low(scalar >> 6), Low(scalar)],
            _ => [(byte)(0xF0 | (scalar >> 18)), Low(scalar >> 12), Low(scalar >> 6), Low(scalar)],
        };

    private static byte Low(int bits) => (byte)(0x80 | (bits & 0x3F));

    /// <summary>An argument, and what must stand on the wire for it; <c>null</c> where it cannot be sent.</summary>
    internal sealed record Given(RedisArg Arg, string? Wire, string Shown)
    {
        public static Given Grow(Random random, int size)
        {
            switch (random.Next(8))
            {
                case 0:
                    long[] numbers = [0, -1, int.MinValue, int.MaxValue, long.MinValue, long.MaxValue, random.NextInt64()];
                    return Whole(numbers[random.Next(numbers.Length)]);
                case 1:
                    double[] reals = [0, -0.0, double.Epsilon, double.MaxValue, double.MinValue, 0.1, 1e21, random.NextDouble()];
                    return Real(reals[random.Next(reals.Length)]);
                case 2:
                    var bytes = new byte[random.Next(30) == 0 ? random.Next(20_000) : random.Next(size + 1)];
                    random.NextBytes(bytes);
                    return Bytes(bytes);
                case 3 when random.Next(4) == 0:
                    return new Given("x\ud800", null, "half a character");
                default:
                    return Text([.. Enumerable.Range(0, random.Next(size + 1)).Select(_ => Scalar(random))]);
            }
        }

        public static IEnumerable<Given> Smaller(Given given) => given.Shown == "0" ? [] : [Whole(0)];

        private static int Scalar(Random random) =>
            random.Next(5) switch
            {
                0 => random.Next(0x80),
                1 => random.Next(0x80, 0x800),
                2 => random.Next(0x800, 0xD800),
                3 => random.Next(0xE000, 0x10000),
                _ => random.Next(0x10000, LastScalar + 1),
            };

        private static Given Whole(long number)
        {
            var digits = number.ToString(CultureInfo.InvariantCulture);
            return new(number, digits, digits);
        }

        private static Given Real(double number)
        {
            var text = number.ToString("R", CultureInfo.InvariantCulture);
            return new(number, text, text);
        }

        private static Given Bytes(byte[] bytes)
        {
            var wire = ReferenceParser.Escape(bytes);
            return new(bytes, wire, wire);
        }

        private static Given Text(int[] scalars)
        {
            var wire = ReferenceParser.Escape(scalars.SelectMany(Utf8).ToArray());
            return new(string.Concat(scalars.Select(char.ConvertFromUtf32)), wire, wire);
        }
    }

    /// <summary>A command, or a script's call when there are keys.</summary>
    internal sealed record Asked(IReadOnlyList<Given>? Keys, IReadOnlyList<Given> Args)
    {
        /// <summary>What a command that cannot be written lacks: every argument can be sent, and there is a name.</summary>
        public bool IsValid => All.All(given => given.Wire is not null) && (Keys is not null || Args.Count > 0);

        public string[] Expected =>
            [
                .. Keys is null ? [] : (string[])["EVALSHA", Script.Digest, Keys.Count.ToString(CultureInfo.InvariantCulture)],
                .. All.Select(given => given.Wire!),
            ];

        private IEnumerable<Given> All => [.. Keys ?? [], .. Args];

        public static Asked[] Several(Random random, int size)
        {
            var several = new Asked[random.Next(1, 2 + (size / 10))];
            for (var i = 0; i < several.Length; i++)
                several[i] = new Asked(random.Next(3) == 0 ? Givens(random, size) : null, Givens(random, size));
            return several;
        }

        public static IEnumerable<Asked> Smaller(Asked asked) =>
            [
                .. Property.Smaller(asked.Args, Given.Smaller).Select(args => asked with { Args = args }),
                .. asked.Keys is { } keys ? Property.Smaller(keys, Given.Smaller).Select(fewer => asked with { Keys = fewer }) : [],
            ];

        public void Write(OutputBuffer output) => CommandWriter.Write(output, ToCommand());

        public (long Measured, long Most) Measure()
        {
            var command = ToCommand();
            return (CommandWriter.Measure(in command), command.MostBytes);
        }

        public override string ToString() =>
            $"({string.Join(' ', Keys?.Select(given => given.Shown) ?? ["plain"])} | {string.Join(' ', Args.Select(given => given.Shown))})";

        private static Given[] Givens(Random random, int size) =>
            [.. Enumerable.Range(0, random.Next(6)).Select(_ => Given.Grow(random, size))];

        private Command ToCommand()
        {
            RedisArg[] args = [.. Args.Select(given => given.Arg)];
            return Keys is null ? new Command(args) : new Command(Script, (RedisArg[])[.. Keys.Select(given => given.Arg)], args);
        }
    }
}
