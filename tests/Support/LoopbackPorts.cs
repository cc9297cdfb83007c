using System.Net;
using System.Net.Sockets;

namespace Onggi.Testing;

/// <summary>Free TCP ports on 127.0.0.1.</summary>
/// <remarks>
/// They lie below the range from which the system takes the ports of outgoing connections: a client that keeps knocking at a closed port inside
/// that range can be given the very same port for itself, and then it is connected to itself.
/// </remarks>
public static class LoopbackPorts
{
    private const int First = 15_000;
    private const int Last = 31_999;

    /// <summary>A port that nobody listens on now. Another process can take it before you do, so be ready to ask again.</summary>
    public static int Free()
    {
        for (var attempt = 0; attempt < 1_000; attempt++)
        {
            var port = Random.Shared.Next(First, Last + 1);
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Somebody has it: draw another one.
            }
        }

        throw new InvalidOperationException($"No port between {First} and {Last} is free on 127.0.0.1.");
    }

    /// <summary>A listening socket on a free port, or on <paramref name="port"/>.</summary>
    public static Socket Listen(int port = 0)
    {
        for (var attempt = 0; ; attempt++)
        {
            var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                listener.Bind(new IPEndPoint(IPAddress.Loopback, port == 0 ? Free() : port));
                listener.Listen(512);
                return listener;
            }
            catch (SocketException) when (port == 0 && attempt < 20)
            {
                listener.Dispose();
            }
            catch
            {
                listener.Dispose();
                throw;
            }
        }
    }
}
