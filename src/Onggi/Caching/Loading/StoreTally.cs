namespace Onggi.Caching;

/// <summary>Counts what a batch of loads stored.</summary>
internal sealed class StoreTally
{
    private long _stored;
    private long _notStored;
    private long _overtaken;

    public long Stored => Volatile.Read(ref _stored);

    public long NotStored => Volatile.Read(ref _notStored);

    /// <summary>How many of those that were not had lost their lease.</summary>
    public long Overtaken => Volatile.Read(ref _overtaken);

    public void Count(FillCode code)
    {
        Count(code == FillCode.Stored);
        if (code == FillCode.LeaseLost)
            Interlocked.Increment(ref _overtaken);
    }

    public void Count(bool stored)
    {
        if (stored)
            Interlocked.Increment(ref _stored);
        else
            Interlocked.Increment(ref _notStored);
    }
}
