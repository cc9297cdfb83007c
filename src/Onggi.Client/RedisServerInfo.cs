namespace Onggi.Client;

/// <summary>What the server said of itself when the connection was made.</summary>
/// <param name="Product"><c>redis</c> or <c>valkey</c>.</param>
/// <param name="Version">Its version.</param>
/// <param name="Mode"><c>standalone</c>, <c>sentinel</c> or <c>cluster</c>.</param>
/// <param name="Role"><c>master</c> or <c>replica</c>.</param>
public sealed record RedisServerInfo(string Product, Version Version, string Mode, string Role);
