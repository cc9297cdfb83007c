namespace Onggi.Caching;

/// <summary>What readers get while the value in Redis is past its life but within its grace.</summary>
public enum StaleMode
{
    /// <summary>The loader's value; the stale one when the loader fails, or is slower than <see cref="CacheFamilyOptions.SoftTimeout"/>.</summary>
    IfError,

    /// <summary>The stale one at once; one load runs in the background.</summary>
    WhileRevalidate,
}

/// <summary>When an invalidation is done.</summary>
public enum Invalidation
{
    /// <summary>When Redis has confirmed it. Memory elsewhere may answer with the old value for <see cref="CacheOptions.MaxStaleness"/> at most; mostly it knows after a fraction of a millisecond.</summary>
    Fast,

    /// <summary>When nobody can be given the old value any more: the confirmation, and then one <see cref="CacheOptions.MaxStaleness"/> of the fleet.</summary>
    Strict,
}

/// <summary>What is believed after Redis has failed over or was restarted.</summary>
public enum FailoverSafety
{
    /// <summary>What is there. A replica that lagged may bring back a value that was invalidated, until its time to live ends.</summary>
    Relaxed,

    /// <summary>Only what was surely written since. Everything older is loaded anew. Not for families with sliding life, and loaders may not choose times to live.</summary>
    Strict,
}

/// <summary>How Redis is asked for an entry.</summary>
public enum ReadMode
{
    /// <summary>By a plain read where it mostly finds the entry, else by the script.</summary>
    Auto,

    /// <summary>By a plain read first. Cheapest for Redis on a hit; a miss costs one round trip more.</summary>
    Plain,

    /// <summary>By the script that reads, or gives the right to fill.</summary>
    Lease,
}

/// <summary>What a caller gets whose key is being loaded elsewhere for longer than <see cref="CacheFamilyOptions.LeaseWait"/>, when there is no stale value.</summary>
public enum WhenHeld
{
    /// <summary>What its own loader says; it is not stored.</summary>
    Load,

    /// <summary>A <see cref="LoadTimeoutException"/>.</summary>
    Throw,
}

/// <summary>How one family is cached by this process. What is not set is as in <see cref="CacheOptions.Defaults"/>, and then as said at each property.</summary>
public sealed class CacheFamilyOptions
{
    /// <summary>Whether memory keeps values of the family.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool? Memory { get; set; }

    /// <summary>
    /// Whether its values are large, of hundreds of kilobytes and more: they go over the connection for such, where nobody in a hurry waits behind them, and memory
    /// keeps none of them.
    /// </summary>
    /// <remarks>Not with <see cref="Memory"/>, nor with <see cref="Caching.FailoverSafety.Strict"/>: what is sent over another connection can reach another server than the one that was greeted.</remarks>
    /// <value>Default <c>false</c>.</value>
    public bool? Large { get; set; }

    /// <summary>How long memory may keep a value at most; what Redis says of its life holds in any case.</summary>
    /// <value>Default <see cref="CacheOptions.MemoryTtl"/>.</value>
    public TimeSpan? MemoryTtl { get; set; }

    /// <summary>What readers get between the end of a value's life and the end of its grace.</summary>
    /// <value>Default <see cref="StaleMode.IfError"/>.</value>
    public StaleMode? WhenStale { get; set; }

    /// <summary>How long a caller waits for a loader while there is a stale value to be had. The load goes on in the background.</summary>
    /// <value>Default: as long as it takes.</value>
    public TimeSpan? SoftTimeout { get; set; }

    /// <summary>How long a caller waits for a loader at most; then <see cref="LoadTimeoutException"/>, or the stale value. The load goes on in the background.</summary>
    /// <value>Default: as long as it takes.</value>
    public TimeSpan? HardTimeout { get; set; }

    /// <summary>After how long a loader is cancelled. One that does not heed its token is waited for no longer, and what it makes then is stored nowhere.</summary>
    /// <value>Default 30 s.</value>
    public TimeSpan? LoaderTimeout { get; set; }

    /// <summary>The part of its life after which a value that is asked for, with a loader, is loaded anew in the background; between 0.1 and 0.95.</summary>
    /// <remarks>
    /// In a process where a loader or a caller has chosen a time to live (<see cref="LoadContext.Ttl"/>, <see cref="OnggiCache.SetAsync"/>) it is the part of what was left when the value was read: nobody can tell a short life
    /// from a long one that is nearly over. Where no memory keeps the value each read of Redis looks, and a source that fails is asked once a second.
    /// </remarks>
    /// <value>Default: never before its end.</value>
    public double? RefreshAfter { get; set; }

    /// <summary>Whether each read of Redis with a loader begins the life anew: the family's, also where another was chosen. Then the value lives while it is asked for; memory keeps it for half of the life at most.</summary>
    /// <value>Default <c>false</c>.</value>
    public bool? Sliding { get; set; }

    /// <summary>What is believed after a failover or a restart of Redis.</summary>
    /// <value>Default <see cref="FailoverSafety.Relaxed"/>.</value>
    public FailoverSafety? FailoverSafety { get; set; }

