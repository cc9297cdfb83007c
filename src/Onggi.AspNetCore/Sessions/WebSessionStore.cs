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
            bytes
        );
    }

    /// <summary>ASP.NET's own session, which says what becomes of it to the bytes beneath.</summary>
    private sealed class WebSession : ISession
    {
        private readonly DistributedSession _inner;
        private readonly WebSessionBytes _bytes;

        public WebSession(DistributedSession inner, WebSessionBytes bytes)
        {
            (_inner, _bytes) = (inner, bytes);
            bytes.IsEmpty = () => !_inner.Keys.Any();
        }

        public bool IsAvailable => _inner.IsAvailable;

        public string Id => _inner.Id;

        public IEnumerable<string> Keys => _inner.Keys;

        public Task LoadAsync(CancellationToken cancellationToken = default) => _inner.LoadAsync(cancellationToken);

        public Task CommitAsync(CancellationToken cancellationToken = default) => _inner.CommitAsync(cancellationToken);

        public bool TryGetValue(string key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out byte[]? value) =>
            _inner.TryGetValue(key, out value);

        public void Set(string key, byte[] value) => _inner.Set(key, value);

        public void Remove(string key) => _inner.Remove(key);

        public void Clear()
        {
            _inner.Clear();
            _bytes.BeginAnew();
        }
    }
}
