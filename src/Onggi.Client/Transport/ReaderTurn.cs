namespace Onggi.Client.Transport;

/// <summary>One thread's turn to read: it reads, or it is in its callers' code, or the turn was taken from it there.</summary>
internal sealed class ReaderTurn
{
    private const int Reading = 0;
    private const int Releasing = 1;
    private const int Taken = 2;
    private int _state;

    /// <summary>The thread that is in its callers' code.</summary>
    public int Thread { get; private set; }

    public bool IsReleasing => Volatile.Read(ref _state) == Releasing;

    /// <summary>Others can take the turn from now on. What the reader looks at after this is as they had left it when they could not see this yet.</summary>
    public void BeginRelease()
    {
        Thread = Environment.CurrentManagedThreadId;
        Interlocked.Exchange(ref _state, Releasing);
    }

    /// <summary>Goes on reading; <c>false</c> when another thread does that now.</summary>
    public bool TryEndRelease() => Interlocked.CompareExchange(ref _state, Reading, Releasing) == Releasing;

    /// <summary>Takes the turn from a thread that is in its callers' code.</summary>
    public bool TryTake() => Interlocked.CompareExchange(ref _state, Taken, Releasing) == Releasing;
}
