using System.Net;
using System.Net.Sockets;

namespace PhoneBill.Demo;

/// <summary>Who listens where; all on 127.0.0.1.</summary>
public sealed record Ports(int Redis, int Base)
{
    public int Auth => Base + 1;
    public int Users => Base + 2;
    public int BillInquiry => Base + 3;
    public int BillInquiryReplica => Base + 103;
    public int ProductChange => Base + 4;
    public int Kos => Base + 10;

    private (int Port, string Name, string Option)[] All =>
        [
            (Auth, "Auth", "--port-base"),
            (Users, "Users", "--port-base"),
            (BillInquiry, "BillInquiry", "--port-base"),
            (ProductChange, "ProductChange", "--port-base"),
            (Kos, "KOS", "--port-base"),
            (BillInquiryReplica, "the BillInquiry replica", "--port-base"),
            (Redis, "Redis", "--redis-port"),
        ];

    /// <exception cref="DemoException">Two of ours want the same one, or somebody else listens there.</exception>
    public void EnsureFree()
    {
        foreach (var (port, name, _) in All)
            if (port == Redis && name != "Redis")
                throw new DemoException(
                    $"Redis and {name} cannot both listen on port {port}. Choose another with --redis-port or --port-base."
                );
        foreach (var (port, name, option) in All)
            Check(port, name, option);
    }

    private static void Check(int port, string name, string option)
    {
        using var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start();
        }
        catch (SocketException)
        {
            var other = option == "--redis-port" ? port + 10 : 9080;
            throw new DemoException(
                $"Port {port} on 127.0.0.1 is in use, and {name} is to listen there. End the program that has it, or choose others: ./run {option} {other}"
            );
        }
    }
}
