using System.Collections.Concurrent;
using System.Text;
using Onggi.Caching;
using Onggi.Events;

namespace Onggi.Tests.Caching;

/// <summary>A Redis in a dictionary, whose answers a test can hold back. Commands are executed in the order in which they were handed over.</summary>
internal sealed class FakeStore : ICacheStore
{
    private readonly ConcurrentDictionary<string, byte[]> _values = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _commands = new();

    public bool IsKnownDown { get; set; }

    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Runs after a command was executed and before its answer arrives: wait in it to hold the answer back, throw to lose it.</summary>
    public Func<string, Task> Answering { get; set; } = static _ => Task.CompletedTask;

    /// <summary>What arrived, as <c>GET k</c>, <c>SET k v PX ms</c>, <c>UNLINK k</c>.</summary>
    public IReadOnlyList<string> Commands => [.. _commands];

    public TimeSpan LastTimeToLive { get; private set; }

    public string? this[string wireName]
    {
        get => _values.TryGetValue(wireName, out var json) ? Encoding.UTF8.GetString(json) : null;
        set
        {
            if (value is null)
                _values.TryRemove(wireName, out _);
            else
                _values[wireName] = Encoding.UTF8.GetBytes(value);
        }
    }

    public int Count(string verb) => _commands.Count(command => command.StartsWith(verb, StringComparison.Ordinal));

    public async ValueTask<StoredValue> GetAsync(string wireName, CancellationToken cancellationToken)
    {
        var value = Read(wireName);
        await AnswerAsync("GET " + wireName, cancellationToken);
        return value;
    }

    public async ValueTask<StoredValue[]> GetManyAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken)
    {
        var names = wireNames.ToArray();
        var values = Array.ConvertAll(names, Read);
        await AnswerAsync("MGET " + string.Join(' ', names), cancellationToken);
        return values;
    }

    public async ValueTask SetAsync(string wireName, ReadOnlyMemory<byte> json, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        _values[wireName] = json.ToArray();
        LastTimeToLive = timeToLive;
        await AnswerAsync($"SET {wireName} {Encoding.UTF8.GetString(json.Span)}", cancellationToken);
    }

    public async ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken)
    {
        var names = wireNames.ToArray();
        foreach (var name in names)
            _values.TryRemove(name, out _);
        await AnswerAsync("UNLINK " + string.Join(' ', names), cancellationToken);
    }

    private StoredValue Read(string wireName) => new(_values.GetValueOrDefault(wireName), IsOversized: false);

    private async Task AnswerAsync(string command, CancellationToken cancellationToken)
    {
        _commands.Enqueue(command);
        await Answering(command).WaitAsync(cancellationToken);
    }
}

/// <summary>Events that a test makes up.</summary>
internal sealed class FakeEvents : IEventSource, IEventSink
{
    private readonly List<Func<EventNotice, CancellationToken, ValueTask>> _publishing = [];
    private readonly List<Action<EventNotice>> _received = [];
    private readonly List<Action> _interrupted = [];

    public List<object> Notified { get; } = [];

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

    public ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default)
    {
        lock (Notified)
            Notified.Add(data!);
        return ValueTask.CompletedTask;
    }

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
