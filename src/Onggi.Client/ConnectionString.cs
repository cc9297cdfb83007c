using System.Buffers;
using System.Globalization;
using System.Net;

namespace Onggi.Client;

/// <summary>Reads the two forms of a connection string.</summary>
/// <remarks>
/// <c>host:port,password=…,user=…,name=…</c> is what StackExchange.Redis has made familiar; options of it that mean nothing here are named in the message.
/// <c>redis://user:password@host:port/0?name=…</c> is the IANA scheme (https://www.iana.org/assignments/uri-schemes/prov/redis). Messages never repeat a value that can be secret.
/// </remarks>
internal static class ConnectionString
{
    private const string Forms = "Write host:port,password=… or redis://user:password@host:port.";

    private static readonly SearchValues<char> SchemeCharacters = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."
    );

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
        "abortConnect",
    ];

    public static RedisClientOptions Parse(string text)
    {
        if (string.IsNullOrWhiteSpace(text))
            throw new FormatException($"The connection string is empty. {Forms}");
        text = text.Trim();
        return HasScheme(text) ? ParseUrl(text) : ParseList(text);
    }

    // A password in the list form may hold "://" too: only letters in front of it make a URL.
    private static bool HasScheme(string text) =>
        text.IndexOf("://", StringComparison.Ordinal) is var end and > 0 && text.AsSpan(0, end).IndexOfAnyExcept(SchemeCharacters) < 0;

    private static RedisClientOptions ParseUrl(string text)
    {
        var scheme = text[..text.IndexOf("://", StringComparison.Ordinal)];
        if (scheme.Equals("rediss", StringComparison.OrdinalIgnoreCase))
            throw NoTls();
        if (!scheme.Equals("redis", StringComparison.OrdinalIgnoreCase))
            throw new FormatException($"The connection string begins with {scheme}://. {Forms}");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Host.Length == 0)
            throw new FormatException(
                "The connection string is not a valid URL. Write redis://user:password@host:port; percent-encode special characters in the password."
            );
        var options = new RedisClientOptions { Host = url.IdnHost.Trim('[', ']') };
        if (url.Port >= 0)
            options.Port = Port(url.Port.ToString(CultureInfo.InvariantCulture));
        ReadUserInfo(options, url.UserInfo);
        var path = url.AbsolutePath.Trim('/');
        if (path.Length > 0)
            options.Database = Number("the database in the URL's path", path, 0, 1 << 20);
        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
            Apply(options, Uri.UnescapeDataString(pair));
        return options;
    }

    private static void ReadUserInfo(RedisClientOptions options, string userInfo)
    {
        if (userInfo.Length == 0)
            return;
        var colon = userInfo.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
            throw new FormatException(
                "The URL has a user without a password. Write redis://user:password@host, or redis://:password@host for the default user."
            );
        if (colon > 0)
            options.User = Uri.UnescapeDataString(userInfo[..colon]);
        options.Password = Uri.UnescapeDataString(userInfo[(colon + 1)..]);
    }

    private static RedisClientOptions ParseList(string text)
    {
        var options = new RedisClientOptions();
        var parts = text.Split(',', StringSplitOptions.TrimEntries);
        var endpoints = 0;
        foreach (var part in parts)
        {
            if (part.Length == 0)
                continue;
            if (part.Contains('=', StringComparison.Ordinal))
            {
                Apply(options, part);
                continue;
            }

            if (++endpoints > 1)
                throw new FormatException(
                    "The connection string names more than one server. Name one: replicas, Sentinel and Cluster are not supported yet."
                );
            Endpoint(options, part);
        }

        return endpoints == 1 ? options : throw new FormatException($"The connection string names no server. {Forms}");
    }

    private static void Endpoint(RedisClientOptions options, string part)
    {
        // Not repeated in the message: what stands before an @ is often a password.
        if (part.Contains('@', StringComparison.Ordinal))
            throw new FormatException(
                "The server's name holds an '@'. Give user and password as user=…,password=…, or write a URL: redis://user:password@host:port."
            );

        // An IPv6 address with a port stands in brackets; without a port it needs none.
        var colon = part.LastIndexOf(':');
        var bare = part.AsSpan().Count(':') > 1 && part[0] != '[';
        if (bare && !IPAddress.TryParse(part, out _))
            throw new FormatException($"The server's name holds more than one colon and is no IPv6 address. {Forms}");
        if (colon < 0 || bare || part[^1] == ']')
        {
            options.Host = part.Trim('[', ']');
            return;
        }

        options.Host = part[..colon].Trim('[', ']');
        options.Port = Port(part[(colon + 1)..]);
        if (options.Host.Length == 0)
            throw new FormatException($"There is no host before the port. {Forms}");
    }

    private static void Apply(RedisClientOptions options, string pair)
    {
        var equals = pair.IndexOf('=', StringComparison.Ordinal);
        var (name, value) = equals < 0 ? (pair, "") : (pair[..equals].Trim(), pair[(equals + 1)..].Trim());
        switch (name.ToUpperInvariant())
        {
            case "PASSWORD":
                options.Password = value;
                break;
            case "USER":
                options.User = value;
                break;
            case "NAME":
                options.ClientName = ClientName(value);
                break;
            case "DEFAULTDATABASE":
                options.Database = Number(name, value, 0, 1 << 20);
                break;
            case "CONNECTTIMEOUT":
                options.ConnectTimeout = Milliseconds(name, value);
                break;
            case "COMMANDTIMEOUT" or "SYNCTIMEOUT" or "ASYNCTIMEOUT":
                options.CommandTimeout = Milliseconds(name, value);
                break;
            case "KEEPALIVE":
                options.KeepAlive = TimeSpan.FromSeconds(Number(name, value, 1, 86_400));
                break;
            case "SSL":
                if (Truth(name, value))
                    throw NoTls();
                break;
            case "ABORTCONNECT":
                // Whether to start without Redis is a question for the host, not for the connection.
                Truth(name, value);
                break;
            default:
                // What looks like an option may be the rest of a password with a comma in it.
                if (options.Password is not null)
                    throw new FormatException(
                        $"The connection string has an unknown option after the password. A password with a comma needs the URL form: redis://user:password@host:port, the comma as %2C. Known are: {string.Join(", ", Known)}."
                    );
                throw new FormatException(
                    $"The connection string has an unknown option '{name}'.{Suggestion(name)} Known are: {string.Join(", ", Known)}."
                );
        }
    }

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

    private static int Port(string text) => Number("the port", text, 1, 65_535);

    private static TimeSpan Milliseconds(string name, string value) => TimeSpan.FromMilliseconds(Number(name, value, 1, 3_600_000));

    private static int Number(string name, string value, int least, int most) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw new FormatException($"{name} must be a whole number from {least} to {most}, not '{value}'.");

    private static bool Truth(string name, string value) =>
        bool.TryParse(value, out var truth) ? truth : throw new FormatException($"{name} must be true or false, not '{value}'.");

    private static FormatException NoTls() =>
        new(
            "The connection string asks for TLS (ssl=true or rediss://), which is not supported yet. Connect without it inside a trusted network."
        );
}
