using System.Threading.Channels;
using Onggi.Events;

namespace Onggi.ServerTests.Events;

/// <summary>A subscription whose events a test takes one by one.</summary>
internal sealed class Heard<TData> : IAsyncDisposable
{
    private readonly Channel<Event<TData>> _events = Channel.CreateUnbounded<Event<TData>>();
    private IAsyncDisposable? _subscription;

    public static async Task<Heard<TData>> ByAsync(ServiceHost service, EventType<TData> type)
    {
        var heard = new Heard<TData>();
        heard._subscription = await service.Events.SubscribeAsync(type, (one, stop) => heard._events.Writer.WriteAsync(one, stop));
        return heard;
    }

    public Task<Event<TData>> NextAsync() => _events.Reader.ReadAsync().AsTask().WaitAsync(ServiceHost.Patience);

    public ValueTask DisposeAsync() => _subscription!.DisposeAsync();
}
