using System.Globalization;
using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Diagnostics;
using Onggi.Client.Resp;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing.Sentinel;

/// <summary>The master that Sentinels watch under a name.</summary>
/// <remarks>
/// A connection stands to every Sentinel that the options name or that one of them knows. Each tells of a switch when it hears of it itself, which can be seconds apart; the first one counts.
/// The epoch of a configuration says which of two Sentinels is behind.
/// </remarks>
internal sealed class SentinelSource : PrimarySource
{
    private const int MostPeers = 16;

    // What changes the master or the set of healthy replicas; the last is told when a Sentinel is met.
    private static readonly string[] Channels = ["+switch-master", "+slave", "+sdown", "-sdown", "+slave-reconf-done", "+sentinel"];

    private readonly RedisClientOptions _options;
    private readonly string _service;
    private readonly SeenCertificates? _certificates;
    private readonly Lock _gate = new();
    private readonly List<Peer> _peers = [];
    private long _epoch = -1;
    private bool _disposed;

    public SentinelSource(RedisClientOptions options, ILogger logger, TimeProvider time, SeenCertificates? certificates = null)
        : base(logger, time, rhythm: TimeSpan.FromSeconds(10)) =>
        (_options, _service, _certificates) = (options, options.SentinelService!, certificates);

    protected override IReadOnlyList<Peer> Peers
    {
        get
        {
            lock (_gate)
                return [.. _peers];
        }
    }

    public override string ToString() => $"the master of '{_service}'";

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(Rt.Capture);
        lock (_gate)
            _disposed = true;
        foreach (var peer in Peers)
            await peer.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    protected override void Begin()
    {
        foreach (var seed in _options.Seeds.Distinct())
            Add(seed, isSeed: true, id: null);
    }

    protected override async Task<Answer> AskAsync(Peer peer)
    {
        await peer.Link.WhenConnectedAsync(CancellationToken.None).ConfigureAwait(Rt.Capture);
        try
        {
            var reply = await peer.AskAsync("SENTINEL", "GET-MASTER-ADDR-BY-NAME", _service).ConfigureAwait(Rt.Capture);
            return Address(reply) is { } master
                ? new Answer(peer.Address, master)
                : new Answer(peer.Address, null, Problem: $"does not watch '{_service}'", IsFinal: true);
        }
        catch (RedisServerException refused)
        {
            var known = !refused.Message.Contains("unknown command", StringComparison.OrdinalIgnoreCase);
            return new Answer(
                peer.Address,
                null,
                Problem: known ? $"says: {refused.Message}" : "is no Sentinel",
                IsFinal: !refused.IsTransient
            );
        }
    }

    // The first one that names an address that has not just failed is right, or the server itself will say otherwise.
    protected override bool IsGood(Answer answer) => answer.Primary is { } primary && !IsDoubted(primary);

    protected override RedisConnectionException NobodyKnows(IReadOnlyList<Answer> answers)
    {
        var final = answers.All(answer => answer.IsFinal);
        var tried = string.Join("; ", answers.Select(answer => $"{answer.From}: {answer.Problem.TrimEnd('.')}"));
        var unknown = answers.Count > 0 && answers.All(answer => answer.Problem.StartsWith("does not watch", StringComparison.Ordinal));
        return new RedisConnectionException(
            unknown
                ? $"No Sentinel watches a master of the name '{_service}'. Check SentinelService; asked were {string.Join(", ", answers.Select(answer => answer.From))}."
                : $"No Sentinel says where {this} is. Asked were {tried}.",
            Sent.No,
            isTransient: !final
        );
    }

    // One will do: whoever is behind is told apart by its epoch.
    protected override void OnTick()
    {
        if (Peers.FirstOrDefault(peer => peer.Link.IsConnected) is { } peer)
            _ = RefreshAsync(peer);
    }

    private void Add(RedisAddress address, bool isSeed, string? id)
    {
        Peer peer;
        lock (_gate)
        {
            if (
                _disposed
                || _peers.Count >= MostPeers
                || _peers.Any(known => known.Address == address || (id is not null && known.Id == id))
            )
                return;
            peer = new Peer(address, isSeed, _options.ForSentinel(address), Logger, Time, _certificates, OnTold) { Id = id };
            _peers.Add(peer);
        }

        peer.Link.Changed = connected =>
        {
            if (connected)
                _ = IntroduceAsync(peer);
        };
        try
        {
            peer.Link.Start();
        }
        catch (ObjectDisposedException)
        {
            // The client ends.
        }
    }

    // A Sentinel can have two addresses, a name in the options and what it announces: the second connection ends.
    private void Remove(Peer peer)
    {
        lock (_gate)
            if (!_peers.Remove(peer))
                return;
        _ = peer.DisposeAsync().AsTask();
    }

