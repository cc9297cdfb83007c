using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Onggi.Testing;

/// <summary>A side door to a server: one command at a time over a plain socket, in the plainest way, so that tests need not trust the client they test.</summary>
public sealed class RawRedis : IDisposable
{
    private readonly NetworkStream _stream;
    private readonly byte[] _one = new byte[1];

    private RawRedis(Socket socket) => _stream = new NetworkStream(socket, ownsSocket: true);

    /// <summary>Connects, and logs in as <c>default</c> when there is a password.</summary>
    public static Task<RawRedis> ConnectAsync(int port, string? password = null, CancellationToken cancellationToken = default) =>
        OpenAsync(port, password is null ? [] : ["AUTH", password], cancellationToken);

    /// <summary>The same as a user with a name.</summary>
    public static Task<RawRedis> ConnectAsync(int port, string user, string password, CancellationToken cancellationToken = default) =>
        OpenAsync(port, ["AUTH", user, password], cancellationToken);

    private static async Task<RawRedis> OpenAsync(int port, string[] greeting, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), cancellationToken);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        var connection = new RawRedis(socket);
        try
        {
            if (greeting.Length > 0)
                await connection.CommandAsync(greeting, cancellationToken);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Sends one command; the reply as text, <c>null</c> for null, the elements of an aggregate joined by line feeds.</summary>
    /// <exception cref="InvalidOperationException">The server answered with an error.</exception>
    public Task<string?> CommandAsync(params string[] command) => CommandAsync(command, CancellationToken.None);

    /// <inheritdoc cref="CommandAsync(string[])"/>
    public async Task<string?> CommandAsync(string[] command, CancellationToken cancellationToken)
    {
        using var frame = new MemoryStream();
        frame.Write(Encoding.ASCII.GetBytes($"*{command.Length}\r\n"));
        foreach (var argument in command)
        {
            var bytes = Encoding.UTF8.GetBytes(argument);
            frame.Write(Encoding.ASCII.GetBytes($"${bytes.Length}\r\n"));
            frame.Write(bytes);
            frame.Write("\r\n"u8);
        }

        await _stream.WriteAsync(frame.GetBuffer().AsMemory(0, (int)frame.Length), cancellationToken);
        return await ReadAsync(cancellationToken);
    }

    /// <summary>The next reply, or message to a subscriber, as <see cref="CommandAsync(string[])"/> has it.</summary>
    public async Task<string?> ReadAsync(CancellationToken cancellationToken)
    {
        var line = await ReadLineAsync(cancellationToken);
        switch (line[0])
        {
            case '-':
                throw new InvalidOperationException(line[1..]);
            case '$' when line[1] == '-':
            case '*' when line[1] == '-':
                return null;
            case '$':
                var bytes = new byte[int.Parse(line.AsSpan(1), CultureInfo.InvariantCulture) + 2];
                await _stream.ReadExactlyAsync(bytes, cancellationToken);
                return Encoding.UTF8.GetString(bytes.AsSpan(..^2));
            case '*':
                var items = new string?[int.Parse(line.AsSpan(1), CultureInfo.InvariantCulture)];
                for (var i = 0; i < items.Length; i++)
                    items[i] = await ReadAsync(cancellationToken);
                return string.Join('\n', items);
            default:
                return line[1..];
        }
    }

    /// <summary>Closes the connection.</summary>
    public void Dispose() => _stream.Dispose();

    private async Task<string> ReadLineAsync(CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        while (true)
        {
            if (await _stream.ReadAsync(_one, cancellationToken) == 0)
                throw new EndOfStreamException("The server closed the connection.");
            if (_one[0] == '\n')
                return line.ToString(0, line.Length - 1);
            line.Append((char)_one[0]);
        }
    }
}
