using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests;

/// <summary>When asking Redis is left out, and who asks all the same.</summary>
public sealed class RedisSilenceTests
{
    private static readonly RedisTimeoutException Late = new("It did not answer in time.", Sent.Maybe);

    private readonly ManualTimeProvider _time = new();
    private readonly RedisSilence _silence;
    private bool _isDown;

    public RedisSilenceTests() => _silence = new RedisSilence(() => _isDown, _time);

    [Fact]
    public void While_nothing_comes_one_caller_in_a_second_asks()
    {
        Assert.True(_silence.Failed(Late, _silence.Heard));

        Assert.True(_silence is { IsSilent: true, IsAway: true });
        Assert.False(_silence.MayAsk());
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(_silence.MayAsk());
        Assert.False(_silence.MayAsk());
        Assert.False(_silence.Failed(Late, _silence.Heard));
    }

    [Fact]
    public async Task What_was_heard_never_comes_again()
    {
        const int Many = 200_000;
        using var together = new Barrier(2);
        var answering = Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(Answer, TaskCreationOptions.LongRunning)).ToArray();

        await Task.WhenAll(answering).WaitAsync(TimeSpan.FromMinutes(1));

        Assert.Equal(2 * Many, _silence.Heard);

        void Answer()
        {
            together.SignalAndWait();
            for (var i = 0; i < Many; i++)
                _silence.Answered();
        }
    }

    [Fact]
    public void One_slow_answer_among_others_is_no_silence()
    {
        var heard = _silence.Heard;
        _silence.Answered();

        Assert.False(_silence.Failed(Late, heard) || _silence.Waited(heard));

        Assert.True(_silence.MayAsk());
        Assert.True(_silence.MayAsk());
    }

    [Fact]
    public void An_answer_ends_it_be_it_an_error_and_so_does_the_loss_of_the_connection()
    {
        foreach (
            var end in (Action[])
                [
                    _silence.Answered,
                    () => _silence.Failed(new RedisServerException("OOM command not allowed"), _silence.Heard),
                    () => _silence.Failed(new RedisConnectionException("It is gone.", Sent.No), _silence.Heard),
                ]
        )
        {
            _silence.Waited(_silence.Heard);
            Assert.False(_silence.MayAsk());

            end();

            Assert.True(_silence.MayAsk());
        }
    }

    [Fact]
    public void Without_a_connection_nobody_asks()
    {
        _isDown = true;
        Assert.False(_silence.MayAsk());
        Assert.True(_silence is { IsAway: true, IsSilent: false });

        _isDown = false;
        Assert.True(_silence.MayAsk());
    }
}
