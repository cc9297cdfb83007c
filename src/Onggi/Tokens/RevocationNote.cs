using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Tokens;

/// <summary>One revocation as a script call that can be made again and again: what it ends stays ended, and what began since is not touched.</summary>
/// <param name="script">The script that makes it.</param>
/// <param name="keys">Its keys.</param>
/// <param name="args">Its arguments, of what is left of the time that it is to be kept.</param>
/// <param name="keptFor">For how long it matters when it has been made: afterwards no token that it ended would be taken anyway.</param>
/// <param name="triedFor">For how long it is tried while it has not been made: a refresh family that was to end goes on until then, and hands out new tokens.</param>
internal sealed class RevocationNote(
    RedisScript script,
    RedisArg[] keys,
    Func<RevocationNote, long, RedisArg[]> args,
    TimeSpan keptFor,
    TimeSpan triedFor
) : ReassertedNote
{
    public RedisScript Script { get; } = script;

    public RedisArg[] Keys { get; } = keys;

    /// <summary>A sign-out everywhere: it is made with an epoch.</summary>
    public bool HasEpoch { get; init; }

    /// <summary>Of a sign-out everywhere, the epoch that it set; until it is known, the server's time at which it was asked for; 0 while that is not known either.</summary>
    public long Epoch { get; set; }

    public override TimeSpan MattersFor(bool isMade) => isMade ? keptFor : triedFor;

    /// <summary>The script's arguments so long after it was made. What has not been made yet (<c>null</c>) is kept as long as if it were asked for now.</summary>
    public RedisArg[] ArgsAt(TimeSpan? age) => args(this, Math.Max(1, (long)(keptFor - (age ?? TimeSpan.Zero)).TotalMilliseconds));
}
