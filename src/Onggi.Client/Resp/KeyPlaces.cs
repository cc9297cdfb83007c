using System.Runtime.InteropServices;

namespace Onggi.Client.Resp;

/// <summary>Where a command's keys stand among its words, the name being word 0.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct KeyPlaces
{
    private enum Kind : byte
    {
        None,

        // GET key, MGET key …, MSET key value …: from First to Last (from the end when negative), each Step.
        Range,

        // EVAL script n key …: the number of keys at First, the keys behind it. ZUNIONSTORE also has one at Single.
        Counted,

        // XREAD … STREAMS key … id …: half of what follows the word.
        Streams,

        // SORT key … STORE key: one at First, perhaps one behind the word, and of several such the last.
        Stored,

        // MIGRATE host port key …: one at 3, or all behind KEYS.
        Migrated,
    }

    private readonly Kind _kind;
    private readonly sbyte _first;
    private readonly sbyte _last;
    private readonly sbyte _step;
    private readonly sbyte _single;

    private KeyPlaces(Kind kind, int first = 0, int last = 0, int step = 1, int single = 0)
    {
        _kind = kind;
        _first = (sbyte)first;
        _last = (sbyte)last;
        _step = (sbyte)step;
        _single = (sbyte)single;
    }

    public static KeyPlaces None => default;

    public static KeyPlaces Streams => new(Kind.Streams);

    public static KeyPlaces Migrated => new(Kind.Migrated);

    public bool HasNone => _kind == Kind.None;

    public static KeyPlaces Range(int first, int last, int step = 1) => new(Kind.Range, first, last, step);

    public static KeyPlaces Counted(int at, int single = 0) => new(Kind.Counted, at, single: single);

    public static KeyPlaces Stored(int first) => new(Kind.Stored, first);

    /// <summary>The keys' places in this command. None where the command is malformed: the server says so, wherever it is sent.</summary>
    public KeyPositions In(ReadOnlySpan<RedisArg> command) =>
        _kind switch
        {
            Kind.Range => Ranged(command.Length),
            Kind.Counted => AfterCount(command),
            Kind.Streams => AfterStreams(command),
            Kind.Stored => WithStore(command),
            Kind.Migrated => InMigrate(command),
            _ => default,
        };

    private KeyPositions Ranged(int length)
    {
        var last = _last < 0 ? length + _last : Math.Min((int)_last, length - 1);
        return last < _first ? default : new KeyPositions(_first, (last - _first) / _step + 1, _step);
    }

    private KeyPositions AfterCount(ReadOnlySpan<RedisArg> command)
    {
        if (_first >= command.Length || !command[_first].TryReadInt64(out var count) || count < 0 || count > command.Length - 1 - _first)
            return default;
        return new KeyPositions(_first + 1, (int)count, 1, _single);
    }

    private static KeyPositions AfterStreams(ReadOnlySpan<RedisArg> command)
    {
        for (var i = 1; i < command.Length; i++)
        {
            // The values of options and the names of group and consumer are no words of the command, whatever they say.
            if (command[i].Is("COUNT"u8) || command[i].Is("BLOCK"u8))
                i++;
            else if (command[i].Is("GROUP"u8))
                i += 2;
            else if (command[i].Is("STREAMS"u8))
                return new KeyPositions(i + 1, (command.Length - 1 - i) / 2, 1);
        }

        return default;
    }

    private KeyPositions WithStore(ReadOnlySpan<RedisArg> command)
    {
        if (_first >= command.Length)
            return default;
        var stored = 0;
        for (var i = _first + 1; i + 1 < command.Length; i++)
        {
            if (command[i].Is("LIMIT"u8))
                i += 2;
            else if (command[i].Is("BY"u8) || command[i].Is("GET"u8))
                i++;
            else if (command[i].Is("STORE"u8) || command[i].Is("STOREDIST"u8))
                stored = ++i;
        }

        return new KeyPositions(_first, 1, 1, stored);
    }

    private static KeyPositions InMigrate(ReadOnlySpan<RedisArg> command)
    {
        const int Key = 3;
        if (command.Length <= Key)
            return default;
        if (!command[Key].IsEmpty)
            return new KeyPositions(Key, 1, 1);
        for (var i = 6; i < command.Length; i++)
        {
            if (command[i].Is("AUTH"u8))
                i++;
            else if (command[i].Is("AUTH2"u8))
                i += 2;
            else if (command[i].Is("KEYS"u8))
                return new KeyPositions(i + 1, command.Length - 1 - i, 1);
        }

        return default;
    }
}

/// <summary>The places of the keys in one command, in ascending order but for a single one that may stand apart and comes first.</summary>
/// <param name="First">The first of those that stand in a row.</param>
/// <param name="Row">How many stand in a row.</param>
/// <param name="Step">From one in the row to the next.</param>
/// <param name="Single">One that stands apart; 0 for none.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct KeyPositions(int First, int Row, int Step, int Single = 0)
{
    public int Count => Row + (Single == 0 ? 0 : 1);

    /// <summary>The place of the n-th key.</summary>
    public int this[int index] =>
        Single == 0 ? First + index * Step
        : index == 0 ? Single
        : First + (index - 1) * Step;
}
