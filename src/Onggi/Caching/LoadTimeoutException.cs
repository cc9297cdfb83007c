namespace Onggi.Caching;

/// <summary>A value could not be had in the time that the family allows: its loader, or another process that loads it, takes longer. The load goes on; asking again can find its value.</summary>
public sealed class LoadTimeoutException : TimeoutException
{
    internal LoadTimeoutException(string message)
        : base(message) { }
}
