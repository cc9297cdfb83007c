using System.Runtime.CompilerServices;
using System.Text;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Client.Connections;

namespace Onggi.Tests.Caching;

/// <summary>A question on its way.</summary>
internal sealed class FakeRequest(string text, Func<FakeServer, Action> execute, Action<Exception?> complete)
{
    public string Text => text;

    public bool IsTracked { get; init; }

    public bool IsIdempotent { get; init; }

    public bool IsDone { get; set; }

    public ITimer? Timer { get; set; }

    /// <summary>At the server; what comes back is run on the reading loop of the node.</summary>
    public Action Execute(FakeServer server) => execute(server);

    /// <summary>Lets whoever asked go on.</summary>
    public void Complete(Exception? error) => complete(error);
}

/// <summary>A reply or a push in a node's stream.</summary>
internal sealed record FakeFrame(FakeRequest? Request, Action? Reply, Exception? Error, string? Changed)
{
    public static readonly FakeFrame All = new(null, null, null, null);

    public static FakeFrame Push(string name) => new(null, null, null, name);
}

/// <summary>A connection of a node, or the one that all commands share which are not watched.</summary>
internal sealed class FakeConnection(long generation)
{
    public long Generation => generation;

    public bool IsTracked => generation > 0;

    public bool IsOpening { get; set; }

    /// <summary>Whether the server still has it; a node may not know.</summary>
    public bool IsAlive { get; set; } = true;

    /// <summary>Sent and not yet executed.</summary>
    public Queue<FakeRequest> Outbox { get; } = new();

    /// <summary>Sent by the server and not yet read.</summary>
    public Queue<FakeFrame> Inbox { get; } = new();

    /// <summary>Sent, and no reply read.</summary>
    public List<FakeRequest> Pending { get; } = [];
}

/// <summary>A node's way to the fake server. By itself everything is executed and read at once; a test may hold back either, and let go one by one.</summary>
internal sealed class FakeStore : ICacheStore
{
    private readonly FakeServer _server;
    private readonly TimeProvider _time;
    private readonly List<string> _commands = [];
    private readonly List<FakeRequest> _waiting = [];
    private ITrackingSink? _sink;
    private FakeConnection? _connection = new(0);
    private long _generation;
    private bool _reads;

    public FakeStore(FakeServer server, TimeProvider time)
    {
        (_server, _time) = (server, time);
        lock (server.Gate)
            server.Nodes.Add(this);
    }

    public FakeServer Server => _server;

    public bool IsKnownDown
    {
        get => field || _connection is null;
        set;
    }

    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Whether the server is one that watches reads.</summary>
    public bool Watches { get; set; } = true;

    /// <summary>Whether what is sent is executed only when the test says so.</summary>
    public bool HoldsRequests { get; set; }

    /// <summary>Whether replies and pushes are read only when the test says so.</summary>
    public bool HoldsReplies { get; set; }

    /// <summary>Where the continuations of those who asked are put, for the test to run; <c>null</c>: they run at once.</summary>
    public List<Action>? Continuations { get; set; }

    /// <summary>What a command is refused with before it is sent; <c>null</c> lets it pass. Greetings and beats are not asked about.</summary>
    public Func<string, Exception?> Refuse { get; set; } = static _ => null;

    /// <summary>What was asked, as <c>GET k</c>, <c>ASK k …</c>, <c>FILL k v …</c>, <c>PUT k v …</c>, <c>UNLINK k …</c>. Neither greetings nor beats.</summary>
    public IReadOnlyList<string> Commands
    {
        get
        {
            lock (_server.Gate)
                return [.. _commands];
        }
    }

    /// <summary>The thread on which everything is to happen.</summary>
    public int? OnlyThread { get; init; }

    /// <summary>From where it was asked on another.</summary>
    public string? Foreign { get; private set; }

    public int Beats { get; private set; }

    public List<string> Aborts { get; } = [];

    public int Unread => _connection?.Inbox.Count ?? 0;

    public int Unexecuted => _connection?.Outbox.Count ?? 0;

    public bool IsConnected => _connection is not null;

    public TimeSpan LastTimeToLive => _server.LastTimeToLive;

    public string? this[string wireName]
    {
        get => _server[wireName];
        set => _server[wireName] = value;
    }

    public int Count(string verb) => Commands.Count(command => command.StartsWith(verb, StringComparison.Ordinal));

