using Onggi.Client;
using Onggi.Scripts;
using Onggi.Testing;

namespace Onggi.Tests.Scripts;

/// <summary>When what was made is asserted again. The clock is the test's, nobody is connected.</summary>
public sealed class ReassertionTests : IAsyncLifetime
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(7);

    private readonly ManualTimeProvider _time = new();
    private readonly List<(Note Note, TimeSpan Age)> _asserted = [];
    private readonly List<int> _failed = [];
    private RedisClient? _redis;
    private Reassertion<Note>? _notes;
    private Exception? _refusal;

    private Reassertion<Note> Notes => _notes!;

    public Task InitializeAsync()
    {
        _redis = Nobody();
        _notes = NotesOf(_redis);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await Notes.DisposeAsync();
        await _redis!.DisposeAsync();
    }

    [Fact]
    public async Task What_was_made_is_asserted_again_after_as_long_as_it_has_been_there()
    {
        Notes.Add(new Note(), isMade: true);

        var ages = new List<double>();
        for (var at = 1; at <= 40; at++)
        {
            await PassAsync(Second);
            if (_asserted.Count > ages.Count)
                ages.Add(at);
        }

        Assert.Equal([1, 2, 4, 8, 16, 32], ages);
        Assert.Equal(ages, _asserted.ConvertAll(one => one.Age.TotalSeconds));
    }

    [Fact]
    public async Task What_does_not_matter_any_more_is_forgotten()
    {
        var kept = new Note();
        Notes.Add(kept, isMade: true);
        Notes.Add(new Note { Kept = TimeSpan.FromSeconds(3) }, isMade: true);

        for (var i = 0; i < 4; i++)
            await PassAsync(Second);

        Assert.Equal(1, Notes.Count);
        Assert.Same(kept, _asserted[^1].Note);
    }

    [Fact]
    public async Task A_call_that_is_under_way_is_left_alone_until_its_time_out_is_over()
    {
        Notes.Add(new Note());

        await PassAsync(Timeout);
        Assert.Empty(_asserted);
        await PassAsync(Second);

        // Asserted is made: its age begins now.
        Assert.Equal(TimeSpan.Zero, Assert.Single(_asserted).Age);
        await PassAsync(Second);
        Assert.Equal(Second, _asserted[^1].Age);
    }

    [Fact]
    public async Task A_call_that_has_failed_is_made_up_for_a_second_later_however_long_commands_may_take()
    {
        var note = new Note();
        Notes.Add(note);
        Notes.Failed(note);

        await PassAsync(Second);

        Assert.Single(_asserted);
    }

    [Fact]
    public async Task What_cannot_be_asserted_is_tried_again_every_second_and_told()
    {
        _refusal = new InvalidOperationException("not now");
        Notes.Add(new Note(), isMade: true);
        Notes.Add(new Note(), isMade: true);

        for (var i = 0; i < 3; i++)
            await PassAsync(Second);
        Assert.Equal([2, 2, 2], _failed);
        _refusal = null;
        await PassAsync(Second);

        Assert.Equal(2, _asserted.Count);
        Assert.All(_asserted, one => Assert.Equal(Second * 4, one.Age));
    }

    [Fact]
    public async Task One_made_later_does_not_wait_for_one_that_is_older()
    {
        Notes.Add(new Note(), isMade: true);
        await PassAsync(Second * 100);
        var young = new Note();
        Notes.Add(young, isMade: true);

        await PassAsync(Second);

        Assert.Same(young, _asserted[^1].Note);
    }

    [Fact]
    public void The_oldest_makes_room()
    {
        Assert.Equal([false, false, false, true, true], Enumerable.Range(0, 5).Select(_ => Notes.Add(new Note(), isMade: true)));
        Assert.Equal(3, Notes.Count);
    }

    private static RedisClient Nobody() => new(new RedisClientOptions { Port = 1, CommandTimeout = Timeout });

    private Reassertion<Note> NotesOf(RedisClient redis) => new(redis, 3, AssertAsync, (count, _) => _failed.Add(count), _time);

    private ValueTask AssertAsync(List<Note> due, bool all, CancellationToken stop)
    {
        if (_refusal is not null)
            throw _refusal;
        Assert.False(all);
        foreach (var note in due)
        {
            Notes.Asserted(note);
            _asserted.Add((note, Notes.AgeOf(note)!.Value));
        }

        return ValueTask.CompletedTask;
    }

    // What falls due is asserted elsewhere, in no time.
    private Task PassAsync(TimeSpan by)
    {
        _time.Advance(by);
        return Notes.WhenQuietAsync().WaitAsync(TimeSpan.FromSeconds(20));
    }

    private sealed class Note : ReassertedNote
    {
        public TimeSpan Kept { get; init; } = TimeSpan.FromHours(1);

        public override TimeSpan MattersFor(bool isMade) => Kept;
    }
}
