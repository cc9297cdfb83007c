using System.Runtime.InteropServices;

namespace Onggi.Events;

/// <summary>Which of the last events of a type are wanted; what is left out bounds nothing.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct EventRange
{
    /// <summary>The first number.</summary>
    public long? FromSequence { get; init; }

    /// <summary>The last number.</summary>
    public long? ToSequence { get; init; }

    /// <summary>Not published before, by Redis's clock.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Not published after, by Redis's clock.</summary>
    public DateTimeOffset? To { get; init; }
}