    /// <summary>What is to be executed (0) or read (1) next.</summary>
    public string NextText(int what)
    {
        lock (_server.Gate)
        {
            return what == 0 && _connection?.Outbox.TryPeek(out var request) == true ? request.Text
                : what == 1 && _connection?.Inbox.TryPeek(out var frame) == true ? frame.Request?.Text ?? $"push {frame.Changed}"
                : "";
        }
    }

    // ---- what the test does with the stream

    /// <summary>Executes the oldest request that is held; <c>false</c> when there is none.</summary>
    public bool ExecuteNext()
    {
        lock (_server.Gate)
        {
            if (_connection is not { IsOpening: false } connection || !connection.Outbox.TryDequeue(out var request))
                return false;
            // A connection that the server no longer has swallows what is sent.
            if (connection.IsAlive)
                _server.Execute(connection, request);
        }

        _server.Pump();
        return true;
    }

    /// <summary>Reads the oldest reply or push that is held; <c>false</c> when there is none.</summary>
    public bool ReadNext()
    {
        FakeConnection? connection;
        FakeFrame? frame;
        lock (_server.Gate)
        {
            connection = _connection;
            if (_reads || connection is null || !connection.Inbox.TryDequeue(out frame))
                return false;
            _reads = true;
        }

        try
        {
            Take(connection, frame);
        }
        finally
        {
            lock (_server.Gate)
                _reads = false;
        }

        return true;
    }

    public void ReadAll()
    {
        while (ReadNext()) { }
    }

    /// <summary>Executes and reads what may be.</summary>
    public void Pump()
    {
        while (!HoldsRequests && ExecuteOne()) { }
        while (!HoldsReplies && ReadNext()) { }
    }

    /// <summary>The connection ends: what was under way is asked again on the next where that is harmless, and fails otherwise.</summary>
    public void Break()
    {
        FakeConnection? connection;
        List<FakeRequest> failed;
        lock (_server.Gate)
        {
            connection = _connection;
            if (connection is not { IsTracked: true })
                return;
            _connection = null;
            _server.Forget(connection);
            failed = [.. connection.Pending.Where(static one => !one.IsIdempotent)];
            _waiting.AddRange(connection.Pending.Where(static one => one.IsIdempotent));
        }

        _sink?.Lost(connection.Generation);
        foreach (var request in failed)
            Finish(request, new RedisConnectionException("The connection was lost.", Sent.Maybe));
    }

    /// <summary>The server no longer has the connection, and nobody tells the node.</summary>
    public void Stall()
    {
        lock (_server.Gate)
        {
            if (_connection is not { IsTracked: true } connection)
                return;
            connection.IsAlive = false;
            _server.Forget(connection);
        }
    }

    public void Connect()
    {
        if (_connection is not null)
            return;
        var connection = new FakeConnection(++_generation) { IsOpening = true };
        lock (_server.Gate)
        {
            _connection = connection;
            foreach (var request in _waiting)
            {
                if (request.IsDone)
                    continue;
                connection.Pending.Add(request);
                connection.Outbox.Enqueue(request);
            }

            _waiting.Clear();
        }

        // Nothing is sent before it is told.
        _sink?.Established(connection.Generation);
        lock (_server.Gate)
            connection.IsOpening = false;
        Pump();
    }

    public void Reconnect()
    {
        Break();
        Connect();
    }

    /// <summary>A push that says that everything has changed. Under the gate.</summary>
    public void PushAll()
    {
        if (_connection is { IsTracked: true, IsAlive: true } connection)
            connection.Inbox.Enqueue(FakeFrame.All);
    }

    // ---- the seam

    public ValueTask WhenKnownAsync(CancellationToken cancellationToken) => default;

    public bool TryTrack(ITrackingSink sink, TimeSpan deadAfter)
    {
        if (!Watches)
            return false;
        _sink = sink;
        lock (_server.Gate)
            _connection = null;
        Connect();
        return true;
    }

    public void Abort(string reason)
    {
        Aborts.Add(reason);
        Reconnect();
    }

    public ValueTask HelloAsync(EpochCall call) =>
        SendAsync(
            "HELLO",
            server =>
            {
                var greeting = server.Hello(call.AskedBoundMs);
                return () => call.Take(greeting);
            }
        );

    public ValueTask BeatAsync(EpochCall call)
    {
        Beats++;
        return SendAsync(
            "BEAT",
            server =>
            {
                var epoch = server.Get(FakeServer.EpochName);
                return () => call.Take(epoch);
            }
        );
    }

