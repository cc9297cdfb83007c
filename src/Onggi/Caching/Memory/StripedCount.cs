namespace Onggi.Caching;

/// <summary>A count that many threads raise at once without waiting for each other.</summary>
/// <remarks>
/// Each thread adds to the cell that its number points to, without an interlocked operation; cells lie two cache lines apart. What can be lost:
/// two threads whose numbers are equal modulo <see cref="Stripes"/> and who add in the same few nanoseconds may count as one. With fewer
/// threads than cells that is rare, as the numbers of threads are given again from the smallest; nothing is ever counted twice. So it is for
/// statistics, not for decisions.
/// </remarks>
internal sealed class StripedCount
{
    private const int Stripes = 64;
    private const int Apart = 128 / sizeof(long);

    // The first stretch stays empty, to keep the length of the array off the line that is written.
    private readonly long[] _cells = new long[(Stripes + 1) * Apart];

    public long Sum
    {
        get
        {
            var sum = 0L;
            for (var at = Apart; at < _cells.Length; at += Apart)
                sum += Volatile.Read(ref _cells[at]);
            return sum;
        }
    }

    public void Increment()
    {
        ref var cell = ref _cells[((Environment.CurrentManagedThreadId & (Stripes - 1)) + 1) * Apart];
        Volatile.Write(ref cell, cell + 1);
    }
}
