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

    /// <exception cref="DemoException">Somebody else listens on one of them.</exception>
    public void EnsureFree()
    {
        Check(Redis, "Redis", "--redis-port");
        Check(Auth, "Auth", "--port-base");
        Check(Users, "Users", "--port-base");
        Check(BillInquiry, "BillInquiry", "--port-base");
        Check(ProductChange, "ProductChange", "--port-base");
        Check(Kos, "KOS", "--port-base");
        Check(BillInquiryReplica, "the BillInquiry replica", "--port-base");
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
