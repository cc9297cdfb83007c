using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Diagnostics;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing;

/// <summary>What is listened to.</summary>
internal enum SubscriptionKind
{
    Channel,
    Pattern,

    /// <summary>A channel that belongs to a slot, as a key does.</summary>
    Sharded,
}

/// <summary>The process's subscriptions, on a connection of their own.</summary>
/// <remarks>
/// Subscriptions are state, not commands: whenever the link comes up, all of them are asked for again, and every reader is told that messages can have been missed.
/// Their connection is not the one of the commands, because Redis drops a subscriber that reads too slowly, and because published floods must not delay replies.
/// </remarks>
internal sealed class SubscriberHub : IPushSink, IAsyncDisposable
{
    private static readonly TimeSpan PauseWhenBusy = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _stop = new();
    private readonly RedisClientOptions _options;
    private readonly ILogger _logger;
    private readonly RedisLink _link;
    private readonly Lock _gate = new();

    // Guarded by the gate. The key is the kind of subscription and the name of channel or pattern.
    private readonly Dictionary<(SubscriptionKind Kind, string Name), Topic> _topics = [];

    // Guarded by the gate: channels of slots that we are about to leave, so that it is known which end is our own.
    private readonly Dictionary<string, int> _leaving = new(StringComparer.Ordinal);

    public SubscriberHub(RedisClientOptions options, LinkSettings settings, ILogger logger, TimeProvider time)
    {
        (_options, _logger, Time) = (options, logger, time);
        _link = new RedisLink(options, settings with { Pushes = this }, logger, time) { Changed = OnChanged };
    }

    public TimeProvider Time { get; }

    /// <summary>Why there is no connection, in a sentence.</summary>
    public string LastError => _link.LastError;

    /// <summary>The server has sent us elsewhere; in a cluster whoever owns the hubs moves the topic.</summary>
    public Action<Topic, RedisServerException>? Redirected { get; init; }

    /// <summary>Records the wish, and asks Redis for it as soon as there is a connection.</summary>
    public RedisSubscription Add(string name, SubscriptionKind kind)
    {
        var subscription = new RedisSubscription(this, name, kind, _options.SubscriptionBuffer, _options.SubscriptionBufferBytes);
        Topic topic;
        lock (_gate)
        {
            if (!_topics.TryGetValue((kind, name), out topic!))
                _topics[(kind, name)] = topic = new Topic(name, kind);
            topic.Readers = [.. topic.Readers, subscription];
            subscription.Topic = topic;
        }

        Begin(topic);
        return subscription;
    }

    /// <summary>Takes over a topic from another hub, with all that read it.</summary>
    public void Adopt(Topic topic)
    {
        lock (_gate)
        {
            foreach (var reader in topic.Readers)
                reader.Hub = this;
            _topics[(topic.Kind, topic.Name)] = topic;
        }

        Begin(topic);

        // Who left while it belonged to nobody was not found anywhere.
        foreach (var reader in topic.Readers)
            if (reader.IsOver)
                _ = RemoveAsync(reader).AsTask();
    }

    /// <summary>Gives a topic away; <c>false</c> when it is not here any more.</summary>
    public bool TryGiveAway(Topic topic)
    {
        lock (_gate)
        {
            if (_topics.GetValueOrDefault((topic.Kind, topic.Name)) != topic)
                return false;
            _topics.Remove((topic.Kind, topic.Name));
        }

        topic.Lost();
        if (_link.IsConnected)
            _ = LeaveAsync(topic);
        return true;
    }

    private async Task LeaveAsync(Topic topic)
    {
        try
        {
            await SendAsync("sunsubscribe", topic.Name).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // It no longer has the channel.
        }
    }

    private void Begin(Topic topic)
    {
        _link.Start();

        // Also when the topic was there already: confirming twice is harmless, missing the moment between two connections is not.
        if (_link.IsConnected)
            _ = AskAsync(topic);
    }

