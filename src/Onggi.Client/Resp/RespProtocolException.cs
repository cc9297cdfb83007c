namespace Onggi.Client.Resp;

/// <summary>The bytes from the server are not RESP3, or break a limit, or do not mean what they must. The connection that carried them is closed.</summary>
public sealed class RespProtocolException(string message) : Exception(message)
{
    /// <summary>It is RESP3, but the connection cannot go on with what it says.</summary>
    internal bool IsWellFormed { get; init; }
}
