using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>Makes a raw transport into a RESP3 connection: HELLO with credentials and name, and the database, in one round trip.</summary>
internal static class Handshake
{
    private static readonly Version LeastRedis = new(7, 0);
    private static readonly Version LeastValkey = new(7, 2);

    /// <exception cref="RedisConnectionException">The server refused; not transient where trying again cannot help (password, version).</exception>
    public static async ValueTask<RedisServerInfo> RunAsync(
        ITransport transport,
        RedisClientOptions options,
        IReadOnlyList<RedisArg[]> setup,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var connection = new RespConnection(new ConnectionLimits());
        var hello = Ask(connection, Hello(options), time);
        var select = options.Database == 0 ? null : Ask(connection, ["SELECT", options.Database], time);
        var others = setup.Select(command => (Name: command[0].Name, Reply: Ask(connection, command, time))).ToArray();
        connection.Attach();
        var ready = new ReadyQueue();
        while (connection.TakeOutput(out var bytes))
            await transport.SendAsync(bytes, cancellationToken).ConfigureAwait(Rt.Capture);
        while (connection.InFlight > 0)
        {
            var count = await transport.ReceiveAsync(connection.GetReceiveMemory(), cancellationToken).ConfigureAwait(Rt.Capture);
            if (count == 0)
                throw new RedisConnectionException($"{options} closed the connection while it was being set up.", Sent.No);
            connection.OnReceived(count, ready);
            ready.RunAll();
        }

        // What follows would be read by a connection that has not seen its beginning.
        if (connection.HasUnread)
            throw new RedisConnectionException($"{options} sent half a message while the connection was being set up.", Sent.No);
        var info = await ReadAsync(hello, options).ConfigureAwait(Rt.Capture);
        if (select is not null)
            await SelectedAsync(select, options).ConfigureAwait(Rt.Capture);
        foreach (var (name, reply) in others)
            await DoneAsync(name, reply, options).ConfigureAwait(Rt.Capture);
        return info;
    }

    private static RedisArg[] Hello(RedisClientOptions options)
    {
        List<RedisArg> hello = ["HELLO", 3];
        if (options.Password is { } password)
            hello.AddRange(["AUTH", options.User ?? "default", password]);
        if (options.ClientName is { } name)
            hello.AddRange(["SETNAME", name]);
        return [.. hello];
    }

    private static PendingReply<Reply> Ask(RespConnection connection, RedisArg[] command, TimeProvider time)
    {
        var pending = PendingReply<Reply>.Rent(ReplyParsers.Reply, command[0].Name, time.GetTimestamp(), long.MaxValue);
        pending.Encode(new Command(command));
        connection.TryEnqueue(pending);
        return pending;
    }

    private static async ValueTask<RedisServerInfo> ReadAsync(PendingReply<Reply> hello, RedisClientOptions options)
    {
        Reply reply;
        try
        {
            reply = await hello.Task.ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException error)
        {
            throw Refused(error, options);
        }

        var product = reply["server"]?.Text ?? "redis";
        var version = Version.TryParse(reply["version"]?.Text, out var parsed) ? parsed : new Version(0, 0);
        var least = product == "valkey" ? LeastValkey : LeastRedis;
        if (version < least)
            throw new RedisConnectionException(
                $"{options} is {product} {version}; Onggi needs Redis {LeastRedis} or later, or Valkey {LeastValkey} or later.",
                Sent.No,
                isTransient: false
            );
        return new RedisServerInfo(product, version, reply["mode"]?.Text ?? "standalone", reply["role"]?.Text ?? "master");
    }

    private static async ValueTask DoneAsync(string name, PendingReply<Reply> reply, RedisClientOptions options)
    {
        try
        {
            await reply.Task.ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException error)
        {
            throw new RedisConnectionException($"{options} refused {name}: {error.Message}", Sent.No, error, isTransient: false);
        }
    }

    private static async ValueTask SelectedAsync(PendingReply<Reply> select, RedisClientOptions options)
    {
        try
        {
            await select.Task.ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException error)
        {
            throw new RedisConnectionException(
                $"{options} has no database {options.Database} for us ({error.Message}).",
                Sent.No,
                error,
                isTransient: false
            );
        }
    }

    private static RedisConnectionException Refused(RedisServerException error, RedisClientOptions options)
    {
        var user = options.User ?? "default";
        return error.Code switch
        {
            "WRONGPASS" => Final(
                $"{options} refused the password of user '{user}'. Check user and password; the server says: {error.Message}"
            ),
            "NOAUTH" => Final($"{options} wants a password and none was given. Add password=… to the connection string."),
            "NOPERM" => Final($"{options} does not let user '{user}' say HELLO. Give it +hello; the server says: {error.Message}"),
            "NOPROTO" => Final(
                $"{options} does not speak RESP3. Onggi needs Redis {LeastRedis} or later, or Valkey {LeastValkey} or later."
            ),
            "ERR" when error.Message.Contains("unknown command", StringComparison.OrdinalIgnoreCase) => Final(
                $"{options} does not know HELLO. Onggi needs Redis {LeastRedis} or later, or Valkey {LeastValkey} or later."
            ),
            _ => new RedisConnectionException($"{options} refused the connection: {error.Message}", Sent.No, error, error.IsTransient),
        };

        RedisConnectionException Final(string message) => new(message, Sent.No, error, isTransient: false);
    }
}
