namespace Onggi.Events.Streams;

/// <summary>How a group stands with a stream.</summary>
/// <param name="Group">The group's name: the service's, with what was put behind it.</param>
/// <param name="Pending">Events that were handed out and are not settled: in hand, waiting to be tried again, or left by a process that died.</param>
/// <param name="Waiting">Events that were not handed out yet; <c>null</c> where Redis does not know.</param>
/// <param name="Oldest">The age of the oldest event that is not settled; <c>null</c> when all are.</param>
/// <param name="Consumers">Processes that Redis knows in this group, also such as ended lately.</param>
public sealed record StreamGroupStatus(string Group, long Pending, long? Waiting, TimeSpan? Oldest, long Consumers);
