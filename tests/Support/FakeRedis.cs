using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Onggi.Testing;

/// <summary>A scripted server for wire tests: expect these bytes, send those, stall, cut. It knows no command; the test says every byte.</summary>
/// <remarks>
/// The n-th connection runs the n-th script, the last script serves all further ones. A script that fails is kept and thrown by
/// <see cref="ScriptsAsync"/> and by <see cref="DisposeAsync"/>, so that a wrong expectation cannot pass unseen; that the other side closed
/// is not a failure of a script that only waits for it (<see cref="FakeConnection.UntilClosedAsync"/>).
/// </remarks>
public sealed class FakeRedis : IAsyncDisposable
{
    // A client that comes back without end is turned away, before it fills the memory.
    private const int MostConnections = 1000;

    private readonly Lock _gate = new();
    private readonly Socket _listener = LoopbackPorts.Listen();
    private readonly CancellationTokenSource _end = new();
    private readonly IReadOnlyList<Func<FakeConnection, Task>> _scripts;
    private readonly List<(FakeConnection Connection, Task Script)> _running = [];
    private readonly Task _accepting;

    private FakeRedis(IReadOnlyList<Func<FakeConnection, Task>> scripts)
    {
        _scripts = scripts;
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = AcceptLoopAsync();
    }

    /// <summary>Where clients connect, on 127.0.0.1.</summary>
    public int Port { get; }

    /// <summary>What a client needs to connect.</summary>
    public string ConnectionString => $"127.0.0.1:{Port}";

    /// <summary>How many connections have come.</summary>
    public int Connections
    {
        get
        {
            lock (_gate)
                return _running.Count;
        }
    }

    /// <summary>Starts listening, with one script per connection.</summary>
    public static FakeRedis Start(params Func<FakeConnection, Task>[] scripts)
    {
        ArgumentOutOfRangeException.ThrowIfZero(scripts.Length);
        return new FakeRedis(scripts);
    }

    /// <summary>Waits until the scripts that have begun are done; throws what one of them threw.</summary>
    public Task ScriptsAsync()
    {
        lock (_gate)
            return Task.WhenAll(_running.Select(run => run.Script));
    }

    /// <summary>Closes everything; throws what a script threw, unless it only lost its connection or was waiting when the end came.</summary>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await _accepting;
        foreach (var (connection, _) in _running)
            connection.Cut();
        List<Exception> failures = [];
        foreach (var (_, script) in _running)
        {
            await script.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (
                script.Exception?.InnerException is { } failure and not (SocketException or EndOfStreamException or ObjectDisposedException)
            )
                failures.Add(failure);
        }

        _end.Dispose();
        if (failures.Count > 0)
            throw new AggregateException("A script of the fake server failed.", failures);
    }

    private async Task AcceptLoopAsync()
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptAsync(_end.Token);
            }
            catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            if (Connections >= MostConnections)
            {
                socket.Dispose();
                continue;
            }

            socket.NoDelay = true;
            var connection = new FakeConnection(socket, _end.Token);
            lock (_gate)
            {
                var script = _scripts[Math.Min(_running.Count, _scripts.Count - 1)];
                _running.Add((connection, RunAsync(script, connection)));
            }
        }
    }

    private static async Task RunAsync(Func<FakeConnection, Task> script, FakeConnection connection)
    {
        await Task.Yield();
        try
        {
            await script(connection);
        }
        finally
        {
            connection.Close();
        }
    }
}

/// <summary>One connection of a <see cref="FakeRedis"/>, seen by its script. When the script returns the connection is closed politely.</summary>
public sealed class FakeConnection
{
    private readonly Socket _socket;
    private readonly CancellationToken _end;
    private byte[] _received = new byte[4096];
    private int _start;
    private int _count;

    internal FakeConnection(Socket socket, CancellationToken end)
    {
        _socket = socket;
        _end = end;
    }

    /// <summary>The next command, as text.</summary>
    /// <exception cref="EndOfStreamException">The client closed the connection.</exception>
    public async Task<string[]> ReadCommandAsync()
    {
        var arguments = new string[await ReadHeaderAsync('*')];
        for (var i = 0; i < arguments.Length; i++)
        {
            var length = await ReadHeaderAsync('$');
            await FillAsync(length + 2);
            arguments[i] = Encoding.UTF8.GetString(_received, _start, length);
            Consume(length + 2);
        }

        return arguments;
    }

    /// <summary>Reads the next command and insists that it is this one.</summary>
    public async Task ExpectAsync(params string[] command)
    {
        var got = await ReadCommandAsync();
        if (!got.SequenceEqual(command, StringComparer.Ordinal))
            throw new InvalidOperationException($"Expected the command '{string.Join(' ', command)}', got '{string.Join(' ', got)}'.");
    }

    /// <summary>Reads as many bytes as given and insists that they are these.</summary>
    public async Task ExpectBytesAsync(string bytes)
    {
        var expected = Encoding.Latin1.GetBytes(bytes);
        await FillAsync(expected.Length);
        if (!_received.AsSpan(_start, expected.Length).SequenceEqual(expected))
            throw new InvalidOperationException(
                $"Expected the bytes '{Show(bytes)}', got '{Show(Encoding.Latin1.GetString(_received, _start, expected.Length))}'."
            );
        Consume(expected.Length);
    }