    public async ValueTask RemoveAsync(RedisSubscription subscription)
    {
        var key = (subscription.Kind, subscription.Name);
        ValueTask<bool> left;
        lock (_gate)
        {
            if (!_topics.TryGetValue(key, out var topic) || !topic.Readers.Contains(subscription))
                return;
            topic.Readers = [.. topic.Readers.Where(reader => reader != subscription)];
            if (topic.Readers.Length > 0)
                return;
            _topics.Remove(key);
            if (!_link.IsConnected)
                return;

            // Under the gate, so that it stands on the wire before the SUBSCRIBE of whoever comes next.
            if (subscription.Kind == SubscriptionKind.Sharded)
                _leaving[subscription.Name] = _leaving.GetValueOrDefault(subscription.Name) + 1;
            left = SendAsync(Words(subscription.Kind).Leave, subscription.Name);
        }

        try
        {
            await left.ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // The connection has gone, and with it the subscription.
        }
    }

    public void OnPush(ref RespReader push)
    {
        try
        {
            Deliver(ref push);
        }
        catch (RedisReplyException)
        {
            // A push of a shape that we do not know is passed over: it answers nobody.
        }
    }

    private void Deliver(ref RespReader push)
    {
        // >3 message <channel> <payload>   >4 pmessage <pattern> <channel> <payload>   and the confirmations, which the connection has matched already
        if (!push.Read() || KindOf(push.Value, out var ended) is not { } kind)
            return;
        push.Read();
        var name = push.ReadString()!;
        if (ended)
        {
            OnEnded(name);
            return;
        }

        var channel = name;
        if (kind == SubscriptionKind.Pattern)
        {
            push.Read();
            channel = push.ReadString()!;
        }

        push.Read();
        Topic? topic;
        lock (_gate)
            if (!_topics.TryGetValue((kind, name), out topic))
                return;

        // The confirmation may still be on its way to whoever asked: a message is one too.
        topic.TellMissed();
        var readers = topic.Readers;

        var message = new RedisMessage { Channel = channel, Payload = push.ReadBytes() };
        foreach (var reader in readers)
            reader.Deliver(message);
    }

    private static SubscriptionKind? KindOf(ReadOnlySpan<byte> push, out bool ended)
    {
        ended = push.SequenceEqual("sunsubscribe"u8);
        return push.SequenceEqual("message"u8) ? SubscriptionKind.Channel
            : push.SequenceEqual("pmessage"u8) ? SubscriptionKind.Pattern
            : ended || push.SequenceEqual("smessage"u8) ? SubscriptionKind.Sharded
            : null;
    }

    // >3 sunsubscribe <channel> <count>: we have left; or the slot has, and the channel with it.
    private void OnEnded(string name)
    {
        Topic? topic;
        lock (_gate)
        {
            if (_leaving.Remove(name, out var leaving))
            {
                if (leaving > 1)
                    _leaving[name] = leaving - 1;
                return;
            }

            if (!_topics.TryGetValue((SubscriptionKind.Sharded, name), out topic))
                return;
        }

        topic.Lost();
        _ = AskAsync(topic);
    }

    private static (string Join, string Leave) Words(SubscriptionKind kind) =>
        kind switch
        {
            SubscriptionKind.Pattern => ("psubscribe", "punsubscribe"),
            SubscriptionKind.Sharded => ("ssubscribe", "sunsubscribe"),
            _ => ("subscribe", "unsubscribe"),
        };

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _link.DisposeAsync().ConfigureAwait(Rt.Capture);
        RedisSubscription[] readers;
        lock (_gate)
        {
            readers = [.. _topics.Values.SelectMany(topic => topic.Readers)];
            foreach (var topic in _topics.Values)
                topic.Fail(new RedisConnectionException("The client was disposed.", Sent.No, isTransient: false));
            _topics.Clear();
        }

