using Onggi.Client.Transport;

namespace Onggi.Client;

/// <summary>How a <see cref="RedisClient"/> connects and how long it waits.</summary>
public sealed class RedisClientOptions
{
    private static readonly TimeSpan QuestionPatience = TimeSpan.FromSeconds(1);

    /// <summary>Host name or address.</summary>
    /// <value>Default <c>127.0.0.1</c>.</value>
    public string Host { get; set; } = "127.0.0.1";

    /// <summary>TCP port.</summary>
    /// <value>Default 6379.</value>
    public int Port { get; set; } = 6379;

    /// <summary>All servers to begin with: one Redis, several nodes of a cluster, or several Sentinels (see <see cref="SentinelService"/>). Empty means <see cref="Host"/> and <see cref="Port"/> alone.</summary>
    public IReadOnlyList<RedisAddress> Servers { get; set; } = [];

    /// <summary>The name under which Sentinels watch the master; with it, <see cref="Servers"/> are Sentinels. <c>null</c> for none.</summary>
    public string? SentinelService { get; set; }

    /// <summary>The ACL user at the Sentinels, which have users of their own; <c>null</c> for none.</summary>
    public string? SentinelUser { get; set; }

    /// <summary>The password at the Sentinels; <c>null</c> for none. Never logged.</summary>
    public string? SentinelPassword { get; set; }

    /// <summary>Who answers commands that only read.</summary>
    /// <value>Default <see cref="ReadFrom.Primary"/>.</value>
    public ReadFrom ReadFrom { get; set; }

    /// <summary>What happens to a command for which there is no room, because <see cref="MaxInFlight"/>, <see cref="MaxBacklog"/> or <see cref="MaxBufferedBytes"/> is reached.</summary>
    /// <value>Default <see cref="WhenFull.Reject"/>.</value>
    public WhenFull WhenFull { get; set; }

    /// <summary>The ACL user; <c>null</c> means <c>default</c>.</summary>
    public string? User { get; set; }

    /// <summary>The password; <c>null</c> connects without one. Never logged.</summary>
    public string? Password { get; set; }

    /// <summary>Gives user and password whenever a connection is made, instead of <see cref="User"/> and <see cref="Password"/>; <c>null</c> for those.</summary>
    /// <remarks>
    /// Asked once more within the same attempt when the server refuses them (<see cref="RedisCredentialReason.Refused"/>), so that a password that changes just then is no outage; and for a live
    /// connection before <see cref="RedisCredentials.ExpiresAt"/>. It must not block, may be called for several connections at a time, and has <see cref="ConnectTimeout"/> to answer.
    /// What it throws is a failed attempt, and its message is logged: put no secret into it.
    /// </remarks>
    public Func<RedisCredentialRequest, CancellationToken, ValueTask<RedisCredentials>>? Credentials { get; set; }

    /// <summary>How TLS is spoken; <c>null</c> for none, which is for trusted networks.</summary>
    /// <value>Default <c>null</c>.</value>
    public RedisTlsOptions? Tls { get; set; }

    /// <summary>The name shown by <c>CLIENT LIST</c>; <c>null</c> sets none.</summary>
    public string? ClientName { get; set; }

    /// <summary>The numbered database. Onggi wants 0; others exist so that old data can be read.</summary>
    /// <value>Default 0.</value>
    public int Database { get; set; }

    /// <summary>How long <see cref="RedisClient.ConnectAsync(CancellationToken)"/> tries, all attempts together, and how long one attempt may take.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a caller waits for a reply.</summary>
    /// <value>Default 2 s.</value>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>The most commands that may wait for replies on one connection; the next one is refused with <see cref="RedisBusyException"/>. Rounded up to a power of two, and never less than <see cref="MaxBacklog"/>, whose commands need a place each when there is a connection.</summary>
    /// <value>Default 4096.</value>
    public int MaxInFlight { get; set; } = 4096;

    /// <summary>The most commands that wait for a connection while there is none; 0 refuses them at once.</summary>
    /// <value>Default 1024.</value>
    public int MaxBacklog { get; set; } = 1024;

    /// <summary>The most bytes that wait to be sent.</summary>
    /// <value>Default 256 MiB.</value>
    public int MaxBufferedBytes { get; set; } = 256 << 20;

