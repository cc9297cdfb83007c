using System.Collections.Immutable;

namespace Onggi.Events;

/// <summary>Callbacks of the features; read on every event, changed almost never.</summary>
internal sealed class HandlerList<THandler>
    where THandler : Delegate
{
    private ImmutableArray<THandler> _handlers = [];

    public ImmutableArray<THandler> Handlers => _handlers;

    /// <summary>Adds a callback until the result is disposed.</summary>
    public IDisposable Add(THandler handler)
    {
        ArgumentNullException.ThrowIfNull(handler);
        ImmutableInterlocked.Update(ref _handlers, static (all, added) => all.Add(added), handler);
        return new Registration(this, handler);
    }

    private sealed class Registration(HandlerList<THandler> list, THandler handler) : IDisposable
    {
        private THandler? _handler = handler;

        public void Dispose()
        {
            // Once only: the same delegate may be registered twice.
            if (Interlocked.Exchange(ref _handler, null) is { } mine)
                ImmutableInterlocked.Update(ref list._handlers, static (all, removed) => all.Remove(removed), mine);
        }
    }
}
