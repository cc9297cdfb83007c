using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Onggi.Client.Resp;

/// <summary>Finds what there is to know of a command by its name, in capitals or not, without allocation.</summary>
/// <remarks>What it knows is written in <see cref="CommandList"/>.</remarks>
internal static class CommandTable
{
    /// <summary>Of a command that we do not know we assume the worst, and that its first argument is a key: on a cluster the server corrects us when it is another one.</summary>
    public static readonly CommandInfo Unknown = new("", KeyPlaces.Range(1, 1), CommandFlags.None);

    // The keys of a subcommand that we do not know can stand anywhere, and mostly there are none.
    private static readonly CommandInfo UnknownSubcommand = new("", KeyPlaces.None, CommandFlags.None);

    private static readonly FrozenDictionary<string, CommandInfo> Commands = Read(CommandList.Text);

    private static readonly CommandInfo EvalSha = Commands["EVALSHA"];

    /// <summary>All commands; those with subcommands stand for what is left when the second word is none of them.</summary>
    public static IEnumerable<CommandInfo> All => Commands.Values.SelectMany(info => (info.Subcommands?.Values ?? []).Prepend(info));

    /// <summary>What there is to know of this command; <see cref="Unknown"/> when nothing is.</summary>
    public static CommandInfo Find(in Command command) => command.Script is not null ? EvalSha : Find(command.Args);

    /// <inheritdoc cref="Find(in Command)"/>
    public static CommandInfo Find(ReadOnlySpan<RedisArg> command)
    {
        if (command.IsEmpty || Find(Commands, in command[0]) is not { } info)
            return Unknown;
        if (info.Subcommands is null || command.Length < 2)
            return info;
        return Find(info.Subcommands, in command[1]) ?? UnknownSubcommand;
    }

    private static CommandInfo? Find(FrozenDictionary<string, CommandInfo> commands, in RedisArg name)
    {
        // Of bytes the name is none that is in the table.
        if (commands.TryGetValue(name.Name, out var info))
            return info;
        Span<byte> bytes = stackalloc byte[ArgWords.MaxBytes];
        Span<char> letters = stackalloc char[ArgWords.MaxBytes];
        if (!name.TryWrite(bytes, out var length))
            return null;
        Encoding.Latin1.GetChars(bytes[..length], letters);
        return commands.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(letters[..length], out info) ? info : null;
    }

    // Lines of name, keys and flags, between two or more spaces; a subcommand's line has two names.
    private static FrozenDictionary<string, CommandInfo> Read(string text)
    {
        var all = new List<CommandInfo>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] == '#')
                continue;
            var columns = line.Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            all.Add(new CommandInfo(columns[0], Keys(columns[1]), columns.Length > 2 ? Flags(columns[2]) : CommandFlags.None));
        }

        var bySpace = all.ToLookup(info => info.Name.Contains(' ', StringComparison.Ordinal));
        var commands = bySpace[false].ToDictionary(info => info.Name, StringComparer.OrdinalIgnoreCase);
        foreach (var group in bySpace[true].GroupBy(info => info.Name[..info.Name.IndexOf(' ', StringComparison.Ordinal)]))
        {
            // COMMAND stands for something by itself too.
            var alone = commands.GetValueOrDefault(group.Key);
            commands[group.Key] = new CommandInfo(group.Key, KeyPlaces.None, alone?.Flags ?? CommandFlags.None)
            {
                Subcommands = group.ToFrozenDictionary(info => info.Name[(group.Key.Length + 1)..], StringComparer.OrdinalIgnoreCase),
            };
        }

        return commands.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
    }

    private static KeyPlaces Keys(string column)
    {
        switch (column)
        {
            case "-":
                return KeyPlaces.None;
            case "streams":
                return KeyPlaces.Streams;
            case "migrate":
                return KeyPlaces.Migrated;
            case "1+store":
                return KeyPlaces.Stored(1);
            case "1+n@2":
                return KeyPlaces.Counted(2, single: 1);
        }

        if (column.StartsWith("n@", StringComparison.Ordinal))
            return KeyPlaces.Counted(Number(column.AsSpan(2)));
        var step = column.Split('/');
        var range = step[0].Split("..");
        return KeyPlaces.Range(Number(range[0]), Number(range[^1]), step.Length > 1 ? Number(step[1]) : 1);
    }

    private static int Number(ReadOnlySpan<char> digits) => int.Parse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

    private static CommandFlags Flags(string column)
    {
        var flags = CommandFlags.None;
        foreach (var word in column.Split(' '))
            flags |= word switch
            {
                "reads" => CommandFlags.Reads,
                "cursor" => CommandFlags.Cursor,
                "bulk" => CommandFlags.Bulk,
                "blocks" => CommandFlags.Blocks,
                "blocks?" => CommandFlags.BlocksIfAsked,
                "connection" => CommandFlags.Connection,
                "again" => CommandFlags.Again,
                "again?" => CommandFlags.AgainIfPlain,
                "state" => CommandFlags.SameState,
                "state?" => CommandFlags.SameStateIfPlain,
                "array" => CommandFlags.JoinsArray,
                "sum" => CommandFlags.JoinsSum,
                "ok" => CommandFlags.JoinsOk,
                _ => throw new FormatException($"'{word}' is no flag of a command."),
            };
        return flags;
    }
}
