using System.Collections.Concurrent;

namespace Onggi.Client.Transport;

/// <summary>The certificates that servers have shown, for metrics: of each server the one that came last, as long as a connection to it stands.</summary>
internal sealed class SeenCertificates
{
    private readonly ConcurrentDictionary<TlsTransport, (RedisAddress Server, long Order)> _standing = new();
    private long _order;

    /// <summary>Each server with the end of its certificate.</summary>
    public IEnumerable<(RedisAddress Server, DateTimeOffset End)> Last =>
        _standing
            .GroupBy(pair => pair.Value.Server)
            .Select(group => (group.Key, group.MaxBy(pair => pair.Value.Order).Key.CertificateEnd))
            .Where(pair => pair.CertificateEnd is not null)
            .Select(pair => (pair.Key, pair.CertificateEnd!.Value));

    public void Add(RedisAddress server, TlsTransport connection) => _standing[connection] = (server, Interlocked.Increment(ref _order));

    public void Remove(TlsTransport connection) => _standing.TryRemove(connection, out _);
}
