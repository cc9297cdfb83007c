using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Diagnostics;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing;

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
    private readonly Dictionary<(bool IsPattern, string Name), Topic> _topics = [];

    public SubscriberHub(RedisClientOptions options, LinkSettings settings, ILogger logger, TimeProvider time)
    {
        (_options, _logger, Time) = (options, logger, time);
        _link = new RedisLink(options, settings with { Pushes = this }, logger, time) { Changed = OnChanged };
    }

    public TimeProvider Time { get; }

    /// <summary>Why there is no connection, in a sentence.</summary>
    public string LastError => _link.LastError;

    /// <summary>Records the wish, and asks Redis for it as soon as there is a connection.</summary>
    public RedisSubscription Add(string name, bool isPattern)
    {
        var subscription = new RedisSubscription(this, name, isPattern, _options.SubscriptionBuffer, _options.SubscriptionBufferBytes);
        Topic topic;
        lock (_gate)
        {
            if (!_topics.TryGetValue((isPattern, name), out topic!))
                _topics[(isPattern, name)] = topic = new Topic(name, isPattern);
            topic.Readers = [.. topic.Readers, subscription];
            subscription.Topic = topic;
        }

        _link.Start();

        // Also when the topic was there already: confirming twice is harmless, missing the moment between two connections is not.
        if (_link.IsConnected)
            _ = AskAsync(topic);
        return subscription;
    }

    public async ValueTask RemoveAsync(RedisSubscription subscription)
    {
        var key = (subscription.IsPattern, subscription.Name);
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
            left = SendAsync(subscription.IsPattern ? "punsubscribe" : "unsubscribe", subscription.Name);
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
        if (!push.Read())
            return;
        var isPattern = push.Value.SequenceEqual("pmessage"u8);
        if (!isPattern && !push.Value.SequenceEqual("message"u8))
            return;
        push.Read();
        var name = push.ReadString()!;
        var channel = name;
        if (isPattern)
        {
            push.Read();
            channel = push.ReadString()!;
        }

        push.Read();
        RedisSubscription[] readers;
        lock (_gate)
        {
            if (!_topics.TryGetValue((isPattern, name), out var topic))
                return;
            readers = topic.Readers;
        }

        var message = new RedisMessage { Channel = channel, Payload = push.ReadBytes() };
        foreach (var reader in readers)
            reader.Deliver(message);
    }

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
            topics = [.. _topics.Values];
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
                if (_topics.GetValueOrDefault((topic.IsPattern, topic.Name)) != topic)
                    return;
                connection = topic.Connection;
                asked = SendAsync(topic.IsPattern ? "psubscribe" : "subscribe", topic.Name);
            }

            try
            {
                await asked.ConfigureAwait(Rt.Capture);
                topic.Confirmed(connection);
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
    internal sealed class Topic(string name, bool isPattern)
    {
        private readonly Lock _gate = new();
        private TaskCompletionSource _active = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _wasActive;
        private bool _missed;

        public string Name { get; } = name;

        public bool IsPattern { get; } = isPattern;

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
            bool missed;
            lock (_gate)
            {
                if (connection != Connection)
                    return;
                missed = _missed;
                _missed = false;
                _wasActive = true;
                if (_active.Task.IsFaulted)
                    _active = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _active.TrySetResult();
            }

            if (!missed)
                return;
            foreach (var reader in Readers)
                reader.Interrupt();
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
