using Onggi.Client;

namespace Onggi.Locks;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Each stands in the code where the right way stands, beside a comment that begins with <c>mutant:</c>. Of a script the mutant is a script that stands in for it.</remarks>
internal static class LockMutants
{
    /// <summary>Stands in for the script that takes a lock: fences that are only counted, an owner that is not known again.</summary>
    public static RedisScript? Acquire;

    /// <summary>Stands in for the script that renews: one that makes the key again.</summary>
    public static RedisScript? Renew;

    /// <summary>Stands in for the script that gives back: one that gives back what another holds, or wakes nobody.</summary>
    public static RedisScript? Release;

    /// <summary>The end of a lease is counted from the answer, not from before the question left.</summary>
    public static bool EndFromAnswer;

    /// <summary>The end of a lease is looked at only when no renewal is under way.</summary>
    public static bool LostWaitsForRenewal;

    /// <summary>Lost fires at the end of the lease, not before it.</summary>
    public static bool NoMargin;

    /// <summary>A caller that gave up leaves behind what it may have taken.</summary>
    public static bool AbandonUnknown;
}
