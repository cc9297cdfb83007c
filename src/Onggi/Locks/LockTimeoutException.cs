namespace Onggi.Locks;

/// <summary>The lock was held by others for longer than the caller wanted to wait.</summary>
/// <param name="message">Which family, and for how long.</param>
public sealed class LockTimeoutException(string message) : TimeoutException(message);

/// <summary>The lease is over: what is done under it must stop.</summary>
/// <param name="message">Which family, and which fence.</param>
public sealed class LeaseLostException(string message) : InvalidOperationException(message);
