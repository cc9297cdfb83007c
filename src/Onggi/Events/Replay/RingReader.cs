using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Scripts;

namespace Onggi.Events.Replay;

/// <summary>Asks Redis what the ring of a type still has. One round trip for a page.</summary>
internal sealed class RingReader(RedisClient redis, EventNames names)
{
    // A page is one reply on the connection that all share: large enough to be worth the trip, small enough that nobody waits behind it.
    internal const int EventsOfPage = 256;
    private const int BytesOfPage = 128 * 1024;

    internal static readonly RedisScript Script = LuaScript.Load("replay.lua");

    internal static readonly ReplyParser<RingPage> Page = ReadPage;

    /// <summary>Asks.</summary>
    /// <param name="type">The type.</param>
    /// <param name="from">The first number wanted.</param>
    /// <param name="age">Only events that are at most so old by Redis's clock; <c>null</c> for any age.</param>
    /// <param name="most">How many events at most.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="RedisException">Redis could not be asked, or refuses.</exception>
    public ValueTask<RingPage> ReadAsync(string type, long from, TimeSpan? age, int most, CancellationToken cancellationToken)
    {
        var places = names.Of(type);
        return redis.EvalAsync(
            Script,
            [places.Head, places.Ring],
            [from, age is { } some ? Math.Max(1, (long)some.TotalMilliseconds) : 0, most, BytesOfPage],
            Page,
            cancellationToken
        );
    }

    private static RingPage ReadPage(ref RespReader reader)
    {
        if (!reader.IsAggregate || reader.Count < 5)
            throw reader.Unexpected("an array of five");
        reader.Read();
        var epoch = reader.ReadString();
        reader.Read();
        var sequence = reader.ReadInt64();
        reader.Read();
        var id = reader.ReadString();
        reader.Read();
        var time = DateTimeOffset.FromUnixTimeMilliseconds(reader.ReadInt64());
        reader.Read();
        var fields = ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadBytes());
        var events = new List<RingEvent>(fields.Length / 3);
        for (var at = 0; at + 2 < fields.Length; at += 3)
        {
            // What cannot be read was said when it arrived; its number is missing here.
            if (EventEnvelope.TryRead(fields[at + 2], out var envelope, out _))
                events.Add(new RingEvent(TimeOf(fields[at]), TextOf(fields[at + 1]), envelope));
        }

        return new RingPage(epoch, sequence, id, time, events);
    }

    private static DateTimeOffset TimeOf(byte[]? milliseconds) =>
        DateTimeOffset.FromUnixTimeMilliseconds(System.Buffers.Text.Utf8Parser.TryParse(milliseconds, out long value, out _) ? value : 0);

    private static string TextOf(byte[]? bytes) => System.Text.Encoding.UTF8.GetString(bytes ?? []);
}
