using System.Security.Cryptography;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore.Authentication;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.AspNetCore.DataProtection;

/// <summary>ASP.NET's key ring in Redis: a hash, an element to a field, without an end.</summary>
/// <remarks>
/// <para>ASP.NET reads it without <c>async</c>, so it goes over the connection that blocks, which needs no thread of the pool.</para>
/// <para>Each process remembers what it has read and written, and puts it back when Redis turns out to have lost it: after a restart without data, a failover, an eviction. Elements are only ever added; what must not be used any more is
/// revoked, which is another element.</para>
/// </remarks>
internal sealed class KeyRing : IXmlRepository
{
    private static readonly ReplyParser<List<KeyValuePair<string, string>>> Pairs = static (ref reader) =>
    {
        var pairs = new List<KeyValuePair<string, string>>();
        for (var left = reader.Count / 2; left > 0; left--)
        {
            reader.Read();
            var name = reader.ReadString()!;
            reader.Read();
            pairs.Add(new(name, reader.ReadString()!));
        }

        return pairs;
    };

    private readonly RedisClient _redis;
    private readonly string _key;
    private readonly ILogger<KeyRing> _logger;
    private readonly Lock _gate = new(); // Guards the two below.
    private readonly Dictionary<string, string> _known = new(StringComparer.Ordinal);
    private bool _policySaid;

    /// <param name="redis">The client.</param>
    /// <param name="key">The hash's name in Redis.</param>
    /// <param name="logger">Is told what must not stay unknown.</param>
    public KeyRing(RedisClient redis, string key, ILogger<KeyRing> logger)
    {
        (_redis, _key, _logger) = (redis, key, logger);
        redis.ConnectionChanged += OnConnection;
    }

    /// <exception cref="RedisException">Redis could not be asked. ASP.NET goes on with the keys that it has, and fails where it has none.</exception>
    public IReadOnlyCollection<XElement> GetAllElements()
    {
        var found = _redis.Send(["HGETALL", _key], Pairs, CommandOptions.Idempotent);
        SayPolicy();
        var elements = new List<XElement>(found.Count);
        foreach (var (name, text) in found)
        {
            if (!TryParse(text, out var element))
            {
                KeyRingLog.Unreadable(_logger, _key, name);
                continue;
            }

            elements.Add(element);
            Remember(name, text);
        }

        foreach (var (name, text) in Missing(found))
        {
            elements.Add(XElement.Parse(text));
            KeyRingLog.Lost(_logger, _key, name);
            TryPutBack(name, text);
        }

        return elements;
    }

    /// <exception cref="RedisException">It is not stored, or not known to be.</exception>
    public void StoreElement(XElement element, string friendlyName)
    {
        ArgumentNullException.ThrowIfNull(element);
        var text = element.ToString(SaveOptions.DisableFormatting);
        var name = string.IsNullOrEmpty(friendlyName)
            ? Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))
            : friendlyName;
        _redis.Send(["HSET", _key, name, text], ReplyParsers.Ignore, CommandOptions.Idempotent);
        Remember(name, text);
    }

    private static bool TryParse(string text, out XElement element)
    {
        try
        {
            element = XElement.Parse(text);
            return true;
        }
        catch (XmlException)
        {
            element = null!;
            return false;
        }
    }

    private void Remember(string name, string text)
    {
        lock (_gate)
            _known[name] = text;
    }

    private List<KeyValuePair<string, string>> Missing(List<KeyValuePair<string, string>> found)
    {
        var names = found.Select(static one => one.Key).ToHashSet(StringComparer.Ordinal);
        lock (_gate)
            return WebMutants.ForgetKeys ? [] : [.. _known.Where(one => !names.Contains(one.Key))];
    }

    // What is read can be used, whether it could be put back or not.
    private void TryPutBack(string name, string text)
    {
        try
        {
            _redis.Send(["HSET", _key, name, text], ReplyParsers.Ignore, CommandOptions.Idempotent);
        }
        catch (RedisException failure)
        {
            KeyRingLog.NotPutBack(_logger, _key, failure.Message);
        }
    }

    private void OnConnection(bool connected)
    {
        // mutant: what a restart lost stays lost until each host reads its ring again, a day later.
        if (!connected || WebMutants.ForgetKeys)
            return;
        using var flow = Rt.WithoutFlow();
        // It tells its own failures, and nobody waits for it.
        _ = PutAllBackAsync();
    }

    private async Task PutAllBackAsync()
    {
        // Whoever tells of the connection must not wait for what goes over it.
        await Rt.YieldAsync();
        RedisArg[] command;
        lock (_gate)
        {
            if (_known.Count == 0)
                return;
            command = ["HSET", _key, .. _known.SelectMany(static one => (RedisArg[])[one.Key, one.Value])];
        }

        try
        {
            // Elements never change: writing one that is there changes nothing.
            var added = await _redis.SendAsync(command, ReplyParsers.Int64, CommandOptions.Idempotent, CancellationToken.None);
            if (added > 0)
                KeyRingLog.PutBack(_logger, added, _key);
        }
        catch (Exception failure) when (failure is RedisException or ObjectDisposedException)
        {
            KeyRingLog.NotPutBack(_logger, _key, failure.Message);
        }
    }

    /// <summary>Says it once when this Redis may throw the ring away: it has no end, so only these policies can.</summary>
    private void SayPolicy()
    {
        lock (_gate)
        {
            if (_policySaid)
                return;
            _policySaid = true;
        }

        try
        {
            var memory = _redis.Send(["INFO", "memory"], ReplyParsers.Text, CommandOptions.Idempotent) ?? "";
            if (memory.Contains("maxmemory_policy:allkeys-", StringComparison.Ordinal))
                KeyRingLog.CanBeEvicted(_logger, _key);
        }
        catch (RedisException)
        {
            // A warning less; the ring itself was read.
        }
    }
}

/// <summary>What the key ring says. Names of elements only: the elements are keys.</summary>
internal static partial class KeyRingLog
{
    [LoggerMessage(
        8500,
        LogLevel.Error,
        "The field {Name} of the key ring {Key} is not XML and is left out. Somebody else has written it."
    )]
    public static partial void Unreadable(ILogger logger, string key, string name);

    [LoggerMessage(8501, LogLevel.Warning, "Redis has lost {Name} of the key ring {Key}; this process puts it back.")]
    public static partial void Lost(ILogger logger, string key, string name);

    [LoggerMessage(8502, LogLevel.Warning, "Put {Count} elements back into the key ring {Key}, which Redis had lost.")]
    public static partial void PutBack(ILogger logger, long count, string key);

    [LoggerMessage(
        8503,
        LogLevel.Warning,
        "Elements of the key ring {Key} could not be put back: {Reason} It is tried at the next connection."
    )]
    public static partial void NotPutBack(ILogger logger, string key, string reason);

    [LoggerMessage(
        8504,
        LogLevel.Warning,
        "This Redis may throw the key ring {Key} away (maxmemory-policy allkeys-…), and with it every cookie. Use volatile-… or noeviction, or another Redis for sessions and keys."
    )]
    public static partial void CanBeEvicted(ILogger logger, string key);
}
