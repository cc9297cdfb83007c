namespace Onggi.Keys.Catalog;

/// <summary>Names that are Onggi's own in every keyspace.</summary>
internal static class BuiltInNames
{
    /// <summary>The name of the built-in family of system keys.</summary>
    public const string SystemFamily = "onggi";

    /// <summary>Events that Onggi publishes itself.</summary>
    public static readonly string[] Events =
    [
        "cache.invalidated",
        "cache.warmed",
        "auth.token_issued",
        "auth.token_revoked",
        "auth.session_created",
        "auth.session_expired",
        "auth.session_revoked",
    ];
}
