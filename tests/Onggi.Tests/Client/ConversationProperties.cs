using System.Globalization;

namespace Onggi.Tests.Client;

/// <summary>Whatever happens between asking and answering, each question gets its own answer.</summary>
public sealed class ConversationProperties
{
    [Fact]
    public Task Every_command_gets_its_own_reply_whatever_comes_between() =>
        Property.HoldsAsync(Property.Grown(Step.Several), Step.Smaller, steps => AssertAnswersFit(steps, MarkOf), tests: 2500);

    [Fact]
    public async Task A_server_that_answers_wrongly_is_shown_by_a_small_counter_example()
    {
        // The fifth question is answered with the sixth one's reply.
        Step[] smallest = [];
        await Assert.ThrowsAsync<InvalidOperationException>(() =>
            Property.HoldsAsync(
                Property.Grown(Step.Several),
                Step.Smaller,
                steps =>
                {
                    try
                    {
                        AssertAnswersFit(steps, number => MarkOf(number == 4 ? 5 : number));
                    }
                    catch (Xunit.Sdk.XunitException)
                    {
                        smallest = steps;
                        throw;
                    }
                },
                tests: 2500
            )
        );

        Assert.Equal(5, smallest.Length);
        Assert.All(smallest, step => Assert.Equal(Kind.Ask, step.Kind));
    }

    private static string MarkOf(int number) => $"mark {number.ToString(CultureInfo.InvariantCulture)}";

    private static void AssertAnswersFit(IReadOnlyList<Step> steps, Func<int, string> serverSays)
    {
        using var model = new Model(serverSays);
        foreach (var step in steps)
            model.Do(step);
        model.AnswerAll();
        model.AssertFits();
    }

    /// <summary>What can happen.</summary>
    internal enum Kind
    {
        /// <summary>A command is given, with a deadline.</summary>
        Ask,

        /// <summary>The server answers the next command: the bytes wait on the wire.</summary>
        Answer,

        /// <summary>The server sends a push.</summary>
        Push,

        /// <summary>So many bytes of what waits on the wire arrive.</summary>
        Arrive,

        /// <summary>A caller gives up.</summary>
        Cancel,

        /// <summary>Time has passed.</summary>
        Expire,

        /// <summary>A caller takes what it got, which lets its place be used again.</summary>
        Take,
    }

    internal sealed record Step(Kind Kind, int Number, RespTree Tree)
    {
        public static Step[] Several(Random random, int size)
        {
            var steps = new Step[random.Next(1, 8 + size)];
            for (var i = 0; i < steps.Length; i++)
            {
                var kind = random.Next(20) switch
                {
                    < 6 => Kind.Ask,
                    < 10 => Kind.Answer,
                    < 12 => Kind.Push,
                    < 16 => Kind.Arrive,
                    < 17 => Kind.Cancel,
                    < 18 => Kind.Expire,
                    _ => Kind.Take,
                };
                var number = kind == Kind.Arrive && random.Next(3) == 0 ? random.Next(100_000) : random.Next(40);
                steps[i] = new Step(kind, number, RespTree.Grow(random, size / 4, pushes: false));
            }

            return steps;
        }

        public static IEnumerable<Step[]> Smaller(Step[] steps) =>
            Property.Smaller(
                steps,
                step =>
                    step.Kind is Kind.Answer or Kind.Push ? RespTree.Smaller(step.Tree).Select(tree => step with { Tree = tree })
                    : step.Number > 0 ? [step with { Number = 0 }]
                    : []
            );

        public override string ToString() => $"{Kind} {Number} {(Kind is Kind.Answer or Kind.Push ? Tree : "")}";
    }

    /// <summary>Knows from the steps alone what every caller must get, and does them to a real connection.</summary>
    private sealed class Model(Func<int, string> serverSays) : IDisposable
    {
        private const string Waits = "waits";

        private readonly Conversation _talk = new();
        private readonly List<string> _expected = [];
        private readonly List<long> _deadlines = [];
        private readonly List<string> _pushes = [];

        // Frames on the wire, each with what it does when its last byte arrives.
        private readonly List<byte> _wire = [];
        private readonly Queue<(long End, Action Arrives)> _frames = new();
        private long _written;
        private long _arrived;
        private int _answered;

        public void Do(Step step)
        {
            switch (step.Kind)
            {
                case Kind.Ask:
                    _deadlines.Add(step.Number % 2 == 0 ? long.MaxValue : step.Number);
                    _expected.Add(Waits);
                    _talk.Ask(_deadlines[^1]);
                    break;
                case Kind.Answer when _answered < _expected.Count:
                    Answer(step.Tree);
                    break;
                case Kind.Push:
                    // Attributes and streamed parts stand in front of and inside a push, too.
                    var push = new RespTree('>') { Items = [new RespTree('+', "told"), step.Tree] };
                    Write(push, () => _pushes.Add(push.Reads()));
                    break;
                case Kind.Arrive:
                    Arrive(step.Number);
                    break;
                case Kind.Cancel when _expected.Count > 0:
                    var number = step.Number % _expected.Count;
                    Settle(number, "cancelled");
                    _talk.Cancel(number);
                    break;
                case Kind.Expire:
                    for (var i = 0; i < _expected.Count; i++)
                        if (_deadlines[i] <= step.Number)
                            Settle(i, "late");
                    _talk.Expire(step.Number);
                    break;
                case Kind.Take when _expected.Count > 0:
                    Assert.Equal(_expected[step.Number % _expected.Count], _talk.Outcome(step.Number % _expected.Count));
                    break;
                default:
                    break;
            }
        }

        public void AnswerAll()
        {
            while (_answered < _expected.Count)
                Answer(new RespTree(':', "1"));
            Arrive(int.MaxValue);
        }

        public void AssertFits()
        {
            Assert.Equal(_expected, Enumerable.Range(0, _expected.Count).Select(_talk.Outcome));
            Assert.DoesNotContain(Waits, _expected);
            Assert.Equal(_pushes, _talk.Pushes);
            Assert.Equal(0, _talk.InFlight);
        }

        public void Dispose() => _talk.Dispose();

        // Each answer carries the number of its question, so that no two are alike.
        private void Answer(RespTree tree)
        {
            var number = _answered++;
            var asked = Marked(tree, MarkOf(number));
            Write(Marked(tree, serverSays(number)), () => Settle(number, Conversation.Expected(asked)));
        }

        private static RespTree Marked(RespTree tree, string mark) =>
            tree.IsError ? tree with { Text = mark } : new RespTree('*') { Items = [new RespTree('$', mark), tree] };

        private void Write(RespTree tree, Action arrives)
        {
            var bytes = tree.ToBytes();
            _wire.AddRange(bytes);
            _written += bytes.Length;
            _frames.Enqueue((_written, arrives));
        }

        private void Arrive(int count)
        {
            count = Math.Min(count, _wire.Count);
            _arrived += count;
            while (_frames.TryPeek(out var frame) && frame.End <= _arrived)
            {
                _frames.Dequeue();
                frame.Arrives();
            }

            _talk.Hear(_wire.GetRange(0, count).ToArray());
            _wire.RemoveRange(0, count);
        }

        private void Settle(int number, string outcome)
        {
            if (_expected[number] == Waits)
                _expected[number] = outcome;
        }
    }
}
