using System.Diagnostics;
using System.Text;
using Onggi.Events;

namespace Onggi.Tests.Events;

public sealed class EventEnvelopeTests
{
    private static readonly DateTimeOffset HalfPastNine = new(2026, 11, 21, 18, 30, 0, 250, TimeSpan.FromHours(9));

    private const string Golden =
        """{"v":1,"id":"019a","type":"user.updated","source":"users","time":"2026-11-21T09:30:00.25Z","metadata":{"user_id":"42","이름":"<홍길동>"},"data":{"userId":"42","name":"홍\"길동"}}""";

    [Fact]
    public void An_event_is_written_byte_for_byte_as_other_languages_expect_it()
    {
        var metadata = new Dictionary<string, string> { ["user_id"] = "42", ["이름"] = "<홍길동>" };

        var written = EventEnvelope.Write(
            "019a",
            "user.updated",
            "users",
            HalfPastNine,
            metadata,
            Utf8("""{"userId":"42","name":"홍\"길동"}""")
        );

        Assert.Equal(Golden, Encoding.UTF8.GetString(written));
    }

    [Fact]
    public void An_event_without_metadata_and_payload_still_has_both_fields()
    {
        var written = EventEnvelope.Write("1", "a.b", "s", HalfPastNine, null, "null"u8);

        Assert.Equal(
            """{"v":1,"id":"1","type":"a.b","source":"s","time":"2026-11-21T09:30:00.25Z","metadata":{},"data":null}""",
            Encoding.UTF8.GetString(written)
        );
    }

    [Fact]
    public void The_trace_of_who_publishes_goes_with_the_event()
    {
        using var publishing = new Activity("publish").SetIdFormat(ActivityIdFormat.W3C).Start();

        var written = EventEnvelope.Write("1", "a.b", "s", HalfPastNine, null, "null"u8);

        Assert.Equal(
            $$$"""{"v":1,"id":"1","type":"a.b","source":"s","time":"2026-11-21T09:30:00.25Z","traceparent":"{{{publishing.Id}}}","metadata":{},"data":null}""",
            Encoding.UTF8.GetString(written)
        );
        Assert.Equal(publishing.Id, Read(Encoding.UTF8.GetString(written)).TraceParent);
    }

    [Fact]
    public void What_the_script_makes_of_it_reads_back_whole()
    {
        var envelope = Read("{\"epoch\":\"e1\",\"seq\":9007199254740991," + Golden[1..]);

        Assert.Equal("e1", envelope.Epoch);
        Assert.Equal(9007199254740991, envelope.Sequence);
        Assert.Equal("019a", envelope.Id);
        Assert.Equal("user.updated", envelope.Type);
        Assert.Equal("users", envelope.Source);
        Assert.Equal(HalfPastNine, envelope.Time);
        Assert.Equal("42", envelope.Metadata["user_id"]);
        Assert.Equal("<홍길동>", envelope.Metadata["이름"]);
        Assert.Equal("""{"userId":"42","name":"홍\"길동"}""", Encoding.UTF8.GetString(envelope.Data.Span));
    }

    [Fact]
    public void A_foreign_publisher_may_leave_out_everything()
    {
        var envelope = Read("{}");

        Assert.Null(envelope.Type);
        Assert.Null(envelope.Epoch);
        Assert.Null(envelope.Sequence);
        Assert.Null(envelope.Time);
        Assert.Equal("", envelope.Id);
        Assert.Equal("", envelope.Source);
        Assert.Empty(envelope.Metadata);
        Assert.True(envelope.Data.IsEmpty);
    }

    [Fact]
    public void Fields_that_nobody_knows_are_passed_over()
    {
        var envelope = Read(""" { "v": 3, "trace": {"a":[1,{"type":"no"}]}, "type":"user.updated", "data" : [1, 2] , "more":null } """);

        Assert.Equal("user.updated", envelope.Type);
        Assert.Equal("[1, 2]", Encoding.UTF8.GetString(envelope.Data.Span));
    }

    [Fact]
    public void Metadata_that_is_not_text_is_given_as_JSON_and_null_is_left_out()
    {
        var envelope = Read("""{"metadata":{"user_id":42,"vip":true,"none":null,"roles":["a","b"],"at":{"x":1.50},"e":""}}""");

        Assert.Equal("42", envelope.Metadata["user_id"]);
        Assert.Equal("true", envelope.Metadata["vip"]);
        Assert.Equal("""["a","b"]""", envelope.Metadata["roles"]);
        Assert.Equal("""{"x":1.50}""", envelope.Metadata["at"]);
        Assert.Equal("", envelope.Metadata["e"]);
        Assert.Equal(5, envelope.Metadata.Count);
    }

    [Theory]
    [InlineData("""{"metadata":"user 42"}""")]
    [InlineData("""{"metadata":[{"user_id":"42"}]}""")]
    [InlineData("""{"metadata":null}""")]
    public void Metadata_of_another_shape_is_none(string json) => Assert.Empty(Read(json).Metadata);

    [Theory]
    [InlineData("""{"seq":"7","time":1732181400,"id":7,"source":null,"epoch":12}""")]
    [InlineData("""{"seq":7.5,"time":"yesterday","id":7,"source":null,"epoch":12}""")]
    [InlineData("""{"seq":[7],"time":{},"id":7,"source":null,"epoch":12}""")]
    public void Fields_of_another_kind_do_not_spoil_the_event(string json)
    {
        var envelope = Read(json);

        Assert.Null(envelope.Sequence);
        Assert.Null(envelope.Time);
        Assert.Equal("7", envelope.Id);
        Assert.Equal("", envelope.Source);
        Assert.Equal("12", envelope.Epoch);
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("[1]")]
    [InlineData("\"text\"")]
    [InlineData("null")]
    [InlineData("{\"id\":")]
    [InlineData("{\"id\":\"1\"")]
    [InlineData("{} {}")]
    [InlineData("{\"data\":{]}")]
    [InlineData("{'id':1}")]
    public void What_is_not_one_JSON_object_is_a_problem_in_words(string text)
    {
        Assert.False(EventEnvelope.TryRead(Utf8(text), out var envelope, out var problem));

        Assert.Null(envelope);
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void Bytes_that_are_not_UTF8_are_a_problem_in_words()
    {
        byte[] bytes = [.. "{\"type\":\""u8, 0xC3, 0x28, .. "\"}"u8];

        Assert.False(EventEnvelope.TryRead(bytes, out _, out var problem));

        Assert.NotEmpty(problem);
    }

    [Fact]
    public void Nesting_without_end_is_a_problem_in_words()
    {
        Assert.False(EventEnvelope.TryRead(Utf8("{\"data\":" + new string('[', 100_000)), out _, out var problem));

        Assert.NotEmpty(problem);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Broken_bytes_never_throw(int seed)
    {
        var random = new Random(seed);
        var golden = Utf8("{\"epoch\":\"e1\",\"seq\":7," + Golden[1..]);

        for (var round = 0; round < 5_000; round++)
        {
            var broken = golden.AsSpan(0, random.Next(golden.Length + 1)).ToArray();
            for (var hits = random.Next(4); hits > 0 && broken.Length > 0; hits--)
                broken[random.Next(broken.Length)] = (byte)random.Next(256);

            var ok = EventEnvelope.TryRead(broken, out var envelope, out var problem);

            Assert.Equal(ok, envelope is not null);
            Assert.Equal(ok, problem is null);
        }
    }

    private static EventEnvelope Read(string json)
    {
        Assert.True(EventEnvelope.TryRead(Utf8(json), out var envelope, out var problem), problem);
        return envelope;
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
