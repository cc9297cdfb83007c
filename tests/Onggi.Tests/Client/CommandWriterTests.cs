using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

public sealed class CommandWriterTests
{
    // What was written, said again as the text that a server reads.
    private static readonly Gen<(RedisArg Arg, byte[]? Bytes)> Args = Gen.OneOf(
        ArbMap.Default.GeneratorFor<string>().Where(text => text is not null).Select(text => ((RedisArg)text, Utf8OrNull(text))),
        ArbMap.Default.GeneratorFor<byte[]>().Where(bytes => bytes is not null).Select(bytes => ((RedisArg)bytes, (byte[]?)bytes)),
        ArbMap
            .Default.GeneratorFor<long>()
            .Select(number => ((RedisArg)number, (byte[]?)Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture)))),
        ArbMap
            .Default.GeneratorFor<int>()
            .Select(number => ((RedisArg)number, (byte[]?)Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture)))),
        ArbMap
            .Default.GeneratorFor<double>()
            .Select(number => ((RedisArg)number, (byte[]?)Encoding.ASCII.GetBytes(number.ToString("R", CultureInfo.InvariantCulture))))
    );

    [Fact]
    public void What_is_written_reads_back_as_the_arguments() =>
        Prop.ForAll(
                Args.NonEmptyListOf().ToArbitrary(),
                args =>
                {
                    var output = new OutputBuffer();
                    if (args.Any(arg => arg.Bytes is null))
                    {
                        Assert.Throws<ArgumentException>(() => Write(output, [.. args.Select(arg => arg.Arg)]));
                        return output.Length == 0;
                    }

                    Write(output, [.. args.Select(arg => arg.Arg)]);
                    return Arguments(output).SequenceEqual(args.Select(arg => ReferenceParser.Escape(arg.Bytes!)));
                }
            )
            .Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void A_script_call_is_written_as_EVALSHA_with_its_keys_counted() =>
        Prop.ForAll(
                Args.Where(arg => arg.Bytes is not null).ListOf().ToArbitrary(),
                Args.Where(arg => arg.Bytes is not null).ListOf().ToArbitrary(),
                (keys, args) =>
                {
                    var script = new RedisScript("echo", "return ARGV");
                    var output = new OutputBuffer();
                    CommandWriter.Write(
                        output,
                        new Command(script, keys.Select(key => key.Arg).ToArray(), args.Select(arg => arg.Arg).ToArray())
                    );
                    string[] expected =
                    [
                        "EVALSHA",
                        script.Digest,
                        keys.Count.ToString(CultureInfo.InvariantCulture),
                        .. keys.Concat(args).Select(arg => ReferenceParser.Escape(arg.Bytes!)),
                    ];
                    return Arguments(output).SequenceEqual(expected);
                }
            )
            .Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void The_bytes_are_those_of_the_protocol()
    {
        var output = new OutputBuffer();

        Write(output, ["SET", "키", new byte[] { 0, 13, 10, 255 }, "PX", 1500]);

        Assert.Equal(
            "*5\r\n$3\r\nSET\r\n$3\r\n\xed\x82\xa4\r\n$4\r\n\0\r\n\xff\r\n$2\r\nPX\r\n$4\r\n1500\r\n",
            Encoding.Latin1.GetString(output.Written.Span)
        );
    }

    [Theory]
    [InlineData(0L, "0")]
    [InlineData(-1L, "-1")]
    [InlineData(long.MaxValue, "9223372036854775807")]
    [InlineData(long.MinValue, "-9223372036854775808")]
    public void Whole_numbers_are_sent_as_digits(long number, string digits) => Assert.Equal([digits], Written(number));

    [Theory]
    [InlineData(0.0, "0")]
    [InlineData(1.5, "1.5")]
    [InlineData(0.1, "0.1")]
    [InlineData(1e300, "1E+300")]
    [InlineData(5e-324, "5E-324")]
    [InlineData(-1234567.875, "-1234567.875")]
    public void Doubles_are_sent_in_the_shortest_form_that_reads_back(double number, string text) => Assert.Equal([text], Written(number));

    [Fact]
    public void Infinities_are_sent_as_text_that_Redis_reads()
    {
        Assert.Contains(Written(double.PositiveInfinity)[0], (string[])["inf", "+inf", "Infinity"]);
        Assert.Contains(Written(double.NegativeInfinity)[0], (string[])["-inf", "-Infinity"]);
    }

    [Fact]
    public void Empty_text_and_empty_bytes_are_arguments_of_length_0()
    {
        Assert.Equal([""], Written(""));
        Assert.Equal([""], Written(Array.Empty<byte>()));
        Assert.Equal([""], Written(ReadOnlyMemory<byte>.Empty));
    }

    [Fact]
    public void A_lone_surrogate_is_refused_because_two_broken_names_must_not_become_one()
    {
        foreach (var broken in (string[])["\ud83d", "a\udc00b", "\udc00\ud800"])
        {
            var output = new OutputBuffer();
            Write(output, ["PING"]);
            var before = output.Length;

            var error = Assert.Throws<ArgumentException>(() => Write(output, ["SET", "key", broken]));

            Assert.Contains("surrogate", error.Message, StringComparison.Ordinal);
            Assert.Equal(before, output.Length);
        }
    }

    [Fact]
    public void A_surrogate_pair_is_sent_as_four_bytes() => Assert.Equal(["\\xF0\\x9F\\xAB\\x99"], Written("\ud83e\uded9"));

    [Fact]
    public void An_empty_command_is_refused() => Assert.Throws<ArgumentException>(() => Write(new OutputBuffer(), []));

    [Theory]
    [InlineData(4083)]
    [InlineData(4096)]
    [InlineData(65_536)]
    [InlineData(3_000_000)]
    public void Values_around_the_buffers_sizes_are_written_whole(int size)
    {
        var value = new byte[size];
        new Random(size).NextBytes(value);
        var output = new OutputBuffer();

        Write(output, ["SET", "k", value]);

        Assert.Equal(["SET", "k", ReferenceParser.Escape(value)], Arguments(output));
    }

    [Fact]
    public void Null_text_and_null_bytes_are_refused_where_they_are_given()
    {
        Assert.Throws<ArgumentNullException>(() => (RedisArg)(string)null!);
        Assert.Throws<ArgumentNullException>(() => (RedisArg)(byte[])null!);
    }

    private static void Write(OutputBuffer output, RedisArg[] args) => CommandWriter.Write(output, new Command(args));

    private static string[] Written(RedisArg arg)
    {
        var output = new OutputBuffer();
        Write(output, [arg]);
        return Arguments(output);
    }

    // Reads the command as a server would, with a parser that is not ours.
    private static string[] Arguments(OutputBuffer output)
    {
        var reading = ReferenceParser.Arguments(output.Written.ToArray());
        Assert.NotNull(reading);
        return reading;
    }

    private static byte[]? Utf8OrNull(string text)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetBytes(text);
        }
        catch (EncoderFallbackException)
        {
            return null;
        }
    }
}
