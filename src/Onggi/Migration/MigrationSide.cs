using Onggi.Client;

namespace Onggi.Migration;

/// <summary>One side of a migration: a connection and what its keys begin with.</summary>
/// <param name="redis">The connection, to the server and database of this side.</param>
/// <param name="prefix">What the names of the keys begin with here; may be empty.</param>
/// <param name="isNew">Whether it is the side that the keys go to.</param>
public sealed class MigrationSide(RedisClient redis, string prefix, bool isNew)
{
    /// <summary>The connection.</summary>
    public RedisClient Redis { get; } = redis;

    /// <summary>What the names of the keys begin with here.</summary>
    public string Prefix { get; } = prefix;

    /// <summary>Whether it is the side that the keys go to.</summary>
    public bool IsNew { get; } = isNew;

    /// <summary>The key of this name here.</summary>
    /// <param name="name">What follows the prefix.</param>
    public string Key(string name) => Prefix + name;
}
