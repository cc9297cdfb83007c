namespace Onggi.Sessions;

/// <summary>Which sessions of a user are to end. It can be said again: what has ended stays so, and what began after it was asked for is not meant.</summary>
/// <param name="Partition">The user's partition.</param>
/// <param name="Mode">The script's word: <c>one</c>, <c>all</c> or <c>others</c>.</param>
/// <param name="Handles">Those to end with <c>one</c>, the one that goes on with <c>others</c>.</param>
/// <param name="IsShown">Whether the handle is of an id that a visitor showed: if another has replaced that one, it stands for its successor.</param>
/// <param name="Reason">For the events.</param>
internal sealed record SessionEnd(string Partition, string Mode, IReadOnlyList<string> Handles, bool IsShown, string Reason)
{
    private const string One = "one";

    /// <summary>Whether it names what is to end.</summary>
    public bool IsByHandle => Mode == One;

    /// <summary>The session of an id that was shown.</summary>
    public static SessionEnd OfShown(string partition, string handle, string reason) => new(partition, One, [handle], true, reason);

    /// <summary>Sessions by their handles.</summary>
    public static SessionEnd Of(string partition, IReadOnlyList<string> handles, string reason) =>
        new(partition, One, handles, false, reason);

    /// <summary>All that a user has.</summary>
    public static SessionEnd OfAll(string partition, string reason) => new(partition, "all", [], false, reason);

    /// <summary>All but the one of an id that was shown.</summary>
    public static SessionEnd OfOthers(string partition, string kept, string reason) => new(partition, "others", [kept], true, reason);
}
