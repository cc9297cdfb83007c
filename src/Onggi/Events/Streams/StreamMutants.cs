namespace Onggi.Events.Streams;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Each stands in the code where the right way stands, beside a comment that begins with <c>mutant:</c>. Of a script the mutant is one changed line of it.</remarks>
internal static class StreamMutants
{
    /// <summary>A script's file, a line of it, and what stands there instead.</summary>
    public static (string Script, string Line, string Instead)? Script;

    /// <summary>A message is acknowledged when it is read, not when it is handled.</summary>
    public static bool AcknowledgeFirst;

    /// <summary>Nobody says that a message is still being worked on.</summary>
    public static bool NoRenewal;

    /// <summary>The marks are not looked at.</summary>
    public static bool NoLook;
}
