using System.Globalization;

namespace Onggi.Cli.Operations;

/// <summary>A connection, as a line of CLIENT LIST has it: <c>id=3 addr=127.0.0.1:50126 name=auth … cmd=get user=auth</c>.</summary>
internal sealed class ClientLine
{
    private readonly Dictionary<string, string> _fields;

    private ClientLine(Dictionary<string, string> fields) => _fields = fields;

    public long Id => Number("id");

    public string Address => _fields.GetValueOrDefault("addr", "");

    /// <summary>What it calls itself; empty for nothing.</summary>
    public string Name => _fields.GetValueOrDefault("name", "");

    /// <summary>As whom it has logged in.</summary>
    public string User => _fields.GetValueOrDefault("user", "");

    /// <summary>Name and version of its library, where it said (Redis 7.2 or later); empty for nothing.</summary>
    public string Library =>
        _fields.GetValueOrDefault("lib-name", "") is { Length: > 0 } name
            ? $"{name} {_fields.GetValueOrDefault("lib-ver", "")}".Trim()
            : "";

    public TimeSpan Age => TimeSpan.FromSeconds(Number("age"));

    /// <summary>Since its last command.</summary>
    public TimeSpan Idle => TimeSpan.FromSeconds(Number("idle"));

    /// <summary>Its last command.</summary>
    public string Command => _fields.GetValueOrDefault("cmd", "");

    /// <summary>What of it waits to be read by the server.</summary>
    public long InBytes => Number("qbuf");

    /// <summary>What waits to be read by it.</summary>
    public long OutBytes => Number("omem");

    /// <summary>What it costs the server in all.</summary>
    public long Bytes => Number("tot-mem");

    /// <summary>To how many channels and patterns it listens.</summary>
    public long Subscriptions => Number("sub") + Number("psub") + Number("ssub");

    /// <summary>Whether the server tells it of changes of keys.</summary>
    public bool IsTracking => _fields.GetValueOrDefault("flags", "").Contains('t', StringComparison.Ordinal);

    /// <summary>Reads the answer to CLIENT LIST.</summary>
    public static IReadOnlyList<ClientLine> Parse(string text) =>
        [
            .. text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(static line => new ClientLine(
                    line.Split(' ')
                        .Select(static field => field.Split('=', 2))
                        .Where(static field => field.Length == 2)
                        .GroupBy(static field => field[0], StringComparer.Ordinal)
                        .ToDictionary(static group => group.Key, static group => group.First()[1], StringComparer.Ordinal)
                )),
        ];

    private long Number(string field) =>
        long.TryParse(_fields.GetValueOrDefault(field, "0"), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : 0;
}
