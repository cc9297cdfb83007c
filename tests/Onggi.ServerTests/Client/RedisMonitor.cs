using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Onggi.ServerTests.Client;

/// <summary>One command as MONITOR reports it.</summary>
/// <param name="Database">The number of the database it ran in.</param>
/// <param name="Source">Who asked: the client's address and port, or <c>lua</c>.</param>
/// <param name="Args">Its arguments, one character per byte.</param>
internal sealed record MonitoredCommand(string Database, string Source, string[] Args)
{
    /// <summary>Reads <c>1700000000.123456 [0 127.0.0.1:50000] "SET" "a" "\x00\n"</c>.</summary>
    /// <exception cref="FormatException">It is no such line.</exception>
    public static MonitoredCommand Parse(string line)
    {
        var open = line.IndexOf(" [", StringComparison.Ordinal);
        var close = line.IndexOf("] ", StringComparison.Ordinal);
        if (open < 0 || close < open)
            throw new FormatException($"Not a line of MONITOR: {line}");
        var who = line[(open + 2)..close].Split(' ');
        List<string> args = [];
        for (var at = close + 2; at < line.Length; at++)
            args.Add(Argument(line, ref at));
        return new MonitoredCommand(who[0], who[1], [.. args]);
    }

    public override string ToString() =>
        $"[{Source}] {string.Join(' ', Args.Select(arg => arg.Length > 100 ? $"{arg[..100]}… ({arg.Length})" : arg))}";

    // Between two quotation marks; leaves the place behind them.
    private static string Argument(string line, ref int at)
    {
        if (line[at] != '"')
            throw new FormatException($"A quotation mark should stand at {at}: {line}");
        var argument = new StringBuilder();
        for (at++; line[at] != '"'; at++)
            argument.Append(line[at] == '\\' ? Escaped(line, ref at) : line[at]);
        at++;
        return argument.ToString();
    }

    private static char Escaped(string line, ref int at)
    {
        switch (line[++at])
        {
            case '"' or '\\':
                return line[at];
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'a':
                return '\a';
            case 'b':
                return '\b';
            case 'x':
                at += 2;
                return (char)byte.Parse(line.AsSpan(at - 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            default:
                throw new FormatException($"\\{line[at]} is no escape: {line}");
        }
    }
}

/// <summary>A plain connection that asked for MONITOR: the server's own word on what it was asked, which is not the client's.</summary>
internal sealed class RedisMonitor : IDisposable
{
    private readonly StreamReader _lines;
    private readonly NetworkStream _stream;

    private RedisMonitor(NetworkStream stream)
    {
        _stream = stream;
        _lines = new StreamReader(stream, Encoding.Latin1, detectEncodingFromByteOrderMarks: false, bufferSize: 1 << 16);
    }

    public static async Task<RedisMonitor> StartAsync(int port)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port);
        var monitor = new RedisMonitor(new NetworkStream(socket, ownsSocket: true));
        await monitor._stream.WriteAsync("*1\r\n$7\r\nMONITOR\r\n"u8.ToArray());
        if (await monitor._lines.ReadLineAsync() != "+OK")
            throw new InvalidOperationException("The server refused MONITOR.");
        return monitor;
    }

    /// <summary>Everything up to the ECHO of this mark, that one left out.</summary>
    public async Task<List<MonitoredCommand>> ReadUntilEchoAsync(string mark)
    {
        List<MonitoredCommand> commands = [];
        while (await _lines.ReadLineAsync() is { } line)
        {
            // Control characters are escaped, so no line is broken in two.
            var command = MonitoredCommand.Parse(line[1..]);
            if (command.Args is ["ECHO", var echo] && echo == mark)
                return commands;
            commands.Add(command);
        }

        throw new EndOfStreamException("The server closed the connection of MONITOR.");
    }

    public void Dispose() => _lines.Dispose();
}
