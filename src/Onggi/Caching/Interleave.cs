namespace Onggi.Caching;

/// <summary>Places between two steps of an algorithm at which a test may let something else happen.</summary>
/// <remarks>
/// Off unless the switch <c>Onggi.Interleave</c> is set before the first use of this class (<c>AppContext.SetSwitch("Onggi.Interleave", true)</c>).
/// Off, it is a constant to the compiler at run time, and a guarded call costs nothing: write <c>if (Interleave.IsOn) Interleave.Point("…")</c>.
/// </remarks>
internal static class Interleave
{
    public static readonly bool IsOn = AppContext.TryGetSwitch("Onggi.Interleave", out var on) && on;

    /// <summary>What happens at a point, which it is told by name; <c>null</c> for nothing. It runs on the thread that came by.</summary>
    public static Action<string>? Hook;

    public static void Point(string name) => Volatile.Read(ref Hook)?.Invoke(name);
}
