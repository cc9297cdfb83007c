using System.Globalization;
using System.Text;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>In which slots the keys of a command are.</summary>
internal static class KeySlots
{
    /// <summary>It has no keys: any node may have it.</summary>
    public const int None = -1;

    /// <summary>Its keys are in several slots.</summary>
    public const int Several = -2;

    /// <summary>Nobody has looked: it was asked before it was known that there are slots.</summary>
    public const int NotLooked = -3;

    private const int MostNamed = 8;
    private const int MostLetters = 64;

    /// <summary>The one slot of the command's keys, <see cref="None"/> or <see cref="Several"/>.</summary>
    public static int Of(in Command command, CommandInfo info)
    {
        if (command.Script is not null)
            return Of(command.Keys, new KeyPositions(0, command.Keys.Length, 1));
        return info.Keys.HasNone ? None : Of(command.Args, info.Keys.In(command.Args));
    }

    /// <summary>What a caller gets whose command has keys in several slots and is one thing. Nothing was sent.</summary>
    public static ArgumentException Refusal(in Command command, CommandInfo info) =>
        command.Script is { } script
            ? Refusal($"The script '{script.Name}'", command.Keys, new KeyPositions(0, command.Keys.Length, 1))
            : Refusal(info.Name, command.Args, info.Keys.In(command.Args));

    private static int Of(ReadOnlySpan<RedisArg> words, KeyPositions keys)
    {
        var slot = None;
        for (var i = 0; i < keys.Count; i++)
        {
            var one = HashSlot.Of(in words[keys[i]]);
            if (slot != None && slot != one)
                return Several;
            slot = one;
        }

        return slot;
    }

    private static ArgumentException Refusal(string what, ReadOnlySpan<RedisArg> words, KeyPositions keys)
    {
        var named = new StringBuilder();
        var seen = new HashSet<int>();
        for (var i = 0; i < keys.Count && seen.Count < MostNamed; i++)
        {
            ref readonly var key = ref words[keys[i]];
            var slot = HashSlot.Of(in key);
            // One key of each slot shows what is wrong.
            if (seen.Add(slot))
                named.Append(CultureInfo.InvariantCulture, $"{(named.Length == 0 ? "" : ", ")}'{Shown(key)}' (slot {slot})");
        }

        return new ArgumentException(
            $"{what} needs all its keys in one slot of the cluster, and they are in several: {named}{(seen.Count == MostNamed ? " …" : "")}."
                + " Nothing was sent. Give the keys a common {tag}: only what stands in the first braces then decides the slot."
        );
    }

    private static string Shown(RedisArg key)
    {
        var text = key.ToString();
        var shown = new StringBuilder();
        foreach (var letter in text.AsSpan(0, Math.Min(text.Length, MostLetters)))
            shown.Append(char.IsControl(letter) ? '?' : letter);
        return text.Length > MostLetters ? $"{shown}…" : shown.ToString();
    }
}
