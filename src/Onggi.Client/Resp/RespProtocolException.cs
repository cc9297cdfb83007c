namespace Onggi.Client.Resp;

/// <summary>The bytes from the server are not RESP3, or break a limit. The connection that carried them is closed.</summary>
public sealed class RespProtocolException(string message) : Exception(message);
