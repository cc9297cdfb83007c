using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.AspNetCore.Sessions;

/// <summary>Makes the sessions of ASP.NET's session middleware.</summary>
internal sealed class WebSessionStore(
    RedisClient redis,
    Keyspace keyspace,
    FamilySettings family,
    int maxValueBytes,
    ILoggerFactory loggers
) : ISessionStore
{
    private readonly ILogger<WebSessionStore> _logger = loggers.CreateLogger<WebSessionStore>();

    public ISession Create(
        string sessionKey,
        TimeSpan idleTimeout,
        TimeSpan ioTimeout,
        Func<bool> tryEstablishSession,
        bool isNewSessionKey
    )
    {
        var idle = idleTimeout < family.MaxTtl ? idleTimeout : family.MaxTtl;
        var bytes = new WebSessionBytes(redis, keyspace.WireName(new EntryKey(family.Family, sessionKey)), idle, maxValueBytes, _logger);
        return new WebSession(
            new DistributedSession(bytes, sessionKey, idle, ioTimeout, tryEstablishSession, loggers, isNewSessionKey),
            bytes,
            isNewSessionKey
        );
    }
}
