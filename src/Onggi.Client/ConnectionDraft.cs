using System.Globalization;
using System.Net;

namespace Onggi.Client;

/// <summary>A connection string half read: options whose meaning waits for those that follow.</summary>
internal sealed class ConnectionDraft
{
    /// <summary>How a password with a comma is written.</summary>
    public const string CommaForm = "redis://user:password@host:port, the comma as %2C";

    private const int RedisPort = 6379;
    private const int SentinelPort = 26_379;

    private static readonly string[] Known =
    [
        "password",
        "user",
        "name",
        "defaultDatabase",
        "connectTimeout",
        "commandTimeout",
        "syncTimeout",
        "asyncTimeout",
        "keepAlive",
        "ssl",
        "sslHost",
        "tlsCa",
        "tlsCert",
        "tlsKey",
        "serviceName",
        "sentinelUser",
        "sentinelPassword",
        "readFrom",
        "whenFull",
        "abortConnect",
    ];

    private readonly List<(string Host, int? Port)> _servers = [];
    private readonly RedisTlsOptions _tls = new();
    private string? _tlsAskedBy;
    private bool _tlsRefused;

    public RedisClientOptions Options { get; } = new();

    /// <summary>Whether a password has been read: what follows may be its rest.</summary>
    public bool HasSecret => Options.Password is not null || Options.SentinelPassword is not null;

    /// <summary>The URL says whether TLS is spoken.</summary>
    public void Scheme(bool tls) => _tlsAskedBy = tls ? "rediss://" : null;

    public bool HasServers => _servers.Count > 0;

    public void Add(string host, int? port) => _servers.Add((host, port));

