using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Onggi.AspNetCore;

/// <summary>Whose budget a request is counted to.</summary>
public sealed class LimitSubject
{
    private const int Ipv6NetworkBytes = 8;
    private const int KeyHashBytes = 16;

    private readonly Func<HttpContext, string?> _find;

    private LimitSubject(Func<HttpContext, string?> find) => _find = find;

    /// <summary>The signed-in user, by the claim <c>sub</c> or the name identifier; who is not signed in counts by address. Authentication must come before.</summary>
    public static LimitSubject User { get; } = new(static context => UserOf(context) ?? AddressOf(context));

    /// <summary>The caller's address; of IPv6 the first 64 bits, for a caller has as many addresses beneath them as it likes.</summary>
    /// <remarks>Behind a proxy it is the proxy's, unless the forwarded headers are read before (<c>UseForwardedHeaders</c> with the proxies that are trusted).</remarks>
    public static LimitSubject Address { get; } = new(AddressOf);

    /// <summary>The key that a caller shows in a header; who shows none counts by address. The key itself stands nowhere: its SHA-256, cut to 128 bits, does.</summary>
    /// <remarks>Check the key before: otherwise every invented key has a budget of its own.</remarks>
    /// <param name="header">The header's name.</param>
    public static LimitSubject ApiKey(string header = "X-Api-Key")
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(header);
        return new(context => context.Request.Headers[header].ToString() is { Length: > 0 } key ? $"key-{Hash(key)}" : AddressOf(context));
    }

    /// <summary>What the application says; <c>null</c> or empty for requests that are not limited.</summary>
    /// <param name="find">Runs once for each request.</param>
    public static LimitSubject Of(Func<HttpContext, string?> find)
    {
        ArgumentNullException.ThrowIfNull(find);
        return new(find);
    }

    internal string? Find(HttpContext context) => _find(context);

    private static string? UserOf(HttpContext context)
    {
        if (context.User.Identity?.IsAuthenticated != true)
            return null;
        var id = context.User.FindFirst("sub")?.Value ?? context.User.FindFirst(ClaimTypes.NameIdentifier)?.Value;
        return id is { Length: > 0 } ? $"user-{id}" : null;
    }

    private static string AddressOf(HttpContext context)
    {
        var address = context.Connection.RemoteIpAddress;
        if (address is null)
            return "ip-unknown";
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
            return $"ip-{address}";
        var bytes = address.GetAddressBytes();
        bytes.AsSpan(Ipv6NetworkBytes).Clear();
        return $"ip-{new IPAddress(bytes)}/64";
    }

    private static string Hash(string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(key), hash);
        return Base64Url.EncodeToString(hash[..KeyHashBytes]);
    }
}
