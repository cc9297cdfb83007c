using Onggi.Client;

namespace Onggi.Limits;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Each stands in the code where the right way stands, beside a comment that begins with <c>mutant:</c>. Of a script the mutant is a script that stands in for it.</remarks>
internal static class LimitMutants
{
    /// <summary>Stands in for the script that spends: one that charges each rule for itself, forgets the next window, or goes by a client's clock.</summary>
    public static RedisScript? Take;

    /// <summary>Stands in for the script that gives back: one that gives more than there is room for.</summary>
    public static RedisScript? Refund;

    /// <summary>What was denied stays denied for as long as the memory of it lasts.</summary>
    public static bool DenyTooLong;

    /// <summary>A Redis that hangs is waited for as long as the client waits.</summary>
    public static bool NoTimeout;
}
