using System.Diagnostics;

namespace PhoneBill.EndToEnd;

internal static class Eventually
{
    // Memory serves an entry for at most one second after it was invalidated elsewhere; the rest is for a busy machine.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Asks again and again, each time with a real call, until the answer is yes; <c>false</c> when it was not in time.</summary>
    public static async Task<bool> IsTrueAsync(Func<Task<bool>> ask)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await ask())
        {
            if (Stopwatch.GetElapsedTime(began) > Patience)
                return false;
        }

        return true;
    }
}