    /// <summary>After how long without a byte from the server an idle connection is asked for a sign of life.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>After how long without a byte, while commands wait for replies, a connection is given up as dead.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan DeadAfter { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The first pause between two attempts to connect; each further one may be twice as long. The real pause is drawn at random below it.</summary>
    /// <value>Default 50 ms.</value>
    public TimeSpan ReconnectPause { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The longest pause between two attempts to connect.</summary>
    /// <value>Default 2 s.</value>
    public TimeSpan MaxReconnectPause { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Callers go on on the thread that reads replies, for a short while, instead of on a thread of the pool. It spares callers a switch
    /// of threads; whether that pays depends on the code, so measure it. Code that blocks between two awaits is noticed and costs a millisecond or two and a thread. Not with TLS.
    /// </summary>
    /// <value>Default <c>false</c>.</value>
    public bool InlineCompletion { get; set; }

    /// <summary>The most leased connections to one server (<see cref="RedisClient.LeaseAsync(CancellationToken)"/>); who wants one more waits.</summary>
    /// <value>Default 32.</value>
    public int MaxLeases { get; set; } = 32;

    /// <summary>After how long an unused leased connection is closed.</summary>
    internal TimeSpan LeaseIdle { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How many published messages a subscription holds for a slow reader before the oldest are dropped (which the reader is told).</summary>
    /// <value>Default 4096.</value>
    public int SubscriptionBuffer { get; set; } = 4096;

    /// <summary>How many bytes of published messages a subscription holds for a slow reader before further ones are dropped (which the reader is told).</summary>
    /// <value>Default 64 MiB.</value>
    public long SubscriptionBufferBytes { get; set; } = 64 << 20;

    /// <summary>How long to wait before a refused subscription is asked for again.</summary>
    internal TimeSpan PauseAfterRefusal { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>What is beneath TLS: sockets, or what a test puts there.</summary>
    internal ITransportFactory Transports { get; set; } = SocketTransportFactory.Shared;

    /// <summary>How connections are made: <see cref="Transports"/>, with TLS over them where it is asked for.</summary>
    /// <param name="time">Judges certificates.</param>
    /// <param name="blocks">Whether threads of ours wait on the socket; never with TLS, which needs the thread pool.</param>
    internal ITransportFactory Network(TimeProvider time, bool blocks = false)
    {
        if (blocks && Tls is null)
            return new BlockingSocketTransportFactory(DeadAfter);
        var beneath = Transports is SocketTransportFactory ? new SocketTransportFactory(DeadAfter) : Transports;
        return Tls is null ? beneath : new TlsTransportFactory(beneath, Tls, time);
    }

    /// <summary>Reads <c>host:port,password=…,user=…</c> or <c>redis://user:password@host:port/0</c>; several servers with commas between them, and options of either form: see the client's page.</summary>
    /// <exception cref="FormatException">The text is neither; the message says what was wrong and what to write.</exception>
    public static RedisClientOptions Parse(string connectionString) => ConnectionString.Parse(connectionString);

    /// <summary>The servers to begin with: <see cref="Servers"/>, or <see cref="Host"/> and <see cref="Port"/>.</summary>
    internal IReadOnlyList<RedisAddress> Seeds => Servers.Count > 0 ? Servers : [new RedisAddress(Host, Port)];

    /// <summary>The servers, with the name that Sentinels know behind a slash; without secrets.</summary>
    public override string ToString()
    {
        var servers = Servers.Count > 0 ? string.Join(',', Servers) : new RedisAddress(Host, Port).ToString();
        return SentinelService is null ? servers : $"{servers}/{SentinelService}";
    }

    /// <summary>The same with less patience for silence.</summary>
    internal RedisClientOptions With(TimeSpan deadAfter)
    {
        var copy = (RedisClientOptions)MemberwiseClone();
        copy.DeadAfter = deadAfter;
        return copy;
    }

    /// <summary>The same for short questions to one server: quick to give up, never at rest for long.</summary>
    internal RedisClientOptions ForQuestionsTo(RedisAddress server)
    {
        var copy = (RedisClientOptions)MemberwiseClone();
        (copy.Host, copy.Port, copy.Servers, copy.SentinelService) = (server.Host, server.Port, [], null);
        var half = ConnectTimeout / 2;
        copy.CommandTimeout = half < QuestionPatience ? half : QuestionPatience;

        // With TLS a port that is silent is asked after a second whether it is a plain one: there must be time left for its answer.
        var connect = Tls is null ? QuestionPatience : QuestionPatience + (2 * PortProbe.Patience);
        copy.ConnectTimeout = half < connect ? half : connect;
        (copy.KeepAlive, copy.DeadAfter) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2));
        copy.InlineCompletion = false;
        return copy;
    }

    /// <summary>The same for one Sentinel, which has users of its own and no databases.</summary>
    internal RedisClientOptions ForSentinel(RedisAddress sentinel)
    {
        var copy = ForQuestionsTo(sentinel);
        (copy.User, copy.Password, copy.Credentials, copy.Database) = (SentinelUser, SentinelPassword, null, 0);
        return copy;
    }
}

/// <summary>A server's host and port.</summary>
/// <param name="Host">Name or address; IPv6 without brackets.</param>
/// <param name="Port">TCP port.</param>
public readonly record struct RedisAddress(string Host, int Port)
{
    /// <summary><c>host:port</c>, IPv6 in brackets.</summary>
    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}

/// <summary>Who answers commands that only read.</summary>
public enum ReadFrom
{
    /// <summary>The primary: what was written is read.</summary>
    Primary,

    /// <summary>A replica where there is one, else the primary. What a replica answers can be old.</summary>
    PreferReplica,
}

/// <summary>What happens to a command for which there is no room.</summary>
public enum WhenFull
{
    /// <summary>It fails at once with <see cref="RedisBusyException"/>.</summary>
    Reject,

    /// <summary>It waits for room until its time-out.</summary>
    Wait,
}