    /// <summary>How Redis is asked.</summary>
    /// <value>Default <see cref="ReadMode.Auto"/>.</value>
    public ReadMode? ReadMode { get; set; }

    /// <summary>When an invalidation is done, where the call does not say.</summary>
    /// <value>Default <see cref="Invalidation.Fast"/>.</value>
    public Invalidation? Invalidation { get; set; }

    /// <summary>Whether a caller waits while another process loads the key. <c>false</c>: each process loads for itself.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool? WaitForOthers { get; set; }

    /// <summary>How long a caller waits for another process's load at most.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan? LeaseWait { get; set; }

    /// <summary>What the caller gets after that.</summary>
    /// <value>Default <see cref="WhenHeld.Load"/>.</value>
    public WhenHeld? WhenHeld { get; set; }

    /// <summary>What cannot be, where what is not set here is as in <paramref name="common"/>.</summary>
    internal IEnumerable<string> Mistakes(string name, CacheFamilyOptions common)
    {
        foreach (
            var (property, value) in new[]
            {
                (nameof(MemoryTtl), MemoryTtl),
                (nameof(SoftTimeout), SoftTimeout),
                (nameof(HardTimeout), HardTimeout),
                (nameof(LoaderTimeout), LoaderTimeout),
                (nameof(LeaseWait), LeaseWait),
            }
        )
        {
            if (value is { } given && (given <= TimeSpan.Zero || given > TimeSpan.FromDays(1)))
                yield return $"{name}.{property} is {given}; it must be more than zero and at most one day. Leave it out for the default.";
        }

        if (SoftTimeout is { } soft && HardTimeout is { } hard && soft >= hard)
            yield return $"{name}.SoftTimeout ({soft}) must be shorter than HardTimeout ({hard}): it is when a stale value is good enough.";
        if (RefreshAfter is { } after && after is not (>= 0.1 and <= 0.95))
            yield return $"{name}.RefreshAfter is {after}; it is a part of the life, from 0.1 to 0.95. 0.8 refreshes in the last fifth.";
        var isStrict = (FailoverSafety ?? common.FailoverSafety) == Caching.FailoverSafety.Strict;
        var isLarge = (Large ?? common.Large) == true;
        if (isLarge && Memory == true)
            yield return $"{name} has Large and Memory: memory keeps no large values. Take one of them away.";
        if (isLarge && isStrict)
            yield return $"{name} has Large and FailoverSafety.Strict: which server answers over the connection for large values is not known as surely as that asks for. Take one of them away.";
        if ((Sliding ?? common.Sliding) == true && isStrict)
            yield return $"{name} has Sliding and FailoverSafety.Strict: the age of a value whose life begins anew cannot be told. Take one of them away.";
    }
}

/// <summary>What holds for one family, once all defaults are in.</summary>
internal sealed class FamilyPolicy
{
    public FamilyPolicy(CacheOptions options, string family)
    {
        var own = options.Families.TryGetValue(family, out var given) ? given : new CacheFamilyOptions();
        var common = options.Defaults;
        Large = own.Large ?? common.Large ?? false;
        Memory = !Large && options.Memory && (own.Memory ?? common.Memory ?? true);
        MemoryTtl = own.MemoryTtl ?? common.MemoryTtl ?? options.MemoryTtl;
        WhenStale = own.WhenStale ?? common.WhenStale ?? StaleMode.IfError;
        SoftTimeout = own.SoftTimeout ?? common.SoftTimeout;
        HardTimeout = own.HardTimeout ?? common.HardTimeout;
        LoaderTimeout = own.LoaderTimeout ?? common.LoaderTimeout ?? TimeSpan.FromSeconds(30);
        RefreshAfter = own.RefreshAfter ?? common.RefreshAfter;
        Sliding = own.Sliding ?? common.Sliding ?? false;
        FailoverSafety = own.FailoverSafety ?? common.FailoverSafety ?? FailoverSafety.Relaxed;
        ReadMode = own.ReadMode ?? common.ReadMode ?? ReadMode.Auto;
        Invalidation = own.Invalidation ?? common.Invalidation ?? Invalidation.Fast;
        WaitForOthers = own.WaitForOthers ?? common.WaitForOthers ?? true;
        LeaseWait = own.LeaseWait ?? common.LeaseWait ?? TimeSpan.FromSeconds(10);
        ClockSkew = options.ClockSkew;
        WhenHeld = own.WhenHeld ?? common.WhenHeld ?? WhenHeld.Load;
    }

    public bool Large { get; }
    public bool Memory { get; }
    public TimeSpan MemoryTtl { get; }
    public StaleMode WhenStale { get; }
    public TimeSpan? SoftTimeout { get; }
    public TimeSpan? HardTimeout { get; }
    public TimeSpan LoaderTimeout { get; }
    public double? RefreshAfter { get; }
    public bool Sliding { get; }
    public FailoverSafety FailoverSafety { get; }
    public ReadMode ReadMode { get; }
    public Invalidation Invalidation { get; }
    public bool WaitForOthers { get; }
    public TimeSpan LeaseWait { get; }
    public TimeSpan ClockSkew { get; }
    public WhenHeld WhenHeld { get; }
}
