using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Onggi.Events;

/// <summary>A place among the events of one type: behind the last one that was handled. Who keeps it together with what the handler does goes on there after a restart, see <see cref="SubscribeOptions.After"/>.</summary>
/// <remarks>As text it fits into one column or key; <see cref="ToString"/> writes it and <see cref="TryParse"/> reads it.</remarks>
/// <param name="Epoch">Which count the number belongs to.</param>
/// <param name="Sequence">The number of the last event that was handled.</param>
/// <param name="Id">Its id: a failover can give a number twice. Empty where it is not known.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct EventPosition(string Epoch, long Sequence, string Id)
{
    private const char Separator = '/';

    /// <summary>The position as text: <c>number/epoch/id</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Sequence}/{Epoch}/{Id}");

    /// <summary>Reads what <see cref="ToString"/> wrote.</summary>
    /// <param name="text">The text; <c>null</c> and empty are no position, as before the first event.</param>
    /// <param name="position">The position; <c>default</c> where there is none.</param>
    /// <returns>Whether it is one.</returns>
    public static bool TryParse([NotNullWhen(true)] string? text, out EventPosition position)
    {
        position = default;
        if (text?.Split(Separator, 3) is not [var number, { Length: > 0 } epoch, var id])
            return false;
        if (!long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence))
            return false;
        position = new EventPosition(epoch, sequence, id);
        return true;
    }
}