    /// <summary>Reads <c>host</c>, <c>host:port</c>, <c>[v6]:port</c> or <c>v6</c>.</summary>
    /// <param name="text">The server.</param>
    /// <param name="forms">What to write instead, for messages.</param>
    /// <param name="inUrl">In a URL without an '@' what looks like a port can be a password: it is not repeated.</param>
    public static (string Host, int? Port) Endpoint(string text, string forms, bool inUrl)
    {
        // An IPv6 address with a port stands in brackets; without a port it needs none.
        var colon = text.LastIndexOf(':');
        var bare = text.AsSpan().Count(':') > 1 && text[0] != '[';
        if (bare && !IPAddress.TryParse(text, out _))
            throw new FormatException($"The server's name holds more than one colon and is no IPv6 address. {forms}");
        if (text.Length == 0 || colon == 0)
            throw new FormatException(
                text.Length == 0 ? $"The connection string names no server. {forms}" : $"There is no host before the port. {forms}"
            );
        if (colon < 0 || bare || text[^1] == ']')
            return (text.Trim('[', ']'), null);
        if (inUrl && !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw new FormatException($"The port in the URL must be a whole number from 1 to 65535. {forms}");
        return (text[..colon].Trim('[', ']'), Number("the port", text[(colon + 1)..], 1, 65_535));
    }

    /// <summary>Takes one option; names ignore case.</summary>
    public void Set(string name, string value)
    {
        switch (name.ToUpperInvariant())
        {
            case "PASSWORD":
                Options.Password = value;
                break;
            case "USER":
                Options.User = value;
                break;
            case "NAME":
                Options.ClientName = ClientName(value);
                break;
            case "DEFAULTDATABASE":
                Options.Database = Number(name, value, 0, 1 << 20);
                break;
            case "CONNECTTIMEOUT":
                Options.ConnectTimeout = Milliseconds(name, value);
                break;
            case "COMMANDTIMEOUT" or "SYNCTIMEOUT" or "ASYNCTIMEOUT":
                Options.CommandTimeout = Milliseconds(name, value);
                break;
            case "KEEPALIVE":
                Options.KeepAlive = TimeSpan.FromSeconds(Number(name, value, 1, 86_400));
                break;
            case "READFROM":
                Options.ReadFrom = OneOf(name, value, ("primary", ReadFrom.Primary), ("preferReplica", ReadFrom.PreferReplica));
                break;
            case "WHENFULL":
                Options.WhenFull = OneOf(name, value, ("reject", WhenFull.Reject), ("wait", WhenFull.Wait));
                break;
            case "ABORTCONNECT":
                // Whether to start without Redis is a question for the host, not for the connection.
                Truth(name, value);
                break;
            default:
                if (!SetSentinel(name, value) && !SetTls(name, value))
                    throw Unknown(name);
                break;
        }
    }

    /// <summary>What was read, when all has been.</summary>
    public RedisClientOptions Finish(string forms)
    {
        if (_servers.Count == 0)
            throw new FormatException($"The connection string names no server. {forms}");
        var usual = Options.SentinelService is null ? RedisPort : SentinelPort;
        RedisAddress[] servers = [.. _servers.Select(server => new RedisAddress(server.Host, server.Port ?? usual)).Distinct()];
        (Options.Host, Options.Port) = servers[0];

        // One server alone stays Host and Port, which code may set anew.
        if (servers.Length > 1 || Options.SentinelService is not null)
            Options.Servers = servers;
        if (Options.SentinelService is null && (Options.SentinelUser ?? Options.SentinelPassword) is not null)
            throw new FormatException(
                "There is a login for Sentinels, but no serviceName. Write serviceName=mymaster, the name that they watch."
            );
        if (_tlsAskedBy is { } asked && _tlsRefused)
            throw new FormatException($"The connection string has {asked} and ssl=false. Leave out one of them.");
        if (_tlsAskedBy is not null)
            Options.Tls = _tls;
        return Options;
    }

    public static int Number(string name, string value, int least, int most) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw new FormatException($"{name} must be a whole number from {least} to {most}, not '{value}'.");

    private bool SetSentinel(string name, string value)
    {
        switch (name.ToUpperInvariant())
        {
            case "SERVICENAME":
                Options.SentinelService = NotEmpty("serviceName", value, "mymaster");
                return true;
            case "SENTINELUSER":
                Options.SentinelUser = value;
                return true;
            case "SENTINELPASSWORD":
                Options.SentinelPassword = value;
                return true;
            default:
                return false;
        }
    }

    private bool SetTls(string name, string value)
    {
        switch (name.ToUpperInvariant())
        {
            case "SSL":
                if (Truth(name, value))
                    _tlsAskedBy ??= "ssl=true";
                else
                    _tlsRefused = true;
                return true;
            case "SSLHOST":
                _tls.ServerName = NotEmpty("sslHost", value, "redis.example.org");
                break;
            case "TLSCA":
                _tls.CertificateAuthorityFile = NotEmpty("tlsCa", value, "/etc/redis/ca.pem");
                break;
            case "TLSCERT":
                _tls.ClientCertificateFile = NotEmpty("tlsCert", value, "/etc/redis/client.pem");
                break;
            case "TLSKEY":
                _tls.ClientKeyFile = NotEmpty("tlsKey", value, "/etc/redis/client.key");
                break;
            default:
                return false;
        }

        // Who names an authority wants it asked.
        _tlsAskedBy ??= $"{name}=…";
        return true;
    }

    // What looks like an option may be the rest of a password with a comma in it.
    private FormatException Unknown(string name) =>
        new(
            HasSecret
                ? $"The connection string has an unknown option after the password. A password with a comma needs the URL form: {CommaForm}. Known are: {string.Join(", ", Known)}."
                : $"The connection string has an unknown option '{name}'.{Suggestion(name)} Known are: {string.Join(", ", Known)}."
        );

    private static string Suggestion(string name)
    {
        foreach (var known in Known)
            if (
                known.StartsWith(name, StringComparison.OrdinalIgnoreCase)
                || name.StartsWith(known, StringComparison.OrdinalIgnoreCase)
                || known.Contains(name, StringComparison.OrdinalIgnoreCase)
            )
                return $" Did you mean '{known}'?";
        return "";
    }

    private static string ClientName(string value) =>
        value.AsSpan().ContainsAny(" \r\n\t")
            ? throw new FormatException("name must not have spaces or line ends: Redis refuses them.")
            : value;

    private static string NotEmpty(string name, string value, string example) =>
        value.Length > 0 ? value : throw new FormatException($"{name} has no value. Write {name}={example}, or leave it out.");

    private static T OneOf<T>(string name, string value, params ReadOnlySpan<(string Word, T Meaning)> words)
    {
        foreach (var (word, meaning) in words)
            if (word.Equals(value, StringComparison.OrdinalIgnoreCase))
                return meaning;
        throw new FormatException($"{name} must be {words[0].Word} or {words[1].Word}, not '{value}'.");
    }

    private static TimeSpan Milliseconds(string name, string value) => TimeSpan.FromMilliseconds(Number(name, value, 1, 3_600_000));

    private static bool Truth(string name, string value) =>
        bool.TryParse(value, out var truth) ? truth : throw new FormatException($"{name} must be true or false, not '{value}'.");
}
