namespace Onggi.AspNetCore.Sessions;

/// <summary>Makes a few words of a <c>User-Agent</c>: for a list in which people look for the one that is not theirs. It proves nothing.</summary>
internal static class DeviceName
{
    // The first that is found counts: all of them say that they are others, too.
    private static readonly (string Mark, string Name)[] Browsers =
    [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox", "Firefox"),
        ("FxiOS", "Firefox"),
        ("Chrome", "Chrome"),
        ("CriOS", "Chrome"),
        ("Safari", "Safari"),
        ("curl", "curl"),
    ];

    private static readonly (string Mark, string Name)[] Systems =
    [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];

    public static string Of(string userAgent)
    {
        var browser = Find(Browsers, userAgent);
        var system = Find(Systems, userAgent);
        return (browser, system) switch
        {
            (null, null) => "",
            (null, { } known) => known,
            ({ } known, null) => known,
            _ => $"{browser} on {system}",
        };
    }

    private static string? Find((string Mark, string Name)[] known, string userAgent) =>
        Array.Find(known, one => userAgent.Contains(one.Mark, StringComparison.Ordinal)).Name;
}
