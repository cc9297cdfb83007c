using System.Net;
using System.Net.Sockets;

namespace Onggi.Testing;

/// <summary>Which way bytes go through a <see cref="FaultProxy"/>.</summary>
public enum ProxyDirection
{
    /// <summary>From the client to the server: commands.</summary>
    ToServer,

    /// <summary>From the server to the client: replies.</summary>
    ToClient,
}

/// <summary>A TCP proxy in front of a server that can do to a connection what networks do: cut, half a frame, silence, delay, a slow reader, single bytes.</summary>
/// <remarks>Every fault takes effect before the call that asks for it returns or at the next bytes; what is random comes from the seed.</remarks>
public sealed class FaultProxy : IAsyncDisposable
{
    private const int LargestChunk = 64 * 1024;

    private readonly Lock _gate = new();
    private readonly IPEndPoint _server;
    private readonly Random _random;
    private readonly CancellationTokenSource _end = new();
    private readonly List<Link> _links = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> _countWaiters = [];
    private Socket? _listener;
    private Task _accepting = Task.CompletedTask;
    private TaskCompletionSource _gateOpen = Opened();
    private int _accepted;
    private (ProxyDirection Direction, long Left, TaskCompletionSource Held)? _holding;

    private FaultProxy(int serverPort, int seed)
    {
        _server = new IPEndPoint(IPAddress.Loopback, serverPort);
        _random = new Random(seed);
        _listener = LoopbackPorts.Listen();
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = AcceptLoopAsync(_listener);
    }

    /// <summary>Where clients connect, on 127.0.0.1.</summary>
    public int Port { get; }

    /// <summary>What a client of a server without password needs to connect.</summary>
    public string ConnectionString => $"127.0.0.1:{Port}";

    /// <summary>How many connections have been accepted so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>How long each chunk waits before it goes on, both ways.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>The most bytes that go on at once, both ways: 1 makes every byte a packet of its own.</summary>
    public int MaxChunk { get; set; } = LargestChunk;

    /// <summary>Whether the size of each chunk is drawn between 1 and <see cref="MaxChunk"/>.</summary>
    public bool RandomChunks { get; set; }

    /// <summary>How many bytes per second replies may flow to the client, as to a reader that cannot keep up; 0 for no limit. The server feels the back-pressure.</summary>
    public int BytesPerSecondToClient { get; set; }

    /// <summary>Starts a proxy in front of a server on 127.0.0.1.</summary>
    public static FaultProxy Start(int serverPort, int seed = 1) => new(serverPort, seed);

    /// <summary>Ends when the <paramref name="count"/>th connection (counted from the start) has been accepted and joined to the server.</summary>
    public Task WaitForConnectionsAsync(int count)
    {
        lock (_gate)
        {
            if (_accepted >= count)
                return Task.CompletedTask;
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _countWaiters.Add((count, reached));
            return reached.Task;
        }
    }

    /// <summary>Cuts all connections now (reset, no goodbye). New ones are welcome.</summary>
    public void CutAll()
    {
        foreach (var link in Snapshot())
            link.Cut();
    }

    /// <summary>Cuts each open connection after exactly so many more bytes in one direction: in the middle of a frame, if it comes to that.</summary>
    public void CutAfter(ProxyDirection direction, long bytes)
    {
        foreach (var link in Snapshot())
            link.CutAfter(direction, bytes);
    }

    /// <summary>Swallows everything on the connections that stand now, for ever, without closing them: a half-open link. New connections work.</summary>
    public void BlackHoleAll()
    {
        foreach (var link in Snapshot())
            link.Swallows = true;
    }

    /// <summary>The same of the one connection whose client has this port.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public void BlackHole(int clientPort) =>
        (From(clientPort) ?? throw new InvalidOperationException($"Nobody is connected from port {clientPort}.")).Swallows = true;

    /// <summary>Cuts the one connection whose client has this port, if it has not ended by itself.</summary>
    public void Cut(int clientPort) => From(clientPort)?.Cut();

