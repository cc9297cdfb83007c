namespace Onggi.Keys;

/// <summary>The catalog cannot be used; the message lists every mistake with its line, its reason and what to write instead.</summary>
/// <param name="message">All of that.</param>
public sealed class CatalogException(string message) : Exception(message);
