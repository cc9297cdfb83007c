namespace Onggi.Caching;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Each stands in the code where the right way stands, beside a comment that begins with <c>mutant:</c>.</remarks>
internal static class CoherenceMutants
{
    /// <summary>Memory looks for the entry before it looks for the proof.</summary>
    public static bool EntryFirst;

    /// <summary>Memory serves without a proof that nothing was missed.</summary>
    public static bool NoProof;

    /// <summary>A new connection neither empties memory nor makes what came over the old one worthless.</summary>
    public static bool NoFlush;
}