    /// <summary>Answers the client's greeting: <c>HELLO 3</c> in any form, and the two <c>CLIENT SETINFO</c> that come with it, as a server of this version does. A <c>SELECT</c> is left to the script.</summary>
    /// <param name="version">The version that the server tells.</param>
    /// <param name="server">The product that it tells.</param>
    /// <returns>The arguments of the HELLO.</returns>
    public async Task<string[]> HelloAsync(string version = "7.0.15", string server = "redis")
    {
        var hello = await ReadCommandAsync();
        if (hello[0] != "HELLO")
            throw new InvalidOperationException($"Expected HELLO, got '{string.Join(' ', hello)}'.");
        await SendAsync(HelloReply(version, server));
        await SetInfoAsync();
        return hello;
    }

    /// <summary>Reads the two <c>CLIENT SETINFO</c> that follow HELLO and answers as Redis 7.0, which does not know them.</summary>
    public async Task SetInfoAsync()
    {
        await ReadSetInfoAsync("LIB-NAME");
        await ReadSetInfoAsync("LIB-VER");
        await SendAsync(SetInfoReplies);
    }

    /// <summary>What Redis 7.0 answers to the two <c>CLIENT SETINFO</c>.</summary>
    public const string SetInfoReplies =
        "-ERR Unknown subcommand or wrong number of arguments for 'SETINFO'\r\n-ERR Unknown subcommand\r\n";

    /// <summary>What a server answers to <c>HELLO 3</c>.</summary>
    public static string HelloReply(string version = "7.0.15", string server = "redis") =>
        $"%7\r\n$6\r\nserver\r\n${server.Length}\r\n{server}\r\n$7\r\nversion\r\n${version.Length}\r\n{version}\r\n$5\r\nproto\r\n:3\r\n"
        + "$2\r\nid\r\n:5\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

    /// <summary>Sends bytes, given as text of one byte per character.</summary>
    public Task SendAsync(string bytes) => SendAsync(Encoding.Latin1.GetBytes(bytes));

    /// <summary>Sends bytes.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, _end)..];
    }

    /// <summary>Answers every command with what <paramref name="answer"/> makes of it (<c>null</c>: nothing), until the client closes.</summary>
    public async Task ServeAsync(Func<string[], string?> answer)
    {
        while (true)
        {
            string[] command;
            try
            {
                command = await ReadCommandAsync();
            }
            catch (Exception closed) when (closed is EndOfStreamException or SocketException)
            {
                return;
            }

            if (answer(command) is { } reply)
                await SendAsync(reply);
        }
    }

    /// <summary>Reads and forgets, without answering, until the client closes the connection.</summary>
    public async Task UntilClosedAsync()
    {
        try
        {
            while (true)
            {
                Consume(_count);
                await FillAsync(1);
            }
        }
        catch (Exception closed) when (closed is EndOfStreamException or SocketException)
        {
            // That is what was waited for.
        }
    }

    /// <summary>Closes our half: the client reads an end of stream, and can still send.</summary>
    public void HalfClose() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Closes the connection with a reset, without goodbye.</summary>
    public void Cut()
    {
        try
        {
            _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // It is gone already, which is what we want.
        }

        _socket.Dispose();
    }

    internal void Close() => _socket.Dispose();

    private async Task ReadSetInfoAsync(string what)
    {
        var command = await ReadCommandAsync();
        if (command is not ["CLIENT", "SETINFO", _, _] || command[2] != what)
            throw new InvalidOperationException($"Expected CLIENT SETINFO {what}, got '{string.Join(' ', command)}'.");
    }

    private static string Show(string bytes) =>
        bytes.Replace("\r", "\\r", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private async Task<int> ReadHeaderAsync(char type)
    {
        var end = 0;
        while (true)
        {
            var line = _received.AsSpan(_start, _count).IndexOf("\r\n"u8);
            if (line >= 0)
            {
                end = line;
                break;
            }

            await FillAsync(_count + 1);
        }

        if (_received[_start] != type)
            throw new InvalidOperationException(
                $"Expected '{type}' and a number, got '{Show(Encoding.Latin1.GetString(_received, _start, end))}'."
            );
        var number = int.Parse(_received.AsSpan(_start + 1, end - 1), CultureInfo.InvariantCulture);
        Consume(end + 2);
        return number;
    }

    private async Task FillAsync(int count)
    {
        while (_count < count)
        {
            if (_start + count > _received.Length)
            {
                var room = new byte[Math.Max(_received.Length, 2 * count)];
                _received.AsSpan(_start, _count).CopyTo(room);
                (_received, _start) = (room, 0);
            }

            var read = await _socket.ReceiveAsync(_received.AsMemory(_start + _count), SocketFlags.None, _end);
            if (read == 0)
                throw new EndOfStreamException("The client closed the connection.");
            _count += read;
        }
    }

    private void Consume(int bytes)
    {
        _start += bytes;
        _count -= bytes;
        if (_count == 0)
            _start = 0;
    }
}
