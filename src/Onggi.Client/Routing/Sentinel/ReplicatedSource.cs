using Microsoft.Extensions.Logging;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing.Sentinel;

/// <summary>The primary among servers that copy each other, where nobody watches them: each is asked for its role.</summary>
internal sealed class ReplicatedSource : PrimarySource
{
    private readonly Peer[] _peers;
    private int _looking;

    private readonly Action? _isCluster;

    /// <param name="options">The servers.</param>
    /// <param name="logger">Where it says what it finds.</param>
    /// <param name="time">Its clock.</param>
    /// <param name="isCluster">Runs when one of them says that it belongs to a cluster; perhaps more than once.</param>
    /// <param name="certificates">Where those of the servers are noted.</param>
    public ReplicatedSource(
        RedisClientOptions options,
        ILogger logger,
        TimeProvider time,
        Action? isCluster = null,
        SeenCertificates? certificates = null
    )
        : base(logger, time, rhythm: TimeSpan.FromSeconds(1))
    {
        _isCluster = isCluster;
        _peers =
        [
            .. options
                .Seeds.Distinct()
                .Select(server => new Peer(server, isSeed: true, options.ForQuestionsTo(server), logger, time, certificates)),
        ];
    }

    protected override IReadOnlyList<Peer> Peers => _peers;

    public override string ToString() => $"the primary among {string.Join(", ", _peers.Select(peer => peer.Address))}";

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(Rt.Capture);
        foreach (var peer in _peers)
            await peer.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    protected override void Begin()
    {
        foreach (var peer in _peers)
            peer.Link.Start();
        _ = LookAsync();
    }

    protected override async Task<Answer> AskAsync(Peer peer) => (await RoleAsync(peer).ConfigureAwait(Rt.Capture)).Answer;

    // Two can say that they are the primary, after somebody has promoted one and the old one came back: the answers are compared.
    protected override bool IsGood(Answer answer) => false;

    protected override RedisConnectionException NobodyKnows(IReadOnlyList<Answer> answers) =>
        new(
            $"None of the servers is a primary. {string.Join("; ", answers.Select(answer => $"{answer.From}: {answer.Problem.TrimEnd('.')}"))}.",
            Sent.No,
            isTransient: answers.Any(answer => !answer.IsFinal)
        );

    protected override void OnTick() => _ = LookAsync();

    private async Task LookAsync()
    {
        if (Interlocked.Exchange(ref _looking, 1) != 0)
            return;
        try
        {
            var roles = await Task.WhenAll(_peers.Select(TryRoleAsync)).ConfigureAwait(Rt.Capture);
            SetReplicas(roles.Where(role => role.IsInStep).Select(role => role.Answer.From));
            var primaries = roles.Select(role => role.Answer).Where(answer => answer.Primary is not null).ToList();
            if (Current is not { } current || primaries.Count == 0 || primaries.Any(primary => primary.From == current))
                return;
            Found(primaries.MaxBy(primary => primary.Weight)!.From);
        }
        finally
        {
            Volatile.Write(ref _looking, 0);
        }
    }

    private async Task<Role> TryRoleAsync(Peer peer)
    {
        try
        {
            return await RoleAsync(peer).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            return new Role(new Answer(peer.Address, null, Problem: error.Message), IsInStep: false);
        }
    }

    // master <offset> <its replicas>   slave <its master's host> <port> <connected, or not> <offset>
    private async Task<Role> RoleAsync(Peer peer)
    {
        await peer.Link.WhenConnectedAsync(CancellationToken.None).ConfigureAwait(Rt.Capture);
        if (peer.Link.Server?.Mode == "cluster")
            _isCluster?.Invoke();
        var role = (await peer.AskAsync("ROLE").ConfigureAwait(Rt.Capture)).Items;
        return role is [{ Text: "master" }, ..]
            ? new Role(new Answer(peer.Address, peer.Address, Weight: role.Count > 2 ? role[2].Items.Count : 0), IsInStep: false)
            : new Role(
                new Answer(
                    peer.Address,
                    null,
                    Problem: role is [_, var host, var port, ..]
                        ? $"a replica of {host.Text}:{port.Text}"
                        : $"a {(role is [var what, ..] ? what : "server without a role")}"
                ),
                IsInStep: role is [{ Text: "slave" }, _, _, { Text: "connected" }, ..]
            );
    }

    private readonly record struct Role(Answer Answer, bool IsInStep);
}
