using System.Globalization;
using Onggi.Client;

namespace Onggi.Cli.Server;

/// <summary>What a server says of itself by INFO, read once.</summary>
internal sealed class ServerInfo
{
    private readonly Dictionary<string, string> _fields;

    private ServerInfo(Dictionary<string, string> fields) => _fields = fields;

    /// <summary>Asks for all sections.</summary>
    /// <exception cref="RedisException">Redis does not answer, or the user may not.</exception>
    public static async Task<ServerInfo> ReadAsync(RedisClient client, CancellationToken cancellationToken) =>
        Parse(await client.SendAsync(["INFO", "everything"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false) ?? "");

    /// <summary>Reads the text of INFO.</summary>
    public static ServerInfo Parse(string text)
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && line[0] != '#')
                fields[line[..colon]] = line[(colon + 1)..];
        }

        return new ServerInfo(fields);
    }

    /// <summary>A field as it stands; <c>null</c> where this server has none of the name.</summary>
    public string? this[string field] => _fields.GetValueOrDefault(field);

    /// <summary>All of them.</summary>
    public IReadOnlyDictionary<string, string> Fields => _fields;

    /// <summary>A field as a number; <c>null</c> where there is none, or it is none.</summary>
    public double? Number(string field) =>
        this[field] is { } text && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>The same for whole numbers.</summary>
    public long? Count(string field) =>
        this[field] is { } text && long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Changes when the server was started anew: what was remembered of it, a cursor say, is worth nothing then.</summary>
    public string RunId => this["run_id"] ?? "";

    /// <summary>Keys by database number, from the keyspace section; empty databases are not in it.</summary>
    public IReadOnlyDictionary<int, long> Databases
    {
        get
        {
            var databases = new SortedDictionary<int, long>();
            foreach (var (name, value) in _fields)
            {
                if (
                    name.StartsWith("db", StringComparison.Ordinal)
                    && int.TryParse(name.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                    && Part(value, "keys") is { } keys
                )
                    databases[number] = keys;
            }

            return databases;
        }
    }

    /// <summary>A part of a field that has several: <c>keys=3,expires=1</c>.</summary>
    public static long? Part(string field, string name)
    {
        foreach (var part in field.Split(','))
        {
            if (
                part.StartsWith(name, StringComparison.Ordinal)
                && part.Length > name.Length
                && part[name.Length] == '='
                && long.TryParse(part.AsSpan(name.Length + 1), NumberStyles.Integer, CultureInfo.InvariantCulture, out var number)
            )
                return number;
        }

        return null;
    }
}
