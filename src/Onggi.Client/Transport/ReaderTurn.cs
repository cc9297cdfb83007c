namespace Onggi.Client.Transport;

/// <summary>One thread's turn to read: it reads, or it is in its callers' code, or the turn was taken from it there.</summary>
internal sealed class ReaderTurn
{
    private const int Reading = 0;
    private const int Releasing = 1;
    private const int Taken = 2;
    private int _state;

    public bool IsReleasing => Volatile.Read(ref _state) == Releasing;

    public void BeginRelease() => Volatile.Write(ref _state, Releasing);

    /// <summary>Goes on reading; <c>false</c> when another thread does that now.</summary>
    public bool TryEndRelease() => Interlocked.CompareExchange(ref _state, Reading, Releasing) == Releasing;

    /// <summary>Takes the turn from a thread that is in its callers' code.</summary>
    public bool TryTake() => Interlocked.CompareExchange(ref _state, Taken, Releasing) == Releasing;
}