        foreach (var reader in readers)
            reader.Complete();
    }

    private void OnChanged(bool connected)
    {
        Topic[] topics;
        lock (_gate)
        {
            topics = [.. _topics.Values];
            _leaving.Clear();
        }

        foreach (var topic in topics)
        {
            if (connected)
                _ = AskAsync(topic);
            else
                topic.Lost();
        }
    }

    private async Task AskAsync(Topic topic)
    {
        while (true)
        {
            ValueTask<bool> asked;
            int connection;
            lock (_gate)
            {
                if (_topics.GetValueOrDefault((topic.Kind, topic.Name)) != topic)
                    return;
                connection = topic.Connection;
                asked = SendAsync(Words(topic.Kind).Join, topic.Name);
            }

            try
            {
                await asked.ConfigureAwait(Rt.Capture);
                topic.Confirmed(connection);
                return;
            }
            catch (RedisServerException error) when (error is { Code: "MOVED" } or { IsTransient: true } && Redirected is not null)
            {
                Redirected(topic, error);
                if (!await PauseAsync(PauseWhenBusy).ConfigureAwait(Rt.Capture))
                    return;
            }
            catch (RedisServerException error)
            {
                // Permissions change: whoever still wants it, wants it then.
                Log.SubscriptionRefused(_logger, topic.Name, error.Message);
                topic.Fail(error);
                if (!await PauseAsync(_options.PauseAfterRefusal).ConfigureAwait(Rt.Capture))
                    return;
            }
            catch (RedisBusyException)
            {
                // More channels than one connection takes at a time: the rest in a moment.
                if (!await PauseAsync(PauseWhenBusy).ConfigureAwait(Rt.Capture))
                    return;
            }
            catch (RedisTimeoutException) when (_link.IsConnected)
            {
                // Redis hangs, but the connection may survive that: then nobody else asks again. Confirming twice is harmless.
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                // The connection has gone: when it is back, everything is asked for again.
                return;
            }
        }
    }

    // False when the hub has ended meanwhile.
    private async ValueTask<bool> PauseAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, Time, _stop.Token).ConfigureAwait(Rt.Capture);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private ValueTask<bool> SendAsync(string kind, string name) =>
        _link.SendAsync(
            new Command([kind.ToUpperInvariant(), name]),
            ReplyParsers.Ignore,
            CancellationToken.None,
            new PushConfirmation(kind, name)
        );

    /// <summary>One channel or pattern, and those of this process who read it.</summary>
    internal sealed class Topic(string name, SubscriptionKind kind)
    {
        private readonly Lock _gate = new();
        private TaskCompletionSource _active = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _wasActive;
        private volatile bool _missed;

        public string Name { get; } = name;

        public SubscriptionKind Kind { get; } = kind;

        /// <summary>Replaced as a whole under the hub's gate, read without it.</summary>
        public RedisSubscription[] Readers { get; set; } = [];

        /// <summary>Ends when Redis has confirmed; begins anew with every connection.</summary>
        public Task Active
        {
            get
            {
                lock (_gate)
                    return _active.Task;
            }
        }

        /// <summary>Counts the connections: a confirmation counts only on the one that it was asked on.</summary>
        public int Connection { get; private set; }

        public void Confirmed(int connection)
        {
            lock (_gate)
            {
                if (connection != Connection)
                    return;
                _wasActive = true;
                if (_active.Task.IsFaulted)
                    _active = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _active.TrySetResult();
            }

            TellMissed();
        }

        /// <summary>Tells the readers that messages can have been missed, if they can, before anything else reaches them.</summary>
        public void TellMissed()
        {
            if (!_missed)
                return;
            lock (_gate)
            {
                if (!_missed)
                    return;
                _missed = false;
                foreach (var reader in Readers)
                    reader.Interrupt();
            }
        }

        public void Lost()
        {
            lock (_gate)
            {
                Connection++;
                _missed |= _wasActive;
                if (_active.Task.IsCompleted)
                    _active = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        public void Fail(Exception error)
        {
            lock (_gate)
            {
                _active.TrySetException(error);
                _ = _active.Task.Exception;
            }
        }
    }
}
