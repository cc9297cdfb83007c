using System.Buffers;
using System.Globalization;

namespace Onggi.Client;

/// <summary>Reads the two forms of a connection string.</summary>
/// <remarks>
/// <c>host:port,password=…,user=…,name=…</c> is what StackExchange.Redis has made familiar; options of it that mean nothing here are named in the message.
/// <c>redis://user:password@host:port/0?name=…</c> is the IANA scheme (https://www.iana.org/assignments/uri-schemes/prov/redis), with <c>rediss</c> for TLS, several servers with commas between
/// them, and <c>redis+sentinel://…/name/0</c> for Sentinels. Messages never repeat a value that can be secret.
/// </remarks>
internal static class ConnectionString
{
    private const string Forms = "Write host:port,password=… or redis://user:password@host:port.";

    private const string Encode =
        "The connection string is not a valid URL. Write redis://user:password@host:port; percent-encode special characters in the password.";

    private static readonly SearchValues<char> SchemeCharacters = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."
    );

    public static RedisClientOptions Parse(string text)
    {
        if (string.IsNullOrWhiteSpace(text))
            throw new FormatException($"The connection string is empty. {Forms}");
        text = text.Trim();
        return (HasScheme(text) ? ParseUrl(text) : ParseList(text)).Finish(Forms);
    }

    // A password in the list form may hold "://" too: only letters in front of it make a URL.
    private static bool HasScheme(string text) =>
        text.IndexOf("://", StringComparison.Ordinal) is var end and > 0 && text.AsSpan(0, end).IndexOfAnyExcept(SchemeCharacters) < 0;

    // System.Uri reads one host only, and a password's characters in its own ways.
    private static ConnectionDraft ParseUrl(string text)
    {
        var at = text.IndexOf("://", StringComparison.Ordinal);
        var draft = new ConnectionDraft();
        var sentinels = ReadScheme(draft, text[..at]);
        var rest = text[(at + 3)..];
        var end = rest.IndexOfAny(['/', '?', '#']);
        var (authority, tail) = end < 0 ? (rest, "") : (rest[..end], rest[end..]);

        // Such a character behind the servers: the password has one that ends it too early, and what follows is a part of it.
        if (tail.AsSpan().ContainsAny('@', '#') || authority.AsSpan().ContainsAny(' ', '\\'))
            throw new FormatException(Encode);
        at = authority.LastIndexOf('@');
        if (at >= 0)
            ReadUserInfo(draft.Options, authority[..at]);
        foreach (var server in authority[(at + 1)..].Split(','))
        {
            var (host, port) = ConnectionDraft.Endpoint(server, Forms, inUrl: true);
            if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
                throw new FormatException(Encode);
            draft.Add(host, port);
        }

        var question = tail.IndexOf('?', StringComparison.Ordinal);
        ReadPath(draft, (question < 0 ? tail : tail[..question]).Trim('/'), sentinels);
        if (question >= 0)
            foreach (var pair in tail[(question + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
                Apply(draft, Uri.UnescapeDataString(pair));
        return draft;
    }

    // Whether the servers are Sentinels.
    private static bool ReadScheme(ConnectionDraft draft, string scheme)
    {
        switch (scheme.ToUpperInvariant())
        {
            case "REDIS":
                return false;
            case "REDISS":
                draft.Scheme(tls: true);
                return false;
            case "REDIS+SENTINEL":
                return true;
            case "REDISS+SENTINEL":
                draft.Scheme(tls: true);
                return true;
            default:
                throw new FormatException(
                    $"The connection string begins with {scheme}://. {Forms} TLS is rediss://, Sentinels are redis+sentinel://host:port/name."
                );
        }
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

    private static void ReadPath(ConnectionDraft draft, string path, bool sentinels)
    {
        var database = path;
        if (sentinels)
        {
            var slash = path.IndexOf('/', StringComparison.Ordinal);
            var service = slash < 0 ? path : path[..slash];
            if (service.Length == 0)
                throw new FormatException(
                    "The URL does not say which master the Sentinels watch. Write redis+sentinel://host:26379/mymaster, or redis+sentinel://host:26379/mymaster/0."
                );
            draft.Options.SentinelService = Uri.UnescapeDataString(service);
            database = slash < 0 ? "" : path[(slash + 1)..];
        }

        if (database.Length > 0)
            draft.Options.Database = ConnectionDraft.Number("the database in the URL's path", database, 0, 1 << 20);
    }

    private static ConnectionDraft ParseList(string text)
    {
        var draft = new ConnectionDraft();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (part.Contains('=', StringComparison.Ordinal))
            {
                Apply(draft, part);
                continue;
            }

            // What stands before an @ is often a password; what stands alone behind a password may be the rest of one.
            if (part.Contains('@', StringComparison.Ordinal))
                throw new FormatException(
                    "The server's name holds an '@'. Give user and password as user=…,password=…, or write a URL: redis://user:password@host:port."
                );
            if (draft is { HasSecret: true, HasServers: true })
                throw new FormatException(
                    $"The connection string has something after the password that is no option. Name all servers first; a password with a comma needs the URL form: {ConnectionDraft.CommaForm}."
                );
            var (host, port) = ConnectionDraft.Endpoint(part, Forms, inUrl: false);
            draft.Add(host, port);
        }

        return draft;
    }

    private static void Apply(ConnectionDraft draft, string pair)
    {
        var equals = pair.IndexOf('=', StringComparison.Ordinal);
        var (name, value) = equals < 0 ? (pair, "") : (pair[..equals].Trim(), pair[(equals + 1)..].Trim());
        draft.Set(name, value);
    }
}
