namespace Onggi.AspNetCore.Authentication;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
internal static class WebMutants
{
    /// <summary>The session that a token names is asked for, and what is found is not looked at.</summary>
    public static bool DeadSessions;

    /// <summary>A ticket whose session is gone is stored anew when it is renewed.</summary>
    public static bool RecreateOnRenew;

    /// <summary>Who signs in while he shows a cookie goes on under the id in that cookie.</summary>
    public static bool KeepIdAtSignIn;

    /// <summary>A ticket is taken for whatever session it stands in.</summary>
    public static bool AnybodysTicket;

    /// <summary>A late commit of a web session is written whatever has become of it.</summary>
    public static bool CommitBlindly;

    /// <summary>A key ring that Redis has lost stays lost.</summary>
    public static bool ForgetKeys;
}
