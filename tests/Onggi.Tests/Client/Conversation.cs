using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

/// <summary>One side of a talk with a server that the test plays: commands asked on a real <see cref="RespConnection"/>, and what each of them got.</summary>
/// <remarks>Nothing runs besides the caller: what a step settles is settled when the step returns.</remarks>
internal sealed class Conversation : IPushSink, IDisposable
{
    // A type of its own as the result, so that no other test shares the pool of pending replies.
    private static readonly ReplyParser<Heard> Parser = Hear;

    private readonly RespConnection _connection;
    private readonly List<Asked> _asked = [];

    public Conversation()
    {
        _connection = new RespConnection(new ConnectionLimits(), this);
        _connection.Attach();
        Send();
    }

    /// <summary>The pushes, in the notation of <see cref="GoldenFrame"/>.</summary>
    public List<string> Pushes { get; } = [];

    public int InFlight => _connection.InFlight;

    /// <summary>Asks; what comes back is told by <see cref="Outcome"/> under the number of the question, from 0.</summary>
    public void Ask(long deadline = long.MaxValue)
    {
        var pending = PendingReply<Heard>.Rent(Parser, "ASK", asked: 0, deadline);
        pending.Encode(new Command(["ASK", _asked.Count]));
        _connection.TryEnqueue(pending);
        var asked = new Asked(pending.Task);
        pending.CancelOn(asked.Cancel.Token);
        _asked.Add(asked);
        Send();
    }

    public void Cancel(int number) => _asked[number].Cancel.Cancel();

    public void Expire(long now) => _connection.Expire(now, static (_, sent) => new RedisTimeoutException("late", sent));

    public void Hear(ReadOnlySpan<byte> bytes) => _connection.OnBytes(bytes);

    /// <summary>Hears a stream in pieces of the given sizes, again and again; all at once when there are none.</summary>
    public void Hear(ReadOnlySpan<byte> bytes, IReadOnlyList<int> pieces)
    {
        for (var i = 0; !bytes.IsEmpty && pieces.Count > 0; i++)
        {
            var piece = bytes[..Math.Min(bytes.Length, pieces[i % pieces.Count])];
            Hear(piece);
            bytes = bytes[piece.Length..];
        }

        Hear(bytes);
    }

    /// <summary>What became of a question: its reply, <c>refused …</c>, <c>cancelled</c>, <c>late</c>, or <c>waits</c>. Taken once, as a caller does; later the same is told again.</summary>
    public string Outcome(int number) => _asked[number].Outcome();

    public void OnPush(ref RespReader push) => Pushes.Add(FrameReading.Render(ref push));

    /// <summary>What a caller should get for a reply.</summary>
    public static string Expected(RespTree reply) =>
        reply.IsError ? $"refused {System.Text.Encoding.UTF8.GetString(System.Text.Encoding.Latin1.GetBytes(reply.Text))}" : reply.Reads();

    public void Dispose()
    {
        foreach (var asked in _asked)
            asked.Cancel.Dispose();
    }

    /// <summary>A reply tree in the same notation, so that <see cref="Reply"/> is compared with the reader.</summary>
    private static string Render(Reply reply)
    {
        var text = ReferenceParser.Escape(reply.Bytes.Span);
        var items = string.Join(' ', reply.Items.Select(Render));
        return reply.Type switch
        {
            RespType.Null => "null",
            RespType.SimpleString => $"+{text}",
            RespType.SimpleError => $"-{text}",
            RespType.Integer => $":{text}",
            RespType.BigNumber => $"({text}",
            RespType.Double => $",{text}",
            RespType.Boolean => $"#{text}",
            RespType.BulkString => $"\"{text}\"",
            RespType.BulkError => $"!\"{text}\"",
            RespType.VerbatimString => $"=\"{text}\"",
            RespType.Array => $"[{items}]",
            RespType.Set => $"~[{items}]",
            RespType.Map => $"%[{items}]",
            _ => $"{reply.Type}?",
        };
    }

    private static Heard Hear(ref RespReader reader)
    {
        var again = reader;
        var read = FrameReading.Render(ref reader);
        var tree = Render(Reply.From(ref again));
        return new Heard(read == tree ? read : $"{read}, but as a tree {tree}");
    }

    private void Send()
    {
        while (_connection.TakeOutput(out _))
        {
            // A server that the test plays reads no commands.
        }
    }

    private readonly record struct Heard(string Text);

    private sealed class Asked(ValueTask<Heard> task)
    {
        private string? _outcome;

        public CancellationTokenSource Cancel { get; } = new();

        public string Outcome()
        {
            if (_outcome is null && task.IsCompleted)
                _outcome = Take();
            return _outcome ?? "waits";
        }

        private string Take()
        {
            try
            {
                return task.GetAwaiter().GetResult().Text;
            }
            catch (RedisServerException refused)
            {
                return $"refused {refused.Message}";
            }
            catch (OperationCanceledException)
            {
                return "cancelled";
            }
            catch (RedisTimeoutException)
            {
                return "late";
            }
        }
    }
}
