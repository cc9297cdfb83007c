#pragma warning disable CS1591
namespace Onggi.Events;

/// <summary>The name of a kind of event and the type of its payload. Generated code holds one per event in the catalog.</summary>
/// <typeparam name="TData">The type of the payload.</typeparam>
public sealed class EventType<TData>(string name)
{
    public string Name { get; } = name;

    public override string ToString() => Name;
}
