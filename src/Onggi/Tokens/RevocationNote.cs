using Onggi.Client;

namespace Onggi.Tokens;

/// <summary>One revocation as a script call that can be made again and again: what it ends stays ended, and what began since is not touched.</summary>
internal sealed class RevocationNote(RedisScript script, RedisArg[] keys, Func<RevocationNote, long, RedisArg[]> args, TimeSpan keptFor)
{
    public RedisScript Script { get; } = script;

    public RedisArg[] Keys { get; } = keys;

    /// <summary>For how long it matters: afterwards no token that it ended would be taken anyway.</summary>
    public TimeSpan KeptFor { get; } = keptFor;

    /// <summary>Of a sign-out everywhere, the epoch that it set; until it is known, the time at which it was asked for.</summary>
    public long Epoch { get; set; }

    /// <summary>When it was asked for; of the process's clock that only runs forwards.</summary>
    public long Since { get; set; }

    /// <summary>When it is asserted again.</summary>
    public long Next { get; set; }

    /// <summary>The script's arguments, with what is left of its time.</summary>
    public RedisArg[] Args(long leftMs) => args(this, Math.Max(1, leftMs));
}
