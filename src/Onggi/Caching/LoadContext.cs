namespace Onggi.Caching;

/// <summary>What a loader may decide about the value it makes, and how it hears that nobody waits for it any more.</summary>
public sealed class LoadContext
{
    internal LoadContext(CancellationToken cancellationToken) => CancellationToken = cancellationToken;

    /// <summary>How long what this load returns is fresh, "does not exist" included, cut to the longest that the catalog's rules allow; <c>null</c> leaves it to the catalog.</summary>
    /// <value>Default <c>null</c>.</value>
    /// <exception cref="ArgumentOutOfRangeException">The time is zero or negative; set <see cref="DontStore"/> instead.</exception>
    public TimeSpan? Ttl
    {
        get;
        set
        {
            if (value is { } ttl && ttl <= TimeSpan.Zero)
                throw new ArgumentOutOfRangeException(nameof(value), "A time to live must be positive; set DontStore to store nothing.");
            field = value;
        }
    }

    /// <summary>Whether to hand the result to the waiting callers without storing it anywhere.</summary>
    /// <value>Default <c>false</c>.</value>
    public bool DontStore { get; set; }

    /// <summary>Cancelled when the last caller who waited for this load has left. It is never the token of one caller.</summary>
    public CancellationToken CancellationToken { get; }
}
