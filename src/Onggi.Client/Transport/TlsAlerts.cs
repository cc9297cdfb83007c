namespace Onggi.Client.Transport;

/// <summary>The alerts with which a server ends a handshake (RFC 8446, 6.2), as the system's TLS library names them in its errors.</summary>
internal static class TlsAlerts
{
    // What the server says of the certificate that we showed, or did not show. A TLS 1.2 server says "handshake failure" when it misses one.
    private static readonly string[] AboutUs =
    [
        "certificate required",
        "bad certificate",
        "unsupported certificate",
        "certificate revoked",
        "certificate expired",
        "certificate unknown",
        "unknown ca",
        "access denied",
        "decrypt error",
        "handshake failure",
    ];

    // Further ones that the same greeting will meet again.
    private static readonly string[] Lasting =
    [
        "protocol version",
        "insufficient security",
        "unrecognized name",
        "no application protocol",
    ];

    private static readonly string[] Passing = ["internal error", "close notify", "user cancel", "unexpected message", "decode error"];

    /// <summary>The alert's name, or <c>null</c> where none is told.</summary>
    public static string? Find(Exception? error)
    {
        for (; error is not null; error = error.InnerException)
            foreach (var alert in (string[])[.. AboutUs, .. Lasting, .. Passing])
                if (error.Message.Contains("alert " + alert, StringComparison.OrdinalIgnoreCase))
                    return alert;
        return null;
    }

    public static bool IsAboutUs(string alert) => AboutUs.Contains(alert);

    public static bool IsFinal(string alert) => AboutUs.Contains(alert) || Lasting.Contains(alert);
}
