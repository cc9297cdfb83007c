using System.Net.Sockets;
using Onggi.Client.Transport;

namespace Onggi.Tests.Client;

/// <summary>What the system is asked to do for a connection.</summary>
public sealed class SocketSettingsTests
{
    private const int Tcp = 6;
    private const int UserTimeout = 18;

    [Fact]
    public void A_connection_whose_bytes_are_not_taken_ends_when_it_counts_as_dead()
    {
        using var socket = SocketTransportFactory.NewSocket(TimeSpan.FromSeconds(5));

        Assert.True(socket.NoDelay);
        if (!OperatingSystem.IsLinux())
            return;
        var value = new byte[sizeof(int)];
        socket.GetRawSocketOption(Tcp, UserTimeout, value);
        Assert.Equal(5_000, BitConverter.ToInt32(value));
    }

    [Fact]
    public void Without_a_limit_the_system_decides()
    {
        using var socket = SocketTransportFactory.NewSocket(TimeSpan.Zero);

        if (!OperatingSystem.IsLinux())
            return;
        var value = new byte[sizeof(int)];
        socket.GetRawSocketOption(Tcp, UserTimeout, value);
        Assert.Equal(0, BitConverter.ToInt32(value));
    }
}
