using System.Runtime.InteropServices;
using Microsoft.Extensions.Caching.Hybrid;
using Onggi.Caching;
using Onggi.Keys;

namespace Onggi.AspNetCore.Caching;

/// <summary><see cref="HybridCache"/> on <see cref="OnggiCache"/>; what callers see is told at <see cref="OnggiHybridCacheOptions"/>.</summary>
/// <remarks>
/// Memory is a copy of Redis, never more: what is not written there is not kept here either. So <see cref="HybridCacheEntryFlags.DisableDistributedCacheWrite"/> keeps a value nowhere, and
/// <see cref="HybridCacheEntryFlags.DisableLocalCacheWrite"/> drops what memory has of the key when the call ends. There is no compression to turn off.
/// </remarks>
internal sealed class OnggiHybridCache(OnggiCache cache, KeyFamily family, HybridCacheEntryOptions? defaults) : HybridCache
{
    /// <exception cref="NotSupportedException">There are tags.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the type; the message has the line to add.</exception>
    public override ValueTask<T> GetOrCreateAsync<TState, T>(
        string key,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        HybridCacheEntryOptions? options = null,
        IEnumerable<string>? tags = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(factory);
        Refuse(tags);
        var plan = new Plan(options, defaults);
        var call = new Call<TState, T>(state, factory, plan);
        return plan.IsPlain
            ? cache.GetOrLoadAsync(KeyOf<T>(key), call, Call<TState, T>.Load, cancellationToken)!
            : GetOrCreateAsync(KeyOf<T>(key), call, plan, cancellationToken);
    }

    /// <exception cref="NotSupportedException">There are tags, or the value is to stay in this process.</exception>
    /// <exception cref="Onggi.Client.RedisException">Redis refused or did not answer.</exception>
    public override async ValueTask SetAsync<T>(
        string key,
        T value,
        HybridCacheEntryOptions? options = null,
        IEnumerable<string>? tags = null,
        CancellationToken cancellationToken = default
    )
    {
        Refuse(tags);
        var plan = new Plan(options, defaults);
        if (plan.Has(HybridCacheEntryFlags.DisableDistributedCacheWrite))
        {
            if (plan.Has(HybridCacheEntryFlags.DisableLocalCacheWrite))
                return;
            throw new NotSupportedException(
                "Onggi's memory is a copy of Redis and cannot hold what Redis does not: the other processes would go on with the old value. Leave out DisableDistributedCacheWrite."
            );
        }

        await cache.SetAsync(KeyOf<T>(key), value, plan.Expiration, cancellationToken);
    }

    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm it within the command time-out. Make the call again.</exception>
    public override ValueTask RemoveAsync(string key, CancellationToken cancellationToken = default) =>
        cache.InvalidateAsync(KeyOf<object>(key), cancellationToken);

    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm all of it. Make the call again.</exception>
    public override ValueTask RemoveAsync(IEnumerable<string> keys, CancellationToken cancellationToken = default)
    {
        var all = keys?.Select(KeyOf<object>).ToList();
        return all is null or { Count: 0 } ? ValueTask.CompletedTask : cache.InvalidateManyAsync(all, cancellationToken);
    }

    /// <exception cref="NotSupportedException">Always.</exception>
    public override ValueTask RemoveByTagAsync(string tag, CancellationToken cancellationToken = default) => throw NoTags();

    /// <exception cref="NotSupportedException">Always.</exception>
    public override ValueTask RemoveByTagAsync(IEnumerable<string> tags, CancellationToken cancellationToken = default) => throw NoTags();

    private async ValueTask<T> GetOrCreateAsync<TState, T>(
        CacheKey<T> key,
        Call<TState, T> call,
        Plan plan,
        CancellationToken cancellationToken
    )
    {
        var readsMemory = !plan.Has(HybridCacheEntryFlags.DisableLocalCacheRead);
        var readsRedis = !plan.Has(HybridCacheEntryFlags.DisableDistributedCacheRead);
        CacheResult<T> result;
        if (!plan.Loads)
        {
            if (!readsMemory || !cache.TryPeek(key, out result))
                result = readsRedis ? await cache.GetPastMemoryAsync(key, cancellationToken) : default;
        }
        else if (readsMemory && readsRedis)
        {
            result = await cache.GetOrLoadResultAsync(key, call, Call<TState, T>.Load, cancellationToken);
        }
        else if (!readsMemory || !cache.TryPeek(key, out result))
        {
            // Without Redis there is nobody to share a load with.
            if (!readsRedis && !plan.Stores)
                return await call.Factory(call.State, cancellationToken);
            result = await cache.GetOrLoadPastMemoryAsync(key, call, Call<TState, T>.Load, anew: !readsRedis, cancellationToken);
        }

        if (plan.Has(HybridCacheEntryFlags.DisableLocalCacheWrite))
        {
            if (result.Tier != CacheTier.Memory)
                cache.KeepAtMost(key.Entry, TimeSpan.Zero);
        }
        else if (plan.LocalExpiration is { } local && result.Tier == CacheTier.Redis)
        {
            cache.KeepAtMost(key.Entry, local);
        }

        return result.Value!;
    }

    private CacheKey<T> KeyOf<T>(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        return new(new EntryKey(family, key));
    }

    private static void Refuse(IEnumerable<string>? tags)
    {
        if (tags?.Any() == true)
            throw NoTags();
    }

    private static NotSupportedException NoTags() =>
        new(
            "Onggi's HybridCache has no tags yet: an entry whose tag were ignored would stay when the tag is removed. Remove by key, let an event of the catalog invalidate the family (\"invalidatedBy\"), or clear the family with OnggiCache.ClearAsync."
        );

    /// <summary>What the loader needs; a struct, so that a hit allocates nothing.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Call<TState, T>(TState State, Func<TState, CancellationToken, ValueTask<T>> Factory, Plan Plan)
    {
        public static readonly Func<Call<TState, T>, LoadContext, ValueTask<T?>> Load = static (call, context) =>
        {
            context.DontStore = !call.Plan.Stores;
            if (!context.DontStore)
                context.Ttl = call.Plan.Expiration;
            return call.Factory(call.State, context.CancellationToken)!;
        };
    }

    /// <summary>What one call asks for, with the defaults.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly struct Plan
    {
        private readonly HybridCacheEntryFlags _flags;

        public Plan(HybridCacheEntryOptions? own, HybridCacheEntryOptions? defaults)
        {
            _flags = own?.Flags ?? defaults?.Flags ?? HybridCacheEntryFlags.None;
            Expiration = own?.Expiration ?? defaults?.Expiration;
            LocalExpiration = own?.LocalCacheExpiration ?? defaults?.LocalCacheExpiration;
        }

        public TimeSpan? Expiration { get; }

        public TimeSpan? LocalExpiration { get; }

        public bool Loads => !Has(HybridCacheEntryFlags.DisableUnderlyingData);

        public bool Stores =>
            !Has(HybridCacheEntryFlags.DisableDistributedCacheWrite) && (Expiration is not { } life || life > TimeSpan.Zero);

        public bool IsPlain =>
            (_flags & ~HybridCacheEntryFlags.DisableCompression) == HybridCacheEntryFlags.None && LocalExpiration is null;

        public bool Has(HybridCacheEntryFlags flag) => (_flags & flag) == flag;
    }
}
