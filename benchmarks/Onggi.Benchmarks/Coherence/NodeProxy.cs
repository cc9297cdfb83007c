using System.Net;
using System.Net.Sockets;
using Onggi.Testing;

namespace Onggi.Benchmarks.Coherence;

/// <summary>The way of one node to its Redis, that can be cut or go silent: all of it, or only the connections on which the node hears of changes.</summary>
/// <remarks>
/// It knows those by what the node sends on them: CLIENT TRACKING or SUBSCRIBE. Losing just these is worse than losing all: commands work, reads work, only nobody tells what has changed.
/// </remarks>
internal sealed class NodeProxy : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly IPEndPoint _server;
    private readonly Socket _listener = LoopbackPorts.Listen();
    private readonly List<Link> _links = [];
    private readonly Task _accepting;
    private bool _deaf;
    private bool _ended;

    public NodeProxy(int serverPort)
    {
        _server = new IPEndPoint(IPAddress.Loopback, serverPort);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = AcceptAsync();
    }

    /// <summary>Where the node connects, on 127.0.0.1.</summary>
    public int Port { get; }

    /// <summary>Cuts the connections that hear of changes, and every new one that wants to, until <see cref="Mend"/>.</summary>
    public void CutHearing()
    {
        lock (_gate)
            _deaf = true;
        foreach (var link in Links().Where(link => link.Hears))
            link.Cut();
    }

    /// <summary>Lets hearing connections be made again.</summary>
    public void Mend()
    {
        lock (_gate)
            _deaf = false;
    }

    /// <summary>Makes the connections that stand now half-open: nothing passes any more and nobody is told. New ones work.</summary>
    /// <param name="all">Every connection, or only those that hear of changes.</param>
    /// <param name="replies">Only what Redis says is lost; commands still arrive.</param>
    public void Silence(bool all, bool replies)
    {
        foreach (var link in Links().Where(link => all || link.Hears))
            link.Silence(replies);
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
            _ended = true;
        _listener.Dispose();
        await _accepting;
        var links = Links();
        foreach (var link in links)
            link.Cut();
        await Task.WhenAll(links.Select(link => link.Ended));
    }

    private Link[] Links()
    {
        lock (_gate)
            return [.. _links];
    }

    private bool IsDeaf
    {
        get
        {
            lock (_gate)
                return _deaf;
        }
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptAsync();
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
            {
                return;
            }

            client.NoDelay = true;
            var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await server.ConnectAsync(_server);
            }
            catch (SocketException)
            {
                // No server behind us: the node sees what it would see there.
                Link.Reset(server);
                Link.Reset(client);
                continue;
            }

            var link = new Link(this, client, server);
            lock (_gate)
            {
                _links.Add(link);
                link.Start();
                if (_ended)
                    link.Cut();
            }
        }
    }

    /// <summary>One connection of the node and ours to the server.</summary>
    private sealed class Link(NodeProxy proxy, Socket client, Socket server)
    {
        private volatile bool _hears;
        private volatile bool _losesCommands;
        private volatile bool _losesReplies;
        private int _ended;

        public Task Ended { get; private set; } = Task.CompletedTask;

        public bool Hears => _hears;

        public void Start() => Ended = RunAsync();

        public void Silence(bool replies)
        {
            _losesReplies = true;
            _losesCommands = _losesCommands || !replies;
        }

        public void Cut()
        {
            if (Interlocked.Exchange(ref _ended, 1) != 0)
                return;
            Reset(client);
            Reset(server);
        }

        public static void Reset(Socket socket)
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

        private async Task RunAsync()
        {
            var replies = PumpAsync(server, client, toServer: false);
            await PumpAsync(client, server, toServer: true);
            // The node has left, and nobody remains to be deceived.
            Cut();
            await replies;
            lock (proxy._gate)
                proxy._links.Remove(this);
        }

        private async Task PumpAsync(Socket from, Socket to, bool toServer)
        {
            var buffer = new byte[16 * 1024];
            try
            {
                while (await from.ReceiveAsync(buffer) is var received and > 0)
                {
                    if (toServer && !_hears && AsksToHear(buffer.AsSpan(0, received)))
                        _hears = true;
                    if (toServer && _hears && proxy.IsDeaf)
                        break;
                    for (var bytes = buffer.AsMemory(0, received); bytes.Length > 0 && !(toServer ? _losesCommands : _losesReplies); )
                        bytes = bytes[await to.SendAsync(bytes)..];
                }
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                // One side is gone.
            }

            // The other side is told, unless silence is what we play.
            if (toServer || !_losesReplies)
                Cut();
        }

        private static bool AsksToHear(ReadOnlySpan<byte> bytes) => bytes.IndexOf("TRACKING"u8) >= 0 || bytes.IndexOf("SUBSCRIBE"u8) >= 0;
    }
}
