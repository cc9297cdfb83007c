namespace Onggi.Cli.Auditing;

/// <summary>How many keys are asked about at once, and how long is rested afterwards, so that the services notice nothing.</summary>
internal sealed class AuditPace
{
    private const int Fewest = 10;
    private const int Most = 500;
    private static readonly TimeSpan Slow = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Quick = TimeSpan.FromMilliseconds(4);
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(200);

    /// <summary>How many keys make the next batch.</summary>
    public int AtOnce { get; private set; } = 100;

    /// <summary>A batch took so long.</summary>
    /// <returns>How long to rest: as long as it took, so that half of the time is the others'.</returns>
    public TimeSpan Rest(TimeSpan took)
    {
        if (took > Slow)
            AtOnce = Math.Max(Fewest, AtOnce / 2);
        else if (took < Quick)
            AtOnce = Math.Min(Most, AtOnce * 2);
        return took < Longest ? took : Longest;
    }
}
