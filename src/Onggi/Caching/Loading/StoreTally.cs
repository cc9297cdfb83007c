namespace Onggi.Caching;

/// <summary>Counts what a batch of loads stored.</summary>
internal sealed class StoreTally
{
    private long _stored;
    private long _notStored;

    public long Stored => Volatile.Read(ref _stored);

    public long NotStored => Volatile.Read(ref _notStored);

    public void Count(bool stored)
    {
        if (stored)
            Interlocked.Increment(ref _stored);
        else
            Interlocked.Increment(ref _notStored);
    }
}
