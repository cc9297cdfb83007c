using System.Text.Json;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Lets events change the cache, as the catalog's <c>invalidatedBy</c> says.</summary>
/// <remarks>
/// <list type="bullet">
/// <item>Before this process publishes an event, the entries that it invalidates are removed from Redis, confirmed: a failure fails the publish.</item>
/// <item>When an event arrives that another process published, they have been removed already, and Redis has told of it.</item>
/// <item>When it was published without Onggi, nobody has removed the entries from Redis yet: this process does so in the background, as every other does.</item>
/// </list>
/// Events that are missed therefore leave nothing old in memory.
/// </remarks>
internal sealed class CacheEventListener : IDisposable
{
    private readonly Keyspace _keyspace;
    private readonly CacheFamilies _families;
    private readonly EntryWriter _writer;
    private readonly BackgroundWork _background;
    private readonly ILogger _logger;
    private readonly LogThrottle _incomplete;
    private readonly IDisposable[] _handlers;
    private bool _disposed;

    public CacheEventListener(
        Keyspace keyspace,
        CacheFamilies families,
        EntryWriter writer,
        BackgroundWork background,
        IEventSource events,
        ILogger logger,
        TimeProvider time
    )
    {
        _keyspace = keyspace;
        _families = families;
        _writer = writer;
        _background = background;
        _logger = logger;
        _incomplete = new LogThrottle(time);
        _handlers = [events.OnPublishing(OnPublishingAsync), events.OnReceived(OnReceived)];
    }

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, true))
            return;
        foreach (var handler in _handlers)
            handler.Dispose();
    }

    private async ValueTask OnPublishingAsync(EventNotice notice, CancellationToken cancellationToken)
    {
        var (names, families) = EntriesOf(notice);
        if (names.Length == 0)
            return;
        await _writer.RemoveAsync(names, cancellationToken).ConfigureAwait(Rt.Capture);
        Count(families);
    }

    private void OnReceived(EventNotice notice)
    {
        if (notice.IsOwn)
            return;
        try
        {
            var (names, families) = notice.Type == OnggiEventTypes.CacheInvalidated.Name ? KeysIn(notice) : EntriesOf(notice);
            Count(families);
            if (notice.IsForeign && names.Length > 0)
                RemoveInBackground(notice.Type, names);
        }
        catch (Exception error)
        {
            // The top of the receiving loop as far as the cache goes: the payload is another program's.
            CacheLog.EventNotApplied(_logger, error, notice.Type);
        }
    }

    private (string[] Names, CacheFamily[] Families) EntriesOf(EventNotice notice)
    {
        if (!_keyspace.Invalidates(notice.Type))
            return ([], []);
        var missing = new List<string>();
        var entries = _keyspace.InvalidatedBy(notice.Type, notice.Data, notice.Metadata, missing);
        if (missing.Count > 0 && _incomplete.MayLog(out var suppressed))
            CacheLog.EventIncomplete(_logger, notice.Type, string.Join(" ", missing), suppressed);
        return ([.. entries.Select(entry => _keyspace.WireName(entry))], [.. entries.Select(entry => _families.Of(entry.Family))]);
    }

    /// <summary>The names in a <c>cache.invalidated</c>, as far as they are names of cache entries: whoever sends it must not reach further.</summary>
    private (string[] Names, CacheFamily[] Families) KeysIn(EventNotice notice)
    {
        if (notice.Data.ValueKind != JsonValueKind.Object || !notice.Data.TryGetProperty("keys", out var keys))
            return ([], []);
        var names = new List<string>(keys.GetArrayLength());
        var families = new List<CacheFamily>(names.Capacity);
        foreach (var key in keys.EnumerateArray())
        {
            if (key.GetString() is not { } name || _keyspace.FamilyOf(name) is not { Kind: "cache" } settings)
                continue;
            names.Add(name);
            families.Add(_families.Of(settings.Family));
        }

        return ([.. names], [.. families]);
    }

    private static void Count(CacheFamily[] families)
    {
        foreach (var family in families)
            family.CountInvalidation();
    }

    private void RemoveInBackground(string type, string[] names) => _background.Start(stopping => RemoveAsync(type, names, stopping));

    private async Task RemoveAsync(string type, string[] names, CancellationToken stopping)
    {
        try
        {
            await _writer.RemoveAsync(names, stopping).ConfigureAwait(Rt.Capture);
            CacheLog.ForeignEventApplied(_logger, type, names.Length);
        }
        catch (Exception error) when (error is RedisException or OperationCanceledException or ObjectDisposedException)
        {
            CacheLog.EventNotApplied(_logger, error, type);
        }
    }
}
