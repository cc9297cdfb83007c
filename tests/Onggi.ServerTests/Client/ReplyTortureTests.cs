using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Onggi.Client.Resp;
using Onggi.Testing;
using Xunit.Abstractions;

namespace Onggi.ServerTests.Client;

/// <summary>No reply ever reaches the wrong caller; and the test that says so would notice.</summary>
public sealed class ReplyTortureTests(ITestOutputHelper output)
{
    private const long Commands = 1_000_000;

    [Fact]
    public async Task No_reply_reaches_the_wrong_caller_and_none_is_lost_in_a_million_commands()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port, Seed.Value);

        var report = await ReplyTorture.RunAsync(
            proxy,
            new TortureSettings
            {
                Seed = Seed.Value,
                Commands = Commands,
                Duration = TimeSpan.FromSeconds(150),
            }
        );

        output.WriteLine($"{Seed.Line}: {report}");
        Assert.True(report is { Different: 0, Lost: 0 }, $"{Seed.Line}: {report}");
        Assert.True(report.Commands >= Commands, $"Only {report.Commands} commands in {report.Elapsed}.");
        Assert.True(report.Answered > report.Commands / 2, $"Too much failed to say anything: {report}");
        Assert.True(
            report.Faults > 100 && report.Connections > 50 && report.Cancelled > Commands / 100,
            $"Too little was done to them: {report}"
        );
    }

    [Theory]
    [InlineData(Mistake.SwapsTwo)]
    [InlineData(Mistake.ForgetsOne)]
    [InlineData(Mistake.RepeatsOne)]
    public async Task A_server_that_mixes_up_replies_is_noticed(Mistake mistake)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var mixing = MixingProxy.Start(server.Port, mistake, every: 5000);
        await using var proxy = FaultProxy.Start(mixing.Port, Seed.Value);

        var report = await ReplyTorture.RunAsync(
            proxy,
            new TortureSettings
            {
                Seed = Seed.Value,
                Commands = 40_000,
                Duration = TimeSpan.FromSeconds(30),
                Faults = false,
            }
        );

        output.WriteLine($"{Seed.Line}: {report}");
        Assert.True(report.Different > 0, $"{Seed.Line}: {mistake} passed unseen: {report}");
    }

    /// <summary>What a <see cref="MixingProxy"/> does wrong.</summary>
    public enum Mistake
    {
        /// <summary>Two replies change places.</summary>
        SwapsTwo,

        /// <summary>A reply does not come.</summary>
        ForgetsOne,

        /// <summary>A reply comes twice.</summary>
        RepeatsOne,
    }

    /// <summary>Passes replies on, frame by frame, and makes one mistake every so many.</summary>
    private sealed class MixingProxy : IAsyncDisposable
    {
        private readonly Socket _listener = LoopbackPorts.Listen();
        private readonly List<Socket> _sockets = [];
        private readonly List<Task> _pumps = [];
        private readonly int _serverPort;
        private readonly Mistake _mistake;
        private readonly int _every;
        private readonly Task _accepting;
        private int _frames;

        private MixingProxy(int serverPort, Mistake mistake, int every)
        {
            (_serverPort, _mistake, _every) = (serverPort, mistake, every);
            Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
            _accepting = AcceptAsync();
        }

        public int Port { get; }

        public static MixingProxy Start(int serverPort, Mistake mistake, int every) => new(serverPort, mistake, every);

        public async ValueTask DisposeAsync()
        {
            _listener.Dispose();
            await _accepting;
            foreach (var socket in _sockets)
                socket.Dispose();
            await Task.WhenAll(_pumps);
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var client = await _listener.AcceptAsync();
                    var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    client.NoDelay = true;
                    _sockets.AddRange([client, server]);
                    await server.ConnectAsync(IPAddress.Loopback, _serverPort);
                    _pumps.AddRange([PassAsync(client, server), MixAsync(server, client)]);
                }
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
            {
                // Disposed.
            }
        }

        private static async Task PassAsync(Socket from, Socket to)
        {
            var buffer = new byte[64 * 1024];
            try
            {
                while (await from.ReceiveAsync(buffer) is var count and > 0)
                    await to.SendAsync(buffer.AsMemory(0, count));
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
            {
                // One side has gone.
            }

            to.Dispose();
        }

        private async Task MixAsync(Socket from, Socket to)
        {
            var scanner = new FrameScanner(RespLimits.Default);
            var received = new ArrayBufferWriter<byte>();
            byte[]? kept = null;
            try
            {
                while (await from.ReceiveAsync(received.GetMemory(64 * 1024)) is var count and > 0)
                {
                    received.Advance(count);
                    var output = new ArrayBufferWriter<byte>();
                    var start = 0;
                    while (scanner.Scan(received.WrittenSpan[start..]) is var length and > 0)
                    {
                        Mix(received.WrittenSpan.Slice(start, length), output, ref kept);
                        start += length;
                    }

                    var rest = received.WrittenSpan[start..].ToArray();
                    received.ResetWrittenCount();
                    received.Write(rest);
                    if (output.WrittenCount > 0)
                        await to.SendAsync(output.WrittenMemory);
                }
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
            {
                // One side has gone.
            }

            to.Dispose();
        }

        private void Mix(ReadOnlySpan<byte> frame, ArrayBufferWriter<byte> output, ref byte[]? kept)
        {
            if (kept is not null)
            {
                output.Write(frame);
                output.Write(kept);
                kept = null;
                return;
            }

            if (++_frames % _every != 0)
            {
                output.Write(frame);
                return;
            }

            switch (_mistake)
            {
                case Mistake.SwapsTwo:
                    kept = frame.ToArray();
                    break;
                case Mistake.RepeatsOne:
                    output.Write(frame);
                    output.Write(frame);
                    break;
                default:
                    break;
            }
        }
    }
}
