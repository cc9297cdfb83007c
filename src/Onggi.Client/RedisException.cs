namespace Onggi.Client;

/// <summary>Whether a command that failed can have reached the server.</summary>
public enum Sent
{
    /// <summary>The server did not execute it: making the call again is safe.</summary>
    No,

    /// <summary>It was handed to the network, or the server had it: make it again only if doing it twice is harmless.</summary>
    Maybe,
}

/// <summary>The base of everything that goes wrong between us and Redis.</summary>
public abstract class RedisException : Exception
{
    private protected RedisException(string message, Sent sent, bool isTransient, Exception? inner = null)
        : base(message, inner)
    {
        Sent = sent;
        IsTransient = isTransient;
    }

    /// <summary>Whether the command can have been executed.</summary>
    public Sent Sent { get; }

    /// <summary>Whether the same call may succeed if it is made again later.</summary>
    public bool IsTransient { get; }
}

/// <summary>There is no connection, or it was lost before the reply came.</summary>
public sealed class RedisConnectionException(string message, Sent sent, Exception? inner = null, bool isTransient = true)
    : RedisException(message, sent, isTransient, inner);

/// <summary>The reply did not come within the time the caller gave.</summary>
public sealed class RedisTimeoutException(string message, Sent sent, Exception? inner = null)
    : RedisException(message, sent, isTransient: true, inner);

/// <summary>The client's own limits are reached: too many commands, or too many bytes, wait for the server. Nothing was sent.</summary>
public sealed class RedisBusyException(string message) : RedisException(message, Sent.No, isTransient: true);

/// <summary>A reply arrived, whole and in order, but not of the type that the call reads.</summary>
public sealed class RedisReplyException(string message, Exception? inner = null)
    : RedisException(message, Sent.Maybe, isTransient: false, inner);

/// <summary>The server answered with an error.</summary>
public sealed class RedisServerException : RedisException
{
    /// <summary>Makes the exception from the server's error line, without the leading type byte.</summary>
    public RedisServerException(string error)
        : base(error, NotExecuted(CodeOf(error)) ? Sent.No : Sent.Maybe, MayPass(CodeOf(error))) => Code = CodeOf(error);

    /// <summary>One part of a command was refused, when others may have been executed.</summary>
    internal RedisServerException(string error, Sent sent, RedisServerException inner)
        : base(error, sent, inner.IsTransient, inner) => Code = inner.Code;

    /// <summary>The first word of the error: <c>WRONGTYPE</c>, <c>OOM</c>, <c>NOSCRIPT</c>, <c>ERR</c> …</summary>
    public string Code { get; }

    private static string CodeOf(string error)
    {
        var space = error.IndexOf(' ', StringComparison.Ordinal);
        return space < 0 ? error : error[..space];
    }

    // The server says these before it executes anything.
    private static bool NotExecuted(string code) =>
        code
            is "NOSCRIPT"
                or "MOVED"
                or "ASK"
                or "TRYAGAIN"
                or "LOADING"
                or "READONLY"
                or "CLUSTERDOWN"
                or "MASTERDOWN"
                or "NOAUTH"
                or "NOPERM"
                or "WRONGPASS"
                or "BUSY"
                or "OOM"
                or "NOREPLICAS"
                or "EXECABORT";

    private static bool MayPass(string code) =>
        code is "TRYAGAIN" or "LOADING" or "READONLY" or "CLUSTERDOWN" or "MASTERDOWN" or "BUSY" or "OOM" or "NOREPLICAS" or "NOSCRIPT";
}
