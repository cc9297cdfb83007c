using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Onggi.Benchmarks;

/// <summary>What a socket can do at the best: batches of ready-made bytes, a blocking loop, replies counted and nothing made of them.</summary>
internal sealed class RawLoop : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] _received = new byte[1 << 20];
    private readonly byte[][] _batches;
    private readonly int _size;
    private int _turn;

    /// <summary>Connects and prepares batches of <paramref name="size"/> commands each.</summary>
    public RawLoop(int port, int size, Func<int, string[]> command)
    {
        _size = size;
        _batches = [.. Enumerable.Range(0, 16).Select(batch => Encode(Enumerable.Range(batch * size, size).Select(command)))];
        _socket.Connect(new IPEndPoint(IPAddress.Loopback, port));
    }

    /// <summary>Commands per second with the whole batch under way at a time.</summary>
    public Task<double> ThroughputAsync(TimeSpan slice) => OnThread(() => Throughput(slice));

    /// <summary>The median of the times of one asynchronous round trip of one batch, in microseconds.</summary>
    public async Task<double> RoundTripAsync(TimeSpan slice)
    {
        List<double> times = new(1 << 16);
        var end = Duel.EndOf(slice);
        for (var began = Stopwatch.GetTimestamp(); began < end; )
        {
            await SendAsync(NextBatch());
            await ReceiveAsync();
            var now = Stopwatch.GetTimestamp();
            times.Add(Stopwatch.GetElapsedTime(began, now).TotalMicroseconds);
            began = now;
        }

        return Duel.Median(times);
    }

    /// <summary>The median of the times of one blocking round trip of one batch, in microseconds.</summary>
    public Task<double> BlockingRoundTripAsync(TimeSpan slice) => OnThread(() => BlockingRoundTrip(slice));

    public void Dispose() => _socket.Dispose();

    private double Throughput(TimeSpan slice)
    {
        var began = Stopwatch.GetTimestamp();
        var end = Duel.EndOf(slice);
        var commands = 0L;
        while (Stopwatch.GetTimestamp() < end)
        {
            Exchange();
            commands += _size;
        }

        return commands / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    private double BlockingRoundTrip(TimeSpan slice)
    {
        List<double> times = new(1 << 16);
        var end = Duel.EndOf(slice);
        for (var began = Stopwatch.GetTimestamp(); began < end; )
        {
            Exchange();
            var now = Stopwatch.GetTimestamp();
            times.Add(Stopwatch.GetElapsedTime(began, now).TotalMicroseconds);
            began = now;
        }

        return Duel.Median(times);
    }

    private void Exchange()
    {
        var batch = NextBatch();
        for (var sent = 0; sent < batch.Length; )
            sent += _socket.Send(batch.AsSpan(sent));
        var (count, position, replies) = (0, 0, 0);
        while (replies < _size)
        {
            count += Arrived(_socket.Receive(_received.AsSpan(count)));
            CountReplies(count, ref position, ref replies);
        }
    }

    // A thread that blocks must not be one of the pool's.
    private static Task<double> OnThread(Func<double> measure) =>
        Task.Factory.StartNew(measure, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private async ValueTask SendAsync(ReadOnlyMemory<byte> batch)
    {
        while (batch.Length > 0)
            batch = batch[await _socket.SendAsync(batch)..];
    }

    private async ValueTask ReceiveAsync()
    {
        var (count, position, replies) = (0, 0, 0);
        while (replies < _size)
        {
            count += Arrived(await _socket.ReceiveAsync(_received.AsMemory(count)));
            CountReplies(count, ref position, ref replies);
        }
    }

    private byte[] NextBatch() => _batches[_turn++ % _batches.Length];

    private static int Arrived(int count) => count > 0 ? count : throw new EndOfStreamException("The server closed the connection.");

    // $64\r\n…\r\n or one line.
    private void CountReplies(int count, ref int position, ref int replies)
    {
        while (position < count)
        {
            var rest = _received.AsSpan(position, count - position);
            var line = rest.IndexOf((byte)'\n');
            if (line < 0)
                return;
            var length = line + 1;
            if (rest[0] == (byte)'$')
                length += int.Parse(rest[1..(line - 1)], CultureInfo.InvariantCulture) + 2;
            if (rest.Length < length)
                return;
            position += length;
            replies++;
        }
    }

    private static byte[] Encode(IEnumerable<string[]> commands)
    {
        var bytes = new StringBuilder();
        foreach (var command in commands)
        {
            bytes.Append(CultureInfo.InvariantCulture, $"*{command.Length}\r\n");
            foreach (var argument in command)
                bytes.Append(CultureInfo.InvariantCulture, $"${argument.Length}\r\n{argument}\r\n");
        }

        return Encoding.ASCII.GetBytes(bytes.ToString());
    }
}