    private async Task IntroduceAsync(Peer peer)
    {
        try
        {
            foreach (var channel in Channels)
                await peer
                    .Link.SendAsync(
                        new Command(["SUBSCRIBE", channel]),
                        ReplyParsers.Ignore,
                        CancellationToken.None,
                        new PushConfirmation("subscribe", channel)
                    )
                    .ConfigureAwait(Rt.Capture);
        }
        catch (RedisServerException refused)
        {
            // A failover is still noticed when the connection to the old master ends.
            Log.SentinelSilent(Logger, peer.Address, refused.Message);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            return;
        }

        await IdentifyAsync(peer).ConfigureAwait(Rt.Capture);
        await RefreshAsync(peer).ConfigureAwait(Rt.Capture);
    }

    private async Task IdentifyAsync(Peer peer)
    {
        if (await TryAskAsync(peer, "SENTINEL", "MYID").ConfigureAwait(Rt.Capture) is not { Text: { } id })
            return;
        Peer? twin;
        lock (_gate)
        {
            peer.Id = id;
            twin = _peers.FirstOrDefault(other => other != peer && other.Id == id);
        }

        if (twin is not null && !(peer.IsSeed && twin.IsSeed))
            Remove(peer.IsSeed ? twin : peer);
    }

    // Runs on the reading loop: it must not wait for anything.
    private void OnTold(Peer peer, string channel, string text)
    {
        var words = text.Split(' ');
        if (!words.Contains(_service, StringComparer.Ordinal))
            return;

        // <name> <old host> <old port> <new host> <new port>
        if (channel == "+switch-master" && words.Length == 5 && words[0] == _service && Port(words[4]) is { } port)
            Found(new RedisAddress(words[3], port));
        _ = RefreshAsync(peer);
    }

    private async Task RefreshAsync(Peer peer)
    {
        if (!peer.TryBeginRefresh())
            return;
        do
        {
            peer.BeginRound();
            await RefreshOnceAsync(peer).ConfigureAwait(Rt.Capture);
        } while (!peer.EndRefresh());
    }

    private async Task RefreshOnceAsync(Peer peer)
    {
        if (await TryAskAsync(peer, "SENTINEL", "SENTINELS", _service).ConfigureAwait(Rt.Capture) is { } sentinels)
            Learn(sentinels, peer);
        if (await TryAskAsync(peer, "SENTINEL", "MASTER", _service).ConfigureAwait(Rt.Capture) is { } master && !IsCurrent(master))
            return;
        if (await TryAskAsync(peer, "SENTINEL", "REPLICAS", _service).ConfigureAwait(Rt.Capture) is { } replicas)
            SetReplicas(replicas.Items.Where(IsHealthy).Select(Named).OfType<RedisAddress>());
    }

    // False when this Sentinel is behind the others.
    private bool IsCurrent(Reply master)
    {
        if (!long.TryParse(master["config-epoch"]?.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var epoch))
            return true;
        bool isNewer;
        lock (_gate)
        {
            if (epoch < _epoch)
                return false;
            isNewer = _epoch >= 0 && epoch > _epoch;
            _epoch = epoch;
        }

        // A switch that nobody told us of, because the connections to the Sentinels were away as well.
        if (isNewer && Named(master) is { } address)
            Found(address);
        return true;
    }

    private void Learn(Reply sentinels, Peer from)
    {
        var named = sentinels
            .Items.Select(one => (Address: Named(one), Id: one["runid"]?.Text))
            .Where(one => one.Address is not null)
            .ToList();
        foreach (var (address, id) in named)
            Add(address!.Value, isSeed: false, string.IsNullOrEmpty(id) ? null : id);

        // Where addresses come and go, as in Kubernetes, those that have gone must not pile up.
        foreach (var peer in Peers)
            if (!peer.IsSeed && peer != from && !peer.Link.IsConnected && named.All(one => one.Address != peer.Address))
                Remove(peer);
    }

    private static async ValueTask<Reply?> TryAskAsync(Peer peer, params RedisArg[] command)
    {
        try
        {
            return await peer.AskAsync(command).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // It refuses, or it has gone: others tell the same.
            return null;
        }
    }

    private static bool IsHealthy(Reply replica)
    {
        var flags = replica["flags"]?.Text?.Split(',') ?? [];
        return !flags.Any(flag => flag is "s_down" or "o_down" or "disconnected") && replica["master-link-status"]?.Text is null or "ok";
    }

    private static RedisAddress? Named(Reply server) =>
        server["ip"]?.Text is { Length: > 0 } host && Port(server["port"]?.Text) is { } port ? new RedisAddress(host, port) : null;

    private static RedisAddress? Address(Reply pair) =>
        pair.Items is [{ Text: { Length: > 0 } host }, var port] && Port(port.Text) is { } number ? new RedisAddress(host, number) : null;

    private static int? Port(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65_535 ? port : null;
}