    /// <summary>Says goodbye (FIN) to the client on every connection while it still takes the client's bytes.</summary>
    public void HalfCloseToClient()
    {
        foreach (var link in Snapshot())
            link.HalfCloseToClient();
    }

    /// <summary>Holds all bytes back, both ways, until <see cref="Release"/>; none is lost.</summary>
    public void Hold()
    {
        lock (_gate)
        {
            if (_gateOpen.Task.IsCompleted)
                _gateOpen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Holds all bytes back, as <see cref="Hold"/> does, once so many more have gone on in one direction, over all connections together: not one more of them gets through.</summary>
    /// <returns>Ends when they have.</returns>
    public Task HoldAfter(ProxyDirection direction, long bytes)
    {
        lock (_gate)
        {
            var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _holding = (direction, bytes, held);
            return held.Task;
        }
    }

    /// <summary>Lets held bytes flow again.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _holding = null;
            _gateOpen.TrySetResult();
        }
    }

    /// <summary>Stops listening: whoever connects is refused. Standing connections stay.</summary>
    public async Task RefuseAsync()
    {
        Socket? listener;
        lock (_gate)
            (listener, _listener) = (_listener, null);
        listener?.Dispose();
        await _accepting;
    }

    /// <summary>Listens again on the same port.</summary>
    public void Accept()
    {
        lock (_gate)
        {
            if (_listener is not null || _end.IsCancellationRequested)
                return;
            _listener = LoopbackPorts.Listen(Port);
            _accepting = AcceptLoopAsync(_listener);
        }
    }

