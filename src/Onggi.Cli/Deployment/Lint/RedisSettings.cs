using Onggi.Cli.Configuration;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>A redis.conf or a sentinel.conf in a ConfigMap.</summary>
/// <param name="Object">The ConfigMap.</param>
/// <param name="Key">Under which name it stands there.</param>
/// <param name="Part">Where it stands.</param>
/// <param name="File">What it says; lines are those of the manifest.</param>
internal sealed record RedisSettings(ManifestObject Object, string Key, YamlPart Part, ConfFile File)
{
    public bool IsSentinel => Key.Contains("sentinel", StringComparison.OrdinalIgnoreCase);

    /// <summary>Those of a ConfigMap.</summary>
    /// <exception cref="ToolException">Quotes do not end; the message says where.</exception>
    public static IEnumerable<RedisSettings> In(ManifestObject map) =>
        from field in map.Root["data"].Fields
        where field.Value.Text is not null && IsName(field.Name)
        select new RedisSettings(
            map,
            field.Name,
            field.Value,
            ConfFile.Parse(field.Value.File, field.Value.Text!, field.Value.FirstTextLine ?? field.Value.Line)
        );

    /// <summary>A size that it sets, in bytes; <c>null</c> where it does not, or where it is none.</summary>
    public long? Bytes(string name) => File[name] is { Values: [var value, ..] } ? ConfFile.Bytes(value) : null;

    /// <summary>A number that it sets; <c>null</c> where it does not, or where it is none.</summary>
    public long? Number(string name) => File[name] is { Values: [var value, ..] } && long.TryParse(value, out var number) ? number : null;

    public bool Is(string name, string value) => string.Equals(File[name]?.Value, value, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether anything of the data is written to disk: then Redis forks, and what changes meanwhile is there twice.</summary>
    public bool Persists => Is("appendonly", "yes") || SavesSnapshots;

    // Without a line Redis saves by itself.
    private bool SavesSnapshots => File["save"] is not { } save || save.Value.Length > 0;

    /// <summary>Whether TLS is the only way in, TLS is there beside the plain one, or there is none.</summary>
    public bool HasTls => Number("tls-port") is > 0;

    public bool HasPlain => Number("port") is not 0;

    private static bool IsName(string key) =>
        key.EndsWith(".conf", StringComparison.Ordinal)
        && (
            key.StartsWith("redis", StringComparison.Ordinal)
            || key.Contains("sentinel", StringComparison.Ordinal)
            || key.StartsWith("valkey", StringComparison.Ordinal)
        );
}
