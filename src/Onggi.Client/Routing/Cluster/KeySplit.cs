using System.Globalization;
using System.Text;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>A command of many keys taken apart by slot, and its replies put together as if one node had answered.</summary>
/// <remarks>
/// Only commands of which each key stands for itself: MGET, EXISTS, TOUCH, DEL, UNLINK, MSET. What one node would have done at once the nodes do one after the other; another client can
/// see it half done.
/// </remarks>
internal sealed class KeySplit
{
    private readonly ReplyJoin _join;
    private readonly int _keys;
    private readonly Part[] _parts;

    private KeySplit(ReplyJoin join, int keys, Part[] parts, bool onlyReads)
    {
        OnlyReads = onlyReads;
        _join = join;
        _keys = keys;
        _parts = parts;
    }

    /// <summary>A command for each slot, in the order in which the caller's keys first fall into them.</summary>
    public IReadOnlyList<Part> Parts => _parts;

    /// <summary>Whether it changes nothing, so that it does not matter which parts were executed when one fails.</summary>
    public bool OnlyReads { get; }

    /// <summary>Reads the reply to each part.</summary>
    public ReplyParser<PartReply> Parser => PartReply.ParserFor(_join);

    /// <summary>Takes a command apart whose keys are in several slots.</summary>
    /// <exception cref="ArgumentException">It is one thing and cannot be: the message names keys and slots.</exception>
    public static KeySplit Of(in Command command, CommandInfo info)
    {
        if (info.Join == ReplyJoin.None)
            throw KeySlots.Refusal(in command, info);
        var words = command.Args;
        var keys = info.Keys.In(words);
        var bySlot = new Dictionary<int, (List<RedisArg> Words, List<int> Places)>();
        for (var i = 0; i < keys.Count; i++)
        {
            var slot = HashSlot.Of(in words[keys[i]]);
            if (!bySlot.TryGetValue(slot, out var part))
                bySlot[slot] = part = ([words[0]], []);
            part.Places.Add(i);
            // The key, and what belongs to it: the value of MSET. A last value that is missing is the server's to complain about.
            part.Words.AddRange(words[keys[i]..Math.Min(keys[i] + keys.Step, words.Length)]);
        }

        return new KeySplit(
            info.Join,
            keys.Count,
            [.. bySlot.Select(part => new Part(part.Key, [.. part.Value.Words], [.. part.Value.Places]))],
            info.OnlyReads
        );
    }

    /// <summary>The same command for all primaries.</summary>
    /// <param name="words">The command.</param>
    /// <param name="join">How its replies are joined.</param>
    /// <param name="slots">One slot of each of them.</param>
    public static KeySplit ToAll(ReadOnlySpan<RedisArg> words, ReplyJoin join, IEnumerable<int> slots)
    {
        var command = words.ToArray();
        return new KeySplit(
            join,
            0,
            [.. slots.Select(slot => new Part(slot, command, []))],
            join is ReplyJoin.Sum or ReplyJoin.Concatenation
        );
    }

    /// <summary>Makes one reply of what became of the parts, in the order of <see cref="Parts"/>, and reads it as the caller wants.</summary>
    /// <exception cref="RedisException">A part failed: the error says what can have been executed all the same.</exception>
    public T Join<T>(ReadOnlySpan<PartOutcome> outcomes, ReplyParser<T> parser)
    {
        if (PartOutcome.ErrorOf(this, outcomes) is { } error)
            throw error;
        var replies = new PartReply[outcomes.Length];
        for (var i = 0; i < replies.Length; i++)
            replies[i] = outcomes[i].Reply;
        return Join<T>(replies, parser);
    }

    /// <summary>Makes one reply of the parts' replies, which stand in the order of <see cref="Parts"/>, and reads it as the caller wants.</summary>
    /// <exception cref="RedisReplyException">A part was answered with something that such a command is not answered with.</exception>
    public T Join<T>(ReadOnlySpan<PartReply> replies, ReplyParser<T> parser)
    {
        var reader = new RespReader(JoinFrame(replies).Span);
        reader.Read();
        return parser(ref reader);
    }

    /// <summary>Makes one reply of the parts' replies, as one node would have written it.</summary>
    /// <exception cref="RedisReplyException">A part was answered with something that such a command is not answered with.</exception>
    public ReadOnlyMemory<byte> JoinFrame(ReadOnlySpan<PartReply> replies)
    {
        var frame = new OutputBuffer();
        switch (_join)
        {
            case ReplyJoin.Array:
                JoinArray(frame, replies);
                break;
            case ReplyJoin.Sum:
                var sum = 0L;
                foreach (var reply in replies)
                    sum += reply.Number;
                WriteLine(frame, ':', sum);
                break;
            case ReplyJoin.Concatenation:
                JoinAll(frame, replies);
                break;
            case ReplyJoin.First:
                WriteItem(frame, replies[0].Items![0]);
                break;
            default:
                frame.Write("+OK\r\n"u8);
                break;
        }

        return frame.Written;
    }

    private static void JoinAll(OutputBuffer frame, ReadOnlySpan<PartReply> replies)
    {
        var count = 0;
        foreach (var reply in replies)
            count += reply.Items!.Length;
        WriteLine(frame, '*', count);
        foreach (var reply in replies)
        foreach (var item in reply.Items!)
            WriteItem(frame, item);
    }

    private void JoinArray(OutputBuffer frame, ReadOnlySpan<PartReply> replies)
    {
        var items = new byte[]?[_keys];
        for (var p = 0; p < _parts.Length; p++)
        {
            var places = _parts[p].Places;
            if (replies[p].Items is not { } found || found.Length != places.Length)
                throw new RedisReplyException(
                    $"A part of the command was answered with {replies[p].Items?.Length ?? 0} elements instead of {places.Length}."
                );
            for (var i = 0; i < places.Length; i++)
                items[places[i]] = found[i];
        }

        WriteLine(frame, '*', items.Length);
        foreach (var item in items)
            WriteItem(frame, item);
    }

    private static void WriteItem(OutputBuffer frame, byte[]? item)
    {
        WriteLine(frame, '$', item?.Length ?? -1);
        if (item is null)
            return;
        frame.Write(item);
        frame.Write("\r\n"u8);
    }

    private static void WriteLine(OutputBuffer frame, char type, long number) =>
        frame.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{type}{number}\r\n")));

    /// <summary>What goes to one slot.</summary>
    /// <param name="Slot">The slot.</param>
    /// <param name="Words">The command.</param>
    /// <param name="Places">Which of the caller's keys they are, from 0.</param>
    public sealed record Part(int Slot, RedisArg[] Words, int[] Places);
}
