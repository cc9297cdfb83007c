using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;

namespace Onggi.Locks;

/// <summary>Lets what is written under a lock into Redis only while no later holder has written: the fence of the writer is compared with the greatest one seen, in the same step that writes.</summary>
/// <remarks>
/// The greatest fence stands beside the key, in <c>{key}:guard</c>, and is remembered for a day after the last write. It protects against writers that pass through the guard; a plain SET of the key
/// asks nobody. When the key of the fence is lost (restart without data), the next writer begins anew.
/// </remarks>
public sealed class FenceGuard
{
    private readonly RedisClient _redis;
    private readonly Keyspace _keyspace;

    internal FenceGuard(RedisClient redis, Keyspace keyspace) => (_redis, _keyspace) = (redis, keyspace);

    /// <summary>Writes a value, unless a later holder has written. One round trip. Caches of it are told as of every write.</summary>
    /// <param name="key">The key, of any family of kind <c>cache</c>; it lives as long as the family says.</param>
    /// <param name="json">The value, as JSON.</param>
    /// <param name="fence">The fence of the lease under which it is written.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <returns><c>false</c> when a later holder has written: this one must stop.</returns>
    /// <exception cref="RedisException">Redis could not be asked. Doing it again is harmless.</exception>
    public ValueTask<bool> SetAsync(EntryKey key, ReadOnlyMemory<byte> json, Fence fence, CancellationToken cancellationToken = default)
    {
        var settings = _keyspace.SettingsOf(key.Family);
        var life = _keyspace.PhysicalTtl(settings, _keyspace.WireName(key));
        return RunAsync(key, fence, "set", json, (long)life.TotalMilliseconds, cancellationToken);
    }

    /// <summary>Removes a value, unless a later holder has written. One round trip.</summary>
    /// <param name="key">The key, of any family of kind <c>cache</c>.</param>
    /// <param name="fence">The fence of the lease under which it is removed.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <returns><c>false</c> when a later holder has written: this one must stop.</returns>
    /// <exception cref="RedisException">Redis could not be asked. Doing it again is harmless.</exception>
    public ValueTask<bool> RemoveAsync(EntryKey key, Fence fence, CancellationToken cancellationToken = default) =>
        RunAsync(key, fence, "delete", default, 0, cancellationToken);

    /// <summary>Says whether a holder may still act, and refuses all earlier ones from now on. One round trip.</summary>
    /// <remarks>What is then done elsewhere is not in the same step: between the answer and the act a later holder can come. Where the resource can compare fences itself, let it.</remarks>
    /// <param name="key">What is acted on; any key of the catalog.</param>
    /// <param name="fence">The fence of the lease under which it is done.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <returns><c>false</c> when a later holder has acted: this one must stop.</returns>
    /// <exception cref="RedisException">Redis could not be asked. Doing it again is harmless.</exception>
    public ValueTask<bool> CheckAsync(EntryKey key, Fence fence, CancellationToken cancellationToken = default) =>
        RunAsync(key, fence, "check", default, 0, cancellationToken);

    private async ValueTask<bool> RunAsync(
        EntryKey key,
        Fence fence,
        string mode,
        ReadOnlyMemory<byte> value,
        long lifeMs,
        CancellationToken cancellationToken
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(fence.Value, nameof(fence));
        var wire = _keyspace.WireName(key);
        var passed = await _redis
            .Router.SendAsync(
                new Command(
                    LockScripts.Guard,
                    // The last one is the cache's right to fill the entry: a load that runs must not overwrite what is written here.
                    [AuxiliaryName.Of(wire, "guard"), wire, AuxiliaryName.Of(wire, "l")],
                    [fence.Value, (long)LockScripts.FenceLife.TotalMilliseconds, mode, value, lifeMs]
                ),
                ReplyParsers.Int64,
                CommandOptions.Idempotent,
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);
        return passed == 1;
    }
}
