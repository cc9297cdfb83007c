using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Locks;

/// <summary>One lock by its names in Redis, and for how long it is lent.</summary>
/// <param name="Family">Its family, for messages.</param>
/// <param name="Wire">The key.</param>
/// <param name="Lease">For how long it is lent.</param>
internal sealed record LockTerms(string Family, string Wire, TimeSpan Lease)
{
    private string? _wake;

    public long LeaseMs { get; } = (long)Lease.TotalMilliseconds;

    /// <summary>Where the last fence stands.</summary>
    public string FenceKey { get; } = AuxiliaryName.Of(Wire, "fence");

    /// <summary>The channel on which those that wait are woken.</summary>
    public string Wake => _wake ??= AuxiliaryName.Of(Wire, "wake");
}
