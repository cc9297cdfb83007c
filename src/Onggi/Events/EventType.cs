namespace Onggi.Events;

/// <summary>The name of a kind of event and the type of its payload. Generated code holds one per event in the catalog.</summary>
/// <typeparam name="TData">The type of the payload.</typeparam>
public sealed class EventType<TData>
{
    /// <summary>Names a kind of event.</summary>
    /// <param name="name">As in the catalog, for example <c>user.updated</c>.</param>
    /// <exception cref="ArgumentException">The name is null or empty.</exception>
    public EventType(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        Name = name;
    }

    /// <summary>The name in the catalog, for example <c>user.updated</c>.</summary>
    public string Name { get; }

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
