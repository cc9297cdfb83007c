using Onggi.Events;

namespace Onggi.Tests.Caching;

/// <summary>Events that a test makes up.</summary>
internal sealed class FakeEvents : IEventSource, IEventSink
{
    private readonly List<Func<EventNotice, CancellationToken, ValueTask>> _publishing = [];
    private readonly List<Action<EventNotice>> _received = [];
    private readonly List<Action> _interrupted = [];

    public List<object> Notified { get; } = [];

    /// <summary>What each notice waits for.</summary>
    public TaskCompletionSource? Holds { get; set; }

    public int Handlers => _publishing.Count + _received.Count + _interrupted.Count;

    public async Task PublishAsync(string type, string data, Dictionary<string, string>? metadata = null)
    {
        foreach (var handler in _publishing)
            await handler(Notice(type, data, isOwn: true, isForeign: false, metadata), CancellationToken.None);
    }

    public void Receive(string type, string data, bool isOwn = false, bool isForeign = false, Dictionary<string, string>? metadata = null)
    {
        foreach (var handler in _received)
            handler(Notice(type, data, isOwn, isForeign, metadata));
    }

    public void Interrupt()
    {
        foreach (var handler in _interrupted)
            handler();
    }

    public IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler) => Add(_publishing, handler);

    public IDisposable OnReceived(Action<EventNotice> handler) => Add(_received, handler);

    public IDisposable OnInterrupted(Action handler) => Add(_interrupted, handler);

    public async ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default)
    {
        if (Holds is { } holds)
            await holds.Task;
        lock (Notified)
            Notified.Add(data!);
    }

    public ValueTask DeliverAsync<TData>(EventType<TData> type, string id, TData data, CancellationToken cancellationToken = default) =>
        NotifyAsync(type, data, cancellationToken);

    private static EventNotice Notice(string type, string data, bool isOwn, bool isForeign, Dictionary<string, string>? metadata) =>
        new()
        {
            Type = type,
            Source = "elsewhere",
            Metadata = metadata ?? [],
            Data = System.Text.Json.JsonElement.Parse(data),
            IsOwn = isOwn,
            IsForeign = isForeign,
        };

    private static Removal<T> Add<T>(List<T> list, T handler)
    {
        list.Add(handler);
        return new Removal<T>(list, handler);
    }

    private sealed class Removal<T>(List<T> list, T handler) : IDisposable
    {
        public void Dispose() => list.Remove(handler);
    }
}