    public ValueTask<bool> ReadAsync(EntryCall call, CancellationToken cancellationToken)
    {
        var name = call.Asks[0].WireName;
        var value = SendAsync(
                "GET " + name,
                server =>
                {
                    var json = server.Get(name);
                    return () => call.TakeValue(json, isOversized: false);
                },
                tracked: true,
                idempotent: true,
                cancellationToken: cancellationToken
            )
            .AsTask();
        if (value.IsFaulted)
            return new ValueTask<bool>(BothAsync(value, Task.CompletedTask));
        var life = SendAsync(
                "PTTL",
                server =>
                {
                    var left = server.Pttl(name);
                    return () => call.TakeLife(left);
                },
                idempotent: true,
                cancellationToken: cancellationToken
            )
            .AsTask();
        return new ValueTask<bool>(BothAsync(value, life));
    }

    public ValueTask ReadManyAsync(EntryCall call, CancellationToken cancellationToken) =>
        SendAsync(
            "MGET " + Names(call),
            server =>
            {
                var answers = Array.ConvertAll(call.Asks, ask => server.ReadOne(ask));
                return () =>
                {
                    for (var i = 0; i < answers.Length; i++)
                        call.Take(i, new Asked(AskCode.Absent, answers[i].Json, IsOversized: false, answers[i].Left, null));
                };
            },
            tracked: true,
            idempotent: true,
            cancellationToken: cancellationToken
        );

    public ValueTask AskAsync(EntryCall call, in LeaseTerms terms)
    {
        var under = terms;
        return SendAsync(
            "ASK " + Names(call),
            server =>
            {
                var answers = Array.ConvertAll(call.Asks, ask => server.Ask(ask, under));
                return () =>
                {
                    for (var i = 0; i < answers.Length; i++)
                        call.Take(i, answers[i]);
                };
            },
            // Over the connection for large values nothing is watched.
            tracked: !call[0].Family.Policy.Large,
            idempotent: true
        );
    }

    public async ValueTask<bool> WatchLeaseAsync(string wireName)
    {
        var held = false;
        await SendAsync(
                "WATCH " + wireName,
                server =>
                {
                    var found = server.Get(LeaseName.Of(wireName)) is not null;
                    return () => held = found;
                },
                tracked: true,
                idempotent: true
            )
            .ConfigureAwait(false);
        return held;
    }

    public async ValueTask<FillCode[]> FillAsync(string token, IReadOnlyList<FilledEntry> entries, long connection)
    {
        FillCode[] codes = [];
        await SendAsync(
                "FILL " + Texts(entries),
                server =>
                {
                    FillCode[] made = [.. entries.Select(entry => server.Fill(token, entry))];
                    return () => codes = made;
                },
                onlyOn: connection
            )
            .ConfigureAwait(false);
        return codes;
    }

    public async ValueTask<bool[]> RenewAsync(string token, IReadOnlyList<string> wireNames, TimeSpan lease, long connection)
    {
        bool[] done = [];
        await SendAsync(
                (lease == TimeSpan.Zero ? "GIVEBACK " : "RENEW ") + string.Join(' ', wireNames),
                server =>
                {
                    bool[] made = [.. wireNames.Select(name => server.Renew(token, name, lease))];
                    return () => done = made;
                },
                idempotent: connection == 0,
                onlyOn: connection
            )
            .ConfigureAwait(false);
        return done;
    }

    public ValueTask PutAsync(IReadOnlyList<FilledEntry> entries, CancellationToken cancellationToken) =>
        SendAsync(
            "PUT " + Texts(entries),
            server =>
            {
                foreach (var entry in entries)
                    server.Put(entry);
                return static () => { };
            },
            cancellationToken: cancellationToken
        );

