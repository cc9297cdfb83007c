using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;

namespace Onggi.Sessions;

/// <summary>An event as the scripts wrote it down, and where it stands until it is published; or the handles of sessions whose keys are to be removed.</summary>
internal readonly record struct OutboxEntry(SessionKeys.Shard Shard, byte[] Json, bool IsRepeat, string[]? Ended = null);

/// <summary>Publishes what the scripts of this process wrote into the outbox, and then takes it out there. Nobody waits for it.</summary>
/// <remarks>
/// What is lost here (the process dies, the queue is full, Redis refuses) still stands in Redis, and after <see cref="SessionOptions.RepublishAfter"/> the sweeper of some process publishes
/// it, marked as a repeat. So an event comes at least once, and twice only when the first publisher could not confirm it.
/// </remarks>
internal sealed class SessionOutbox : IAsyncDisposable
{
    private const int Room = 16_384;
    private const int AtATime = 256;

    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(2);

    private readonly SessionStore _store;
    private readonly IEventSink _events;
    private readonly SessionMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Channel<OutboxEntry> _queue;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new(); // Guards the beginning of the loop.
    private Task? _loop;

    public SessionOutbox(SessionStore store, IEventSink events, SessionMetrics metrics, ILogger logger, TimeProvider time)
    {
        _store = store;
        _events = events;
        _metrics = metrics;
        _logger = logger;
        _time = time;
        _queue = Channel.CreateBounded<OutboxEntry>(
            new BoundedChannelOptions(Room) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true }
        );
    }

    /// <summary>A test's: nothing is published here, as if the process had died.</summary>
    internal bool IsDeadForTests { get; set; }

    /// <summary>A test's: the process dies when it is about to publish.</summary>
    internal bool DiesAtPublishForTests { get; set; }

    public void Add(SessionKeys.Shard shard, byte[][] entries, bool areRepeats = false)
    {
        if (entries.Length == 0 || IsDeadForTests)
            return;
        foreach (var entry in entries)
            _queue.Writer.TryWrite(new OutboxEntry(shard, entry, areRepeats));
        Start();
    }

    /// <summary>Removes the keys of sessions that have ended, with the next confirmation. They open nothing any more: this only frees their memory before their time.</summary>
    public void Remove(SessionKeys.Shard shard, string[] ended)
    {
        if (ended.Length == 0 || IsDeadForTests)
            return;
        _queue.Writer.TryWrite(new OutboxEntry(shard, [], false, ended));
        Start();
    }

    /// <summary>Publishes what is queued, for as long as it takes a healthy Redis; the rest is left to others.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        Task? loop;
        lock (_gate)
            loop = _loop ??= Task.CompletedTask;
        try
        {
            await loop.WaitAsync(LongestEnd, _time).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException)
        {
            await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
            await loop.ConfigureAwait(Rt.Quietly);
        }

        _stop.Dispose();
    }

    private void Start()
    {
        if (_loop is not null)
            return;
        lock (_gate)
        {
            if (_loop is not null)
                return;
            using var flow = Rt.WithoutFlow();
            _loop = RunAsync(_stop.Token);
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        var taken = new List<OutboxEntry>(AtATime);
        while (await _queue.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(Rt.Capture) && !stop.IsCancellationRequested)
        {
            taken.Clear();
            while (taken.Count < AtATime && _queue.Reader.TryRead(out var entry))
                taken.Add(entry);
            try
            {
                await PublishAsync(taken, stop).ConfigureAwait(Rt.Capture);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                SessionLog.NotPublished(_logger, taken.Count, failure.Message, failure is RedisException ? null : failure);
            }
        }
    }

    private async ValueTask PublishAsync(List<OutboxEntry> entries, CancellationToken stop)
    {
        if (SessionMutants.ConfirmFirst)
        {
            // mutant: who dies between the two has lost the events.
            await _store.ConfirmAsync(entries, stop).ConfigureAwait(Rt.Capture);
        }

        if (DiesAtPublishForTests)
        {
            IsDeadForTests = true;
            return;
        }

        // All are on their way before the first is waited for.
        var publishing = entries.ConvertAll(entry =>
            (Entry: entry, Task: entry.Ended is null ? DeliverAsync(entry, stop) : Task.CompletedTask)
        );
        var published = new List<OutboxEntry>(entries.Count);
        Exception? failure = null;
        foreach (var (entry, task) in publishing)
        {
            try
            {
                await task.ConfigureAwait(Rt.Capture);
                published.Add(entry);
            }
            catch (Exception refused) when (!stop.IsCancellationRequested)
            {
                // Whatever it is, it is this one's: the others must not be told again for it.
                failure = refused;
            }
        }

        if (failure is not null)
            SessionLog.NotPublished(_logger, entries.Count - published.Count, failure.Message, failure is RedisException ? null : failure);
        if (published.Count > 0 && !IsDeadForTests)
            await _store.ConfirmAsync(published, stop).ConfigureAwait(Rt.Capture);
    }

    private async Task DeliverAsync(OutboxEntry entry, CancellationToken stop)
    {
        var (kind, data, lateness) = Read(entry);
        if (entry.IsRepeat)
            _metrics.Repeated();
        else if (lateness is { } late)
            _metrics.Late(late);
        var type = kind switch
        {
            "created" => OnggiEventTypes.AuthSessionCreated,
            "expired" => OnggiEventTypes.AuthSessionExpired,
            _ => OnggiEventTypes.AuthSessionRevoked,
        };
        await _events.DeliverAsync(type, $"{data.Session}.{kind}", data, stop).ConfigureAwait(Rt.Capture);
    }

    // {"k":"expired","r":"expired","s":"…","u":"…","t":"1795337462123","c":"…","d":"…","p":"…","l":"120"}
    private static (string Kind, SessionEvent Data, TimeSpan? Lateness) Read(OutboxEntry entry)
    {
        var json = JsonElement.Parse(entry.Json);
        string Text(string name) => json.TryGetProperty(name, out var value) ? value.GetString() ?? "" : "";
        DateTimeOffset Time(string name) =>
            long.TryParse(Text(name), CultureInfo.InvariantCulture, out var ms) ? DateTimeOffset.FromUnixTimeMilliseconds(ms) : default;

        var replaces = Text("p");
        var data = new SessionEvent(
            Text("s"),
            Text("u"),
            Text("r"),
            Time("t"),
            Time("c"),
            Text("d"),
            replaces.Length > 0 ? replaces : null,
            entry.IsRepeat
        );
        return (Text("k"), data, long.TryParse(Text("l"), CultureInfo.InvariantCulture, out var ms) ? TimeSpan.FromMilliseconds(ms) : null);
    }
}
