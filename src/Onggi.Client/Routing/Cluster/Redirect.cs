using System.Globalization;

namespace Onggi.Client.Routing.Cluster;

/// <summary>A node's answer that another one has the slot: <c>MOVED 3999 127.0.0.1:6381</c> (from now on) or <c>ASK 3999 127.0.0.1:6381</c> (this once, behind ASKING).</summary>
/// <param name="Ask">Whether it is for this once.</param>
/// <param name="Slot">The slot of the command's keys.</param>
/// <param name="To">Who has it; <c>null</c> when the node does not know that one's name, so that the slot map must be asked for.</param>
internal readonly record struct Redirect(bool Ask, int Slot, RedisAddress? To)
{
    /// <summary>Reads the error of a node.</summary>
    /// <param name="error">The error, without the leading type byte.</param>
    /// <param name="asked">Who said it: where the host is left out it is the same.</param>
    /// <param name="redirect">What it says.</param>
    /// <returns><c>false</c> when it is another error.</returns>
    public static bool TryParse(ReadOnlySpan<char> error, RedisAddress asked, out Redirect redirect)
    {
        redirect = default;
        var ask = error.StartsWith("ASK ", StringComparison.Ordinal);
        if (!ask && !error.StartsWith("MOVED ", StringComparison.Ordinal))
            return false;
        var words = error[(ask ? 4 : 6)..];
        var space = words.IndexOf(' ');
        if (space < 0 || !TryNumber(words[..space], HashSlot.Count - 1, out var slot))
            return false;

        // An IPv6 address stands there without brackets, so the port is behind the last colon.
        var node = words[(space + 1)..];
        var colon = node.LastIndexOf(':');
        if (colon < 0 || !TryNumber(node[(colon + 1)..], ushort.MaxValue, out var port))
            return false;
        var host = node[..colon].Trim("[]");
        redirect = new Redirect(
            ask,
            slot,
            host is "?" ? null
                : host.IsEmpty ? asked with { Port = port }
                : new RedisAddress(host.ToString(), port)
        );
        return true;
    }

    private static bool TryNumber(ReadOnlySpan<char> digits, int most, out int number) =>
        int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= most;
}