    public ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, Action? removed, CancellationToken cancellationToken)
    {
        var names = wireNames.ToArray();
        return SendAsync(
            "UNLINK " + string.Join(' ', names),
            server =>
            {
                foreach (var name in names)
                {
                    server.Delete(name);
                    // mutant: LeaseStays
                    if (!CoherenceMutants.LeaseStays)
                        server.Delete(LeaseName.Of(name));
                }

                return removed ?? (static () => { });
            },
            cancellationToken: cancellationToken
        );
    }

    public RedisBatch NewBatch() => throw new NotSupportedException("Batches are tested on a server.");

    public RedisBatch NewReadBatch() => NewBatch();

    public ValueTask<byte[]?> PeekAsync(string wireName, CancellationToken cancellationToken)
    {
        lock (_server.Gate)
            return new(_server.Get(wireName));
    }

    /// <summary>Runs before each walk over the keys.</summary>
    public Func<string, Task>? BeforeWalk { get; set; }

    public async IAsyncEnumerable<string> ScanAsync(string pattern, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await (BeforeWalk?.Invoke(pattern) ?? Task.CompletedTask);
        foreach (var name in _server.Scan(pattern))
        {
            cancellationToken.ThrowIfCancellationRequested();
            await Task.CompletedTask;
            yield return name;
        }
    }

    // ---- on the way

    private ValueTask SendAsync(
        string text,
        Func<FakeServer, Action> execute,
        bool tracked = false,
        bool idempotent = false,
        long onlyOn = 0,
        CancellationToken cancellationToken = default
    )
    {
        if (OnlyThread is { } only && only != Environment.CurrentManagedThreadId)
            Foreign ??= Environment.StackTrace;
        var isTold = text is not ("HELLO" or "BEAT" or "PTTL");
        if (isTold)
        {
            lock (_server.Gate)
                _commands.Add(text);
            if (Refuse(text) is { } refused)
                return ValueTask.FromException(refused);
        }

        var answer = new TaskCompletionSource(Rt.Signals);
        var request = new FakeRequest(
            text,
            execute,
            error =>
            {
                if (error is null)
                    answer.TrySetResult();
                else
                    answer.TrySetException(error);
            }
        )
        {
            IsTracked = tracked,
            IsIdempotent = idempotent,
        };
        request.Timer = _time.CreateTimer(
            _ => Finish(request, new RedisTimeoutException($"No reply within {CommandTimeout}.", Sent.Maybe)),
            null,
            CommandTimeout,
            Timeout.InfiniteTimeSpan
        );
        bool isElsewhere;
        lock (_server.Gate)
        {
            isElsewhere = onlyOn != 0 && _connection?.Generation != onlyOn;
            if (isElsewhere) { }
            else if (_connection is { } connection)
            {
                connection.Pending.Add(request);
                connection.Outbox.Enqueue(request);
            }
            else
                _waiting.Add(request);
        }

        if (isElsewhere)
            Finish(request, new RedisConnectionException("The connection is over.", Sent.No));
        if (cancellationToken.CanBeCanceled)
            cancellationToken.Register(() => Finish(request, new OperationCanceledException(cancellationToken)));
        Pump();
        return new ValueTask(answer.Task);
    }

    private bool ExecuteOne()
    {
        lock (_server.Gate)
        {
            if (_connection is not { IsOpening: false } connection || !connection.Outbox.TryDequeue(out var request))
                return false;
            if (connection.IsAlive)
                _server.Execute(connection, request);
        }

        foreach (var node in _server.Nodes)
        {
            if (node != this)
                node.Pump();
        }

        return true;
    }

    private void Take(FakeConnection connection, FakeFrame frame)
    {
        if (frame.Request is not { } request)
        {
            if (frame.Changed is { } name)
                _sink?.Invalidated(Encoding.UTF8.GetBytes(name));
            else
                _sink?.InvalidatedAll();
            return;
        }

        // Who has given up is not told.
        if (request.IsDone)
            return;
        lock (_server.Gate)
            connection.Pending.Remove(request);
        frame.Reply?.Invoke();
        Finish(request, frame.Error);
    }

    private void Finish(FakeRequest request, Exception? error)
    {
        lock (_server.Gate)
        {
            if (request.IsDone)
                return;
            request.IsDone = true;
            _connection?.Pending.Remove(request);
        }

        request.Timer?.Dispose();
        if (Continuations is { } later)
            later.Add(() => request.Complete(error));
        else
            request.Complete(error);
    }

    private static async Task<bool> BothAsync(Task first, Task second)
    {
        try
        {
            await first.ConfigureAwait(false);
        }
        finally
        {
            await second.ConfigureAwait(false);
        }

        return true;
    }

    private static string Names(EntryCall call) => string.Join(' ', call.Asks.Select(static ask => ask.WireName));

    private static string Texts(IReadOnlyList<FilledEntry> entries) =>
        string.Join(' ', entries.Select(static entry => $"{entry.WireName} {Encoding.UTF8.GetString(entry.Json.Span)}"));
}
