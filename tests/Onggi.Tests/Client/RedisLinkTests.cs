using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Client.Routing;
using Onggi.Client.Transport;

namespace Onggi.Tests.Client;

public class RedisLinkTests
{
    [Fact]
    public async Task Who_sends_when_told_of_a_connection_that_was_made_at_once_does_not_start_a_second_one()
    {
        var server = new InstantServer();
        await using var link = new RedisLink(new RedisClientOptions { Transports = server }, NullLogger.Instance, TimeProvider.System);
        var answers = new List<Task<string?>>();
        link.Changed = connected =>
        {
            if (connected)
                answers.Add(link.SendAsync(new Command(["PING"]), ReplyParsers.Text, CancellationToken.None).AsTask());
        };

        await link.WhenConnectedAsync(CancellationToken.None);

        Assert.Equal("PONG", await Assert.Single(answers).WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(1, server.Connections);
    }

    /// <summary>A server that has answered before anybody could wait: connecting and the handshake end without a pause.</summary>
    private sealed class InstantServer : ITransportFactory
    {
        public int Connections { get; private set; }

        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
        {
            // Only the first one, so that a mistake ends in a count and not in a stack that overflows.
            return ++Connections == 1
                ? new(new Connection())
                : new(new TaskCompletionSource<ITransport>().Task.WaitAsync(cancellationToken));
        }
    }

    private sealed class Connection : ITransport
    {
        private readonly Channel<byte[]> _answers = Channel.CreateUnbounded<byte[]>();

        public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            if (!await _answers.Reader.WaitToReadAsync(cancellationToken) || !_answers.Reader.TryRead(out var answer))
                return 0;
            answer.CopyTo(buffer);
            return answer.Length;
        }

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _answers.Writer.TryWrite(
                bytes.Span.IndexOf("HELLO"u8) >= 0
                    ? "%3\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+role\r\n+master\r\n"u8.ToArray()
                    : "+PONG\r\n"u8.ToArray()
            );
            return ValueTask.CompletedTask;
        }

        public void Abort() => _answers.Writer.TryComplete();

        public ValueTask DisposeAsync()
        {
            Abort();
            return ValueTask.CompletedTask;
        }
    }
}
