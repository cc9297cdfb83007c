using Microsoft.Extensions.Logging;
using Onggi.Client.Diagnostics;

namespace Onggi.Client.Routing.Sentinel;

/// <summary>Finds out which of several servers is the primary, follows it, and knows the replicas that are fit to answer.</summary>
/// <remarks>
/// All who can know are asked at the same time, over connections that stand. What they say is believed only when the server itself says so in its greeting; an address that has just failed is taken
/// again only when nobody names another one.
/// </remarks>
internal abstract class PrimarySource : ServerSource, IAsyncDisposable
{
    // How long a better answer is waited for when there is one that can be old.
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(250);

    private readonly TimeSpan _rhythm;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private RedisAddress? _current;
    private RedisAddress? _doubted;
    private volatile RedisAddress[] _replicas = [];
    private bool _started;

    protected PrimarySource(ILogger logger, TimeProvider time, TimeSpan rhythm)
    {
        (Logger, Time, _rhythm) = (logger, time, rhythm);
        _timer = time.CreateTimer(
            static source => ((PrimarySource)source!).OnTick(),
            this,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan
        );
    }

    /// <summary>Those of which nobody says that they are down or out of step.</summary>
    public IReadOnlyList<RedisAddress> Replicas => _replicas;

    /// <summary>Runs when <see cref="Replicas"/> are others than before. It must not block.</summary>
    public event Action? ReplicasChanged;

    // A failover takes a second or two, and nobody should wait longer than that because nobody asked.
    public override TimeSpan MostPause => LongestPause;

    protected ILogger Logger { get; }

    protected TimeProvider Time { get; }

    /// <summary>Where the primary was last seen, or said to be.</summary>
    protected RedisAddress? Current
    {
        get
        {
            lock (_gate)
                return _current;
        }
    }

    /// <summary>Begins to ask, if that has not been done.</summary>
    public void Start()
    {
        lock (_gate)
        {
            if (_started)
                return;
            _started = true;

            // Under the gate: another link that comes meanwhile must not find that nobody is there to be asked, and wait for them.
            Begin();
        }

        _timer.Change(_rhythm, _rhythm);
    }

    public override async ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken)
    {
        Start();
        var peers = Peers;
        var answers = new Answers(peers.Count);
        foreach (var peer in peers)
            _ = AskAsync(peer, answers);
        await answers.WhenAny.WaitAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        await answers.WhenEnough.WaitAsync(Grace, Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        var all = answers.All;
        var known = all.Where(answer => answer.Primary is not null).ToList();
        if (known.Count == 0)
            throw NobodyKnows(all);
        return known.OrderBy(answer => IsDoubted(answer.Primary!.Value)).ThenByDescending(answer => answer.Weight).First().Primary!.Value;
    }

    public override RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server)
    {
        if (server.Role != "master")
            return new RedisConnectionException(
                $"{address} was named as {this}, but it says that it is a {server.Role}: it was named by one who has not heard of a change yet.",
                Sent.No
            );
        lock (_gate)
        {
            _current = address;
            if (_doubted == address)
                _doubted = null;
        }

        return null;
    }

    public override void Failed(RedisAddress address)
    {
        lock (_gate)
            _doubted = address;
    }

    public virtual ValueTask DisposeAsync() => _timer.DisposeAsync();

    /// <summary>Those who are asked.</summary>
    protected abstract IReadOnlyList<Peer> Peers { get; }

    /// <summary>Connects to those who are asked.</summary>
    protected abstract void Begin();

    /// <summary>Asks one. Never throws for what can go wrong with it.</summary>
    protected abstract Task<Answer> AskAsync(Peer peer);

    /// <summary>Whether the answer needs no comparison with others'.</summary>
    protected abstract bool IsGood(Answer answer);

    /// <summary>Looks again, although nobody asks.</summary>
    protected abstract void OnTick();

    protected abstract RedisConnectionException NobodyKnows(IReadOnlyList<Answer> answers);

    protected bool IsDoubted(RedisAddress address)
    {
        lock (_gate)
            return _doubted == address;
    }

    /// <summary>Somebody whom we believe says that the primary is there now.</summary>
    protected void Found(RedisAddress primary)
    {
        bool isNew;
        lock (_gate)
        {
            isNew = _current is not null && _current != primary;
            _current = primary;
            if (_doubted == primary)
                _doubted = null;
        }

        if (isNew)
            Log.PrimaryMoved(Logger, ToString(), primary);
        TellMoved(primary);
    }

    protected void SetReplicas(IEnumerable<RedisAddress> replicas)
    {
        RedisAddress[] sorted = [.. replicas.Distinct().OrderBy(replica => replica.ToString(), StringComparer.Ordinal)];
        lock (_gate)
        {
            if (sorted.AsSpan().SequenceEqual(_replicas))
                return;
            _replicas = sorted;
        }

        ReplicasChanged?.Invoke();
    }

    private async Task AskAsync(Peer peer, Answers answers)
    {
        Answer answer;
        try
        {
            answer = await AskAsync(peer).ConfigureAwait(Rt.Capture);
        }
        catch (RedisConnectionException error)
        {
            answer = new Answer(peer.Address, null, Problem: error.Message, IsFinal: !error.IsTransient);
        }
        catch (Exception error)
        {
            // The top of its own task: whatever it was, the others may know.
            answer = new Answer(peer.Address, null, Problem: error.Message);
        }

        answers.Add(answer, IsGood(answer));
    }
}
