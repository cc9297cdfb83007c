using System.Collections.Frozen;

namespace Onggi.Client.Resp;

/// <summary>What there is to know of a command before it is sent: where its keys stand, and what it does to the server and to its connection.</summary>
internal sealed class CommandInfo(string name, KeyPlaces keys, CommandFlags flags)
{
    /// <summary>The name in capitals, a subcommand after a space: <c>GET</c>, <c>CLIENT LIST</c>.</summary>
    public string Name { get; } = name;

    public KeyPlaces Keys { get; } = keys;

    public CommandFlags Flags { get; } = flags;

    /// <summary>It changes nothing.</summary>
    public bool OnlyReads => Has(CommandFlags.Reads);

    /// <summary>A replica may answer it, where old answers are allowed. Not the SCAN family: a cursor means nothing to another server.</summary>
    public bool MayReadReplica => OnlyReads && !Has(CommandFlags.Cursor);

    /// <summary>It has no keys, and asking twice is harmless: PING, INFO, SCRIPT LOAD.</summary>
    public bool OnlyAsksServer => Keys.HasNone && Has(CommandFlags.Again);

    /// <summary>It changes what its connection is or does, so on a shared connection it would change it for everybody.</summary>
    public bool ChangesConnection => Has(CommandFlags.Connection);

    /// <summary>Its reply is typically long: it would keep short ones behind it waiting.</summary>
    public bool IsBulk => Has(CommandFlags.Bulk);

    /// <summary>How replies are joined when its keys are in several slots; <see cref="ReplyJoin.None"/> where the keys must share one.</summary>
    public ReplyJoin Join =>
        Has(CommandFlags.JoinsArray) ? ReplyJoin.Array
        : Has(CommandFlags.JoinsSum) ? ReplyJoin.Sum
        : Has(CommandFlags.JoinsOk) ? ReplyJoin.Ok
        : ReplyJoin.None;

    /// <summary>By the second word, where the first does not say what is done: CLIENT, CONFIG …</summary>
    internal FrozenDictionary<string, CommandInfo>? Subcommands { get; init; }

    /// <summary>Whether the server keeps this connection waiting until something happens elsewhere; XREAD does only with BLOCK.</summary>
    public bool Blocks(ReadOnlySpan<RedisArg> command) =>
        Has(CommandFlags.Blocks) || (Has(CommandFlags.BlocksIfAsked) && AsksToBlock(command));

    /// <summary>What happens if the command is executed a second time, because nobody knows whether it was the first time.</summary>
    public Repetition Repeated(ReadOnlySpan<RedisArg> command)
    {
        if (OnlyReads || Has(CommandFlags.Again))
            return Repetition.Harmless;
        if (Has(CommandFlags.AgainIfPlain))
            return HasOnlyExpiryOptions(command) ? Repetition.Harmless : Repetition.Never;
        if (Has(CommandFlags.SameState))
            return Repetition.SameState;
        if (Has(CommandFlags.SameStateIfPlain))
            return StartsWithNumber(command) ? Repetition.SameState : Repetition.Never;
        return Repetition.Never;
    }

    private bool Has(CommandFlags flag) => (Flags & flag) != CommandFlags.None;

    // XREAD [COUNT n] [BLOCK ms] STREAMS key … id …
    private static bool AsksToBlock(ReadOnlySpan<RedisArg> command)
    {
        for (var i = 1; i < command.Length && !command[i].Is("STREAMS"u8); i++)
            if (command[i].Is("BLOCK"u8))
                return true;
        return false;
    }

    // SET key value [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] and EXPIRE key s. Any other option, also one of a later server, makes the outcome depend on what was there.
    private static bool HasOnlyExpiryOptions(ReadOnlySpan<RedisArg> command)
    {
        for (var i = 3; i < command.Length; i++)
        {
            ref readonly var option = ref command[i];
            if (option.Is("EX"u8) || option.Is("PX"u8) || option.Is("EXAT"u8) || option.Is("PXAT"u8))
                i++;
            else if (!option.Is("KEEPTTL"u8))
                return false;
        }

        return true;
    }

    // ZADD key score member …: an option in the place of the first score can be INCR.
    private static bool StartsWithNumber(ReadOnlySpan<RedisArg> command) => command.Length > 2 && command[2].TryReadDouble(out _);
}

/// <summary>What a command is like.</summary>
[Flags]
internal enum CommandFlags
{
    None = 0,

    /// <summary>It changes nothing.</summary>
    Reads = 1,

    /// <summary>It goes on where an earlier one stopped, on the same server.</summary>
    Cursor = 1 << 1,

    /// <summary>Its reply is typically long.</summary>
    Bulk = 1 << 2,

    /// <summary>Its connection waits until something happens elsewhere, or is of no other use from then on.</summary>
    Blocks = 1 << 3,

    /// <summary>As <see cref="Blocks"/>, with the option BLOCK.</summary>
    BlocksIfAsked = 1 << 4,

    /// <summary>It changes the state of its connection.</summary>
    Connection = 1 << 5,

    /// <summary><see cref="Repetition.Harmless"/>.</summary>
    Again = 1 << 6,

    /// <summary><see cref="Repetition.Harmless"/> when no option but a time to live follows the third word.</summary>
    AgainIfPlain = 1 << 7,

    /// <summary><see cref="Repetition.SameState"/>.</summary>
    SameState = 1 << 8,

    /// <summary><see cref="Repetition.SameState"/> when a number follows the key.</summary>
    SameStateIfPlain = 1 << 9,

    /// <summary><see cref="ReplyJoin.Array"/>.</summary>
    JoinsArray = 1 << 10,

    /// <summary><see cref="ReplyJoin.Sum"/>.</summary>
    JoinsSum = 1 << 11,

    /// <summary><see cref="ReplyJoin.Ok"/>.</summary>
    JoinsOk = 1 << 12,
}

/// <summary>What it means that a command is executed twice instead of once.</summary>
internal enum Repetition
{
    /// <summary>Twice is not once: INCR, LPUSH, a script.</summary>
    Never,

    /// <summary>The data are the same afterwards, but the reply tells of the second time: DEL says 0 where the first said 1. Only for callers to whom the reply means nothing.</summary>
    SameState,

    /// <summary>Neither the data nor the reply show it: GET, SET.</summary>
    Harmless,
}

/// <summary>How the replies to the parts of a command become the reply to the whole.</summary>
internal enum ReplyJoin
{
    /// <summary>They cannot: the command is one thing.</summary>
    None,

    /// <summary>One element for each key, in the order of the keys.</summary>
    Array,

    /// <summary>A count of keys: they are added up.</summary>
    Sum,

    /// <summary>OK when all are.</summary>
    Ok,

    /// <summary>All elements of all arrays.</summary>
    Concatenation,

    /// <summary>All answer the same: the first.</summary>
    First,
}
