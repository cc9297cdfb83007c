using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>Makes a raw transport into a RESP3 connection: HELLO with credentials and name, what we are, the database, and what the link wants said first, in one round trip.</summary>
/// <remarks>Where the credentials come from a callback and are refused, it is asked once more and the same connection greets again: a second round trip.</remarks>
internal sealed class Handshake(
    ITransport transport,
    RedisClientOptions options,
    Login login,
    IReadOnlyList<RedisArg[]> setup,
    TimeProvider time
)
{
    // The type of a TLS record that carries an alert; no RESP3 frame begins so.
    private const byte TlsAlert = 0x15;

    private static readonly Version LeastRedis = new(7, 0);
    private static readonly Version LeastValkey = new(7, 2);

    private static readonly string LibraryVersion = typeof(Handshake).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    private readonly RespConnection _connection = new(new ConnectionLimits());
    private readonly ReadyQueue _ready = new();
    private bool _heard;

    /// <exception cref="RedisConnectionException">The server refused; not transient where trying again cannot help (password, version).</exception>
    public async ValueTask<RedisServerInfo> RunAsync(RedisCredentials? credentials, CancellationToken cancellationToken)
    {
        _connection.Attach();
        var first = await GreetAsync(credentials, cancellationToken).ConfigureAwait(Rt.Capture);
        if (first.Refusal is { Code: "WRONGPASS" } && login.CanAskAgain)
        {
            var newer = await login.AskAsync(RedisCredentialReason.Refused, cancellationToken).ConfigureAwait(Rt.Capture);
            if (newer!.Password != credentials?.Password || newer.User != credentials.User)
            {
                credentials = newer;
                first = await GreetAsync(credentials, cancellationToken).ConfigureAwait(Rt.Capture);
            }
        }

        if (first.Refusal is { } refusal)
            throw Refused(refusal, credentials);
        if (first.Select is { } select)
            await SelectedAsync(select).ConfigureAwait(Rt.Capture);
        foreach (var (name, reply) in first.Setup)
            await DoneAsync(name, reply).ConfigureAwait(Rt.Capture);

        // What follows would be read by a connection that has not seen its beginning.
        if (_connection.HasUnread)
            throw new RedisConnectionException($"{login.Server} sent half a message while the connection was being set up.", Sent.No);
        login.Accepted(credentials);
        return first.Info!;
    }

    private async ValueTask<Greeting> GreetAsync(RedisCredentials? credentials, CancellationToken cancellationToken)
    {
        var hello = Ask(Hello(credentials)).Task;
        // Redis 7.2 shows it in CLIENT LIST; 7.0 does not know it, and a user may not be allowed to say it.
        Ask(["CLIENT", "SETINFO", "LIB-NAME", "onggi"]);
        Ask(["CLIENT", "SETINFO", "LIB-VER", LibraryVersion]);
        var select = options.Database == 0 ? null : Ask(["SELECT", options.Database]);
        var others = setup.Select(command => (command[0].Name, Ask(command))).ToArray();
        try
        {
            await ExchangeAsync(hello, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (Exception) when (hello.IsFaulted)
        {
            // A server that refuses and hangs up has said why.
        }

        try
        {
            return new Greeting(Read(await hello.ConfigureAwait(Rt.Capture)), null, select, others);
        }
        catch (RedisServerException error)
        {
            var said = Login.Scrub(error.Message, credentials);
            return new Greeting(null, said == error.Message ? error : new RedisServerException(said), null, []);
        }
    }

    // A refusal ends it: nothing else matters then, and its other replies are read with those to the next greeting.
    private async ValueTask ExchangeAsync(ValueTask<Reply> hello, CancellationToken cancellationToken)
    {
        try
        {
            while (_connection.TakeOutput(out var bytes))
                await transport.SendAsync(bytes, cancellationToken).ConfigureAwait(Rt.Capture);
            while (_connection.InFlight > 0 && !hello.IsFaulted)
                await ReceiveAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (!_heard && options.Tls is null && error is not (OperationCanceledException or RespProtocolException))
        {
            // So does a TLS port end what it does not understand.
            if (await PortProbe.SpeaksTlsAsync(options.Network(time), login.Server, time, cancellationToken).ConfigureAwait(Rt.Capture))
                throw SpeaksTls(error);
            throw;
        }
    }

    private async ValueTask ReceiveAsync(CancellationToken cancellationToken)
    {
        var room = _connection.GetReceiveMemory();
        var count = await transport.ReceiveAsync(room, cancellationToken).ConfigureAwait(Rt.Capture);
        if (count == 0)
            throw new RedisConnectionException($"{login.Server} closed the connection while it was being set up.", Sent.No);
        if (!_heard && room.Span[0] == TlsAlert)
            throw SpeaksTls(null);
        _heard = true;
        _connection.OnReceived(count, _ready);
        _ready.RunAll();
    }

    private RedisConnectionException SpeaksTls(Exception? error) =>
        new(
            $"{login.Server} speaks TLS, and we spoke without. Write ssl=true or rediss://, and tlsCa=… if the system does not trust its authority.",
            Sent.No,
            error,
            isTransient: false
        );

    private RedisArg[] Hello(RedisCredentials? credentials)
    {
        List<RedisArg> hello = ["HELLO", 3];
        if (credentials is not null)
            hello.AddRange(["AUTH", credentials.User ?? "default", credentials.Password]);
        if (options.ClientName is { } name)
            hello.AddRange(["SETNAME", name]);
        return [.. hello];
    }

    private PendingReply<Reply> Ask(RedisArg[] command)
    {
        var pending = PendingReply<Reply>.Rent(ReplyParsers.Reply, command[0].Name, time.GetTimestamp(), long.MaxValue);
        pending.Encode(new Command(command));
        _connection.TryEnqueue(pending);
        return pending;
    }

    private RedisServerInfo Read(Reply reply)
    {
        var product = reply["server"]?.Text ?? "redis";
        var version = Version.TryParse(reply["version"]?.Text, out var parsed) ? parsed : new Version(0, 0);
        var least = product == "valkey" ? LeastValkey : LeastRedis;
        if (version < least)
            throw new RedisConnectionException(
                $"{login.Server} is {product} {version}; Onggi needs Redis {LeastRedis} or later, or Valkey {LeastValkey} or later.",
                Sent.No,
                isTransient: false
            );
        return new RedisServerInfo(product, version, reply["mode"]?.Text ?? "standalone", reply["role"]?.Text ?? "master");
    }

    private async ValueTask DoneAsync(string name, PendingReply<Reply> reply)
    {
        try
        {
            await reply.Task.ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException error)
        {
            throw new RedisConnectionException($"{login.Server} refused {name}: {error.Message}", Sent.No, error, isTransient: false);
        }
    }

    private async ValueTask SelectedAsync(PendingReply<Reply> select)
    {
        try
        {
            await select.Task.ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException error)
        {
            throw new RedisConnectionException(
                $"{login.Server} has no database {options.Database} for us ({error.Message}).",
                Sent.No,
                error,
                isTransient: false
            );
        }
    }

    private RedisConnectionException Refused(RedisServerException error, RedisCredentials? credentials)
    {
        var user = credentials?.User ?? "default";
        return error.Code switch
        {
            "WRONGPASS" when login.CanAskAgain => Final(
                $"{login.Server} refused the password of user '{user}', which the Credentials callback gave, also when it was asked again; the server says: {error.Message}"
            ),
            "WRONGPASS" => Final(
                $"{login.Server} refused the password of user '{user}'. Check user and password; the server says: {error.Message}"
            ),
            "NOAUTH" => Final($"{login.Server} wants a password and none was given. Add user=…,password=… to the connection string."),
            "NOPERM" => Final($"{login.Server} does not let user '{user}' say HELLO. Give it +hello; the server says: {error.Message}"),
            "NOPROTO" => Final(
                $"{login.Server} does not speak RESP3. Onggi needs Redis {LeastRedis} or later, or Valkey {LeastValkey} or later."
            ),
            "ERR" when error.Message.Contains("unknown command", StringComparison.OrdinalIgnoreCase) => Final(
                $"{login.Server} does not know HELLO. Onggi needs Redis {LeastRedis} or later, or Valkey {LeastValkey} or later."
            ),
            _ => new RedisConnectionException($"{login.Server} refused the connection: {error.Message}", Sent.No, error, error.IsTransient),
        };

        RedisConnectionException Final(string message) => new(message, Sent.No, error, isTransient: false);
    }

    // What one round of commands brought: who the server is, or why it refuses.
    private readonly record struct Greeting(
        RedisServerInfo? Info,
        RedisServerException? Refusal,
        PendingReply<Reply>? Select,
        (string Name, PendingReply<Reply> Reply)[] Setup
    );
}