    /// <summary>Ends all connections and the proxy.</summary>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        Release();
        await RefuseAsync();
        var links = Snapshot();
        foreach (var link in links)
            link.Cut();
        await Task.WhenAll(links.Select(link => link.Ended));
        _end.Dispose();
    }

    private static TaskCompletionSource Opened()
    {
        var open = new TaskCompletionSource();
        open.SetResult();
        return open;
    }

    private Link[] Snapshot()
    {
        lock (_gate)
            return [.. _links];
    }

    private Link? From(int clientPort) => Snapshot().SingleOrDefault(link => link.ClientPort == clientPort);

    private async Task AcceptLoopAsync(Socket listener)
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await listener.AcceptAsync(_end.Token);
            }
            catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            await JoinAsync(client);
        }
    }

    private async Task JoinAsync(Socket client)
    {
        var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.NoDelay = true;
        try
        {
            await server.ConnectAsync(_server, _end.Token);
        }
        catch (Exception failure) when (failure is OperationCanceledException or SocketException)
        {
            // No server behind us: the client sees what it would see there.
            Reset(server);
            Reset(client);
            return;
        }

        lock (_gate)
        {
            var link = new Link(this, client, server);
            _links.Add(link);
            link.Start();
            _accepted++;
            foreach (var (_, reached) in _countWaiters.Where(waiter => waiter.Count <= _accepted))
                reached.TrySetResult();
            _countWaiters.RemoveAll(waiter => waiter.Count <= _accepted);
        }
    }

    private int NextChunk()
    {
        if (!RandomChunks)
            return Math.Clamp(MaxChunk, 1, LargestChunk);
        lock (_gate)
            return _random.Next(1, Math.Clamp(MaxChunk, 1, LargestChunk) + 1);
    }

    private Task GateAsync()
    {
        lock (_gate)
            return _gateOpen.Task;
    }

    // How many of these bytes may go on; the gate is shut behind the last one.
    private int Allowed(ProxyDirection direction, int bytes)
    {
        lock (_gate)
        {
            if (_holding is not var (which, left, held) || which != direction)
                return bytes;
            // Whoever came through the gate before it was shut gets nothing either.
            var allowed = (int)Math.Min(bytes, left);
            _holding = (which, left - allowed, held);
            if (left == allowed && held.TrySetResult())
                Hold();
            return allowed;
        }
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // It is gone already, which is what we want.
        }

        socket.Dispose();
    }

    /// <summary>One client's connection and ours to the server, with a pump each way.</summary>
    private sealed class Link(FaultProxy proxy, Socket client, Socket server)
    {
        private readonly long[] _left = [long.MaxValue, long.MaxValue];
        private int _ended;
        private volatile bool _deaf;

        public int ClientPort { get; } = ((IPEndPoint)client.RemoteEndPoint!).Port;

        public Task Ended { get; private set; } = Task.CompletedTask;

        public bool Swallows { get; set; }

        public void Start() => Ended = RunAsync();

        public void CutAfter(ProxyDirection direction, long bytes)
        {
            if (bytes <= 0)
                Cut();
            else
                Volatile.Write(ref _left[(int)direction], bytes);
        }

        public void HalfCloseToClient()
        {
            _deaf = true;
            try
            {
                client.Shutdown(SocketShutdown.Send);
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                // Closed already.
            }
        }

        public void Cut()
        {
            if (Interlocked.Exchange(ref _ended, 1) != 0)
                return;
            Reset(client);
            Reset(server);
        }

        private async Task RunAsync()
        {
            await Task.WhenAll(PumpAsync(client, server, ProxyDirection.ToServer), PumpAsync(server, client, ProxyDirection.ToClient));
            Cut();
            lock (proxy._gate)
                proxy._links.Remove(this);
        }

        private async Task PumpAsync(Socket from, Socket to, ProxyDirection direction)
        {
            await Task.Yield();
            var buffer = new byte[LargestChunk];
            try
            {
                while (await from.ReceiveAsync(buffer) is var received and > 0)
                {
                    for (var sent = 0; sent < received; )
                        sent += await PassAsync(buffer.AsMemory(sent, received - sent), to, direction);
                }

                if (!Swallows)
                    to.Shutdown(SocketShutdown.Send);
                else
                    Forget(direction);
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // One side is gone without goodbye: the other side is told in the same way.
                if (!Swallows)
                    Cut();
                else
                    Forget(direction);
            }
        }

        // Nobody is left to be deceived by a half-open link once its client has given it up: kept, each would hold two sockets until the proxy's end.
        private void Forget(ProxyDirection ended)
        {
            if (ended == ProxyDirection.ToServer)
                Cut();
        }

        private async Task<int> PassAsync(Memory<byte> bytes, Socket to, ProxyDirection direction)
        {
            if (Swallows || (_deaf && direction == ProxyDirection.ToClient))
                return bytes.Length;
            var chunk = bytes[..Math.Min(bytes.Length, proxy.NextChunk())];
            await proxy.GateAsync();
            if (proxy.Delay > TimeSpan.Zero)
                await Task.Delay(proxy.Delay, proxy._end.Token);
            if (direction == ProxyDirection.ToClient && proxy.BytesPerSecondToClient is var rate and > 0)
                chunk = await ThrottleAsync(chunk, rate);
            chunk = chunk[..proxy.Allowed(direction, chunk.Length)];
            var left = Volatile.Read(ref _left[(int)direction]);
            if (left <= chunk.Length)
                chunk = chunk[..(int)left];
            if (!Swallows)
                await SendAllAsync(to, chunk);
            if (left == chunk.Length)
                Cut();
            else if (left != long.MaxValue)
                Interlocked.Add(ref _left[(int)direction], -chunk.Length);
            return chunk.Length;
        }

        // Ten portions a second, each of a tenth of the rate.
        private async Task<Memory<byte>> ThrottleAsync(Memory<byte> chunk, int rate)
        {
            var portion = chunk[..Math.Min(chunk.Length, Math.Max(1, rate / 10))];
            await Task.Delay(TimeSpan.FromSeconds((double)portion.Length / rate), proxy._end.Token);
            return portion;
        }

        private static async Task SendAllAsync(Socket to, Memory<byte> bytes)
        {
            while (bytes.Length > 0)
                bytes = bytes[await to.SendAsync(bytes)..];
        }
    }
}
