using System.Globalization;

namespace Onggi.Events.Streams;

/// <summary>The ids of entries: two numbers of 64 bits, <c>1763800000000-0</c>.</summary>
internal static class StreamIds
{
    /// <summary>The id right before one: what stands behind it begins with that one.</summary>
    /// <exception cref="FormatException">That is no id.</exception>
    public static string Before(string id)
    {
        var hyphen = id.IndexOf('-', StringComparison.Ordinal);
        return
            hyphen > 0
            && ulong.TryParse(id.AsSpan(0, hyphen), NumberStyles.None, CultureInfo.InvariantCulture, out var ms)
            && ulong.TryParse(id.AsSpan(hyphen + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? Before(ms, number)
            : throw new FormatException($"\"{id}\" is no id of a stream's entry; one is for example 1763800000000-0.");
    }

    public static string Before(long ms, ulong number) => Before((ulong)ms, number);

    private static string Before(ulong ms, ulong number) =>
        number > 0 ? $"{ms}-{number - 1}"
        : ms > 0 ? $"{ms - 1}-{ulong.MaxValue}"
        : "0-0";
}
