using System.Net;
using System.Net.Sockets;
using System.Reflection;
using Onggi.Client;
using Onggi.Client.Transport;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>What the system is asked to do for a connection.</summary>
public sealed class SocketSettingsTests
{
    private const int Tcp = 6;
    private const int UserTimeout = 18;

    [Theory]
    [InlineData(false, 5_000)]
    [InlineData(true, 5_000)]
    [InlineData(false, 0)]
    public async Task A_connection_whose_bytes_are_not_taken_ends_when_it_counts_as_dead(bool blocks, int milliseconds)
    {
        using var listener = LoopbackPorts.Listen();
        var options = new RedisClientOptions { DeadAfter = TimeSpan.FromMilliseconds(milliseconds) };

        await using var transport = await options
            .Network(TimeProvider.System, blocks)
            .ConnectAsync("127.0.0.1", ((IPEndPoint)listener.LocalEndPoint!).Port, CancellationToken.None);

        var socket = SocketOf(transport);
        Assert.True(socket.NoDelay);
        if (!OperatingSystem.IsLinux())
            return;
        var value = new byte[sizeof(int)];
        socket.GetRawSocketOption(Tcp, UserTimeout, value);
        Assert.Equal(milliseconds, BitConverter.ToInt32(value));
    }

    // A transport shows its socket to nobody else.
    private static Socket SocketOf(ITransport transport) =>
        (Socket)
            transport
                .GetType()
                .GetFields(BindingFlags.Instance | BindingFlags.NonPublic)
                .Single(field => field.FieldType == typeof(Socket))
                .GetValue(transport)!;
}
