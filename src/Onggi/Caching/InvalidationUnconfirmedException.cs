using Onggi.Client;

namespace Onggi.Caching;

/// <summary>Redis did not confirm that entries were removed: readers may get the old values until their time to live ends. Make the call again.</summary>
/// <remarks>This process's memory has dropped them all the same. Invalidating twice is harmless, whatever <see cref="RedisException.Sent"/> says.</remarks>
public sealed class InvalidationUnconfirmedException : RedisException
{
    internal InvalidationUnconfirmedException(string message, Sent sent, RedisException? inner)
        : base(message, sent, isTransient: true, inner) { }
}
