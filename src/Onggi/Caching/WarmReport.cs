namespace Onggi.Caching;

/// <summary>How a warm-up ended.</summary>
/// <param name="Name">The name of the warm-up.</param>
/// <param name="Stored">How many entries were put into Redis.</param>
/// <param name="Failed">How many were not, because Redis refused, did not answer or was away, or because the value could not be written as JSON.</param>
/// <param name="Elapsed">How long it took.</param>
public sealed record WarmReport(string Name, long Stored, long Failed, TimeSpan Elapsed);

/// <summary>How far a warm-up is, told after each batch.</summary>
/// <param name="Name">The name of the warm-up.</param>
/// <param name="Done">How many entries are dealt with: stored, failed, or found to be there already.</param>
/// <param name="Failed">How many of them failed.</param>
/// <param name="Total">How many there will be; <c>null</c> when the source does not say beforehand.</param>
public readonly record struct WarmProgress(string Name, long Done, long Failed, long? Total);
