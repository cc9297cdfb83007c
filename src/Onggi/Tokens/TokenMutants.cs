namespace Onggi.Tokens;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Each stands in the code where the right way stands.</remarks>
internal static class TokenMutants
{
    /// <summary>A refresh token's MAC is not looked at: what anybody makes up reaches Redis, and counts as an old token there.</summary>
    public static bool NoMac;

    /// <summary>The end of a family is not entered in the blacklist: its access tokens live on.</summary>
    public static bool FamilyNotDenied;

    /// <summary>A retry is answered with a successor of its own instead of the one that was stored.</summary>
    public static bool OwnSuccessor;

    /// <summary>A blacklist entry ends with the token's expiry, before the last moment at which somebody may take the token.</summary>
    public static bool DeniedUntilExpiry;

    /// <summary>Time is that of this machine.</summary>
    public static bool LocalClock;

    /// <summary>A token may be spelt in more than one way.</summary>
    public static bool AnySpelling;

    /// <summary>Unsigned tokens pass.</summary>
    public static bool Unsigned;

    /// <summary>Who is entitled to read a token is not asked.</summary>
    public static bool AnyAudience;

    /// <summary>The blacklist knows a foreign token by its id alone.</summary>
    public static bool ForeignIdAlone;

    /// <summary>Nothing is asserted again after a failover.</summary>
    public static bool NoReassertion;

    /// <summary>A sign-out that is asserted again ends what began since, too.</summary>
    public static bool SignOutAnew;

    /// <summary>A call returns before the replicas know, and says that they do.</summary>
    public static bool NoWait;
}
