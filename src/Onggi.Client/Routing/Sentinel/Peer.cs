using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing.Sentinel;

/// <summary>A server that is asked where the primary is, and the standing connection to it.</summary>
internal sealed class Peer : IPushSink, IAsyncDisposable
{
    private readonly Action<Peer, string, string>? _told;
    private int _refreshing;

    public Peer(
        RedisAddress address,
        bool isSeed,
        RedisClientOptions options,
        ILogger logger,
        TimeProvider time,
        SeenCertificates? certificates = null,
        Action<Peer, string, string>? told = null
    )
    {
        (Address, IsSeed, _told) = (address, isSeed, told);
        Link = new RedisLink(
            options,
            new LinkSettings(new FixedServer(address), LinkPurpose.Discovery)
            {
                Pushes = told is null ? null : this,
                // Its questions are nobody's commands, so they are not counted; its certificate ends like any other.
                Counters = new PumpCounters(certificates),
            },
            logger,
            time
        );
    }

    public RedisAddress Address { get; }

    /// <summary>Whether the options name it: such a one is never forgotten.</summary>
    public bool IsSeed { get; }

    /// <summary>What a Sentinel calls itself, so that one that has two addresses is not taken for two.</summary>
    public string? Id { get; set; }

    public RedisLink Link { get; }

    public async ValueTask<Reply> AskAsync(params RedisArg[] command) =>
        await Link.SendAsync(new Command(command), ReplyParsers.Reply, CancellationToken.None).ConfigureAwait(Rt.Capture);

    /// <summary>Whether nobody was asking it for everything; then the caller does, until <see cref="EndRefresh"/> says that nobody has wished for more meanwhile.</summary>
    public bool TryBeginRefresh() => Interlocked.Exchange(ref _refreshing, 2) == 0;

    public void BeginRound() => Volatile.Write(ref _refreshing, 1);

    public bool EndRefresh() => Interlocked.CompareExchange(ref _refreshing, 0, 1) == 1;

    // >3 message <channel> <payload>
    public void OnPush(ref RespReader push)
    {
        try
        {
            if (!push.Read() || !push.Value.SequenceEqual("message"u8))
                return;
            push.Read();
            var channel = push.ReadString();
            push.Read();
            _told!(this, channel ?? "", push.ReadString() ?? "");
        }
        catch (RedisReplyException)
        {
            // A push of a shape that we do not know is passed over: it answers nobody.
        }
    }

    public ValueTask DisposeAsync() => Link.DisposeAsync();
}
