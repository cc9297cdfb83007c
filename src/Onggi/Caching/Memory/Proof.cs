namespace Onggi.Caching;

/// <summary>That this process has heard of every change which Redis made before a certain moment. It does not change; a newer one takes its place.</summary>
/// <param name="generation">The connection it was heard on: it says nothing about entries that came over another.</param>
/// <param name="until">
/// The last millisecond, by the clock of memory, at which it is young enough: the moment before the question left + the bound − the
/// resolution of the clock. Never counted from when the answer came.
/// </param>
internal sealed class Proof(long generation, long until)
{
    public readonly long Generation = generation;
    public readonly long Until = until;
}
