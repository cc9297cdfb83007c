using Onggi.Client;

namespace Onggi.Tokens;

/// <summary>How something is revoked.</summary>
public sealed class RevocationOptions
{
    /// <summary>Why, in a word or two: it stands in Redis and in <c>auth.token_revoked</c>.</summary>
    /// <value>Default <c>signed_out</c>.</value>
    public string Reason { get; init; } = "signed_out";

    /// <summary>Keys in Redis that are to go with it, a revoked session's data for example: unlinked in the same flush.</summary>
    /// <value>Default empty.</value>
    public IReadOnlyList<string> Unlink { get; init; } = [];

    /// <summary>How many replicas must have it before the call returns (<c>WAIT</c>): what they have, an orderly failover keeps. The call then takes a connection of its own.</summary>
    /// <value>Default 0.</value>
    public int Replicas { get; init; }

    /// <summary>How long they are waited for. <see cref="Revocation.Replicas"/> tells how many had it by then.</summary>
    /// <value>Default 1 s.</value>
    public TimeSpan ReplicaTimeout { get; init; } = TimeSpan.FromSeconds(1);

    internal static RevocationOptions Default { get; } = new();
}

/// <summary>What a revocation has done.</summary>
/// <param name="Ended">How many families ended with it; of a single token 1.</param>
/// <param name="Replicas">How many replicas had it when the call returned; 0 when none were waited for.</param>
/// <param name="Unlinked">How many of the keys in <see cref="RevocationOptions.Unlink"/> there were. The revocation holds even when these could not be removed.</param>
/// <param name="UnlinkError">Why they could not be; <c>null</c> when they could.</param>
public sealed record Revocation(int Ended, int Replicas, long Unlinked, RedisException? UnlinkError);
