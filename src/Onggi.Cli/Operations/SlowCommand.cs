using System.Globalization;
using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;

namespace Onggi.Cli.Operations;

/// <summary>An entry of the slow log, as much of it as may be shown.</summary>
/// <param name="Id">Its number.</param>
/// <param name="At">When.</param>
/// <param name="Took">How long the server was at it; waiting does not count.</param>
/// <param name="Text">The command; values as their lengths, personal keys as their family.</param>
/// <param name="Families">Whose keys it named.</param>
/// <param name="Client">Who gave it: name or address.</param>
internal sealed record SlowCommand(long Id, DateTimeOffset At, TimeSpan Took, string Text, IReadOnlyList<string> Families, string Client)
{
    private const int MostShown = 5;
    private const int ArgumentCharacters = 60;

    /// <summary>Reads the newest entries. One round trip.</summary>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static async Task<IReadOnlyList<SlowCommand>> ReadAsync(
        RedisClient client,
        int count,
        Keyspace? keyspace,
        bool showArguments,
        CancellationToken cancellationToken
    )
    {
        var reply = await client.ExecuteAsync(["SLOWLOG", "GET", count], cancellationToken).ConfigureAwait(false);
        return [.. reply.Items.Select(entry => Of(entry, keyspace, showArguments))];
    }

    private static SlowCommand Of(Reply entry, Keyspace? keyspace, bool showArguments)
    {
        var args = entry.Items[3].Items.Select(arg => arg.Bytes.ToArray()).ToList();
        var client =
            entry.Items.Count > 5 && entry.Items[5].Text is { Length: > 0 } name ? name
            : entry.Items.Count > 4 ? entry.Items[4].Text
            : null;
        var (text, families) = Redacted(args, keyspace, showArguments);
        return new SlowCommand(
            Number(entry.Items[0]),
            DateTimeOffset.FromUnixTimeSeconds(Number(entry.Items[1])),
            TimeSpan.FromMicroseconds(Number(entry.Items[2])),
            text,
            families,
            Words.Key(client ?? "")
        );
    }

    /// <summary>A command that can be shown to who may look after Redis but not read what is in it.</summary>
    /// <param name="args">Its words.</param>
    /// <param name="keyspace">Tells keys from values; <c>null</c> where there is no catalog: then all are hidden.</param>
    /// <param name="showArguments">Whether all is shown, cut.</param>
    public static (string Text, IReadOnlyList<string> Families) Redacted(IReadOnlyList<byte[]> args, Keyspace? keyspace, bool showArguments)
    {
        var families = new List<string>();
        var words = new List<string> { SafeText.Line(args[0], ArgumentCharacters).ToUpperInvariant() };
        foreach (var arg in args.Skip(1))
        {
            var family = keyspace?.FamilyOf(Encoding.UTF8.GetString(arg));
            if (family is not null && !families.Contains(family.Family.Name))
                families.Add(family.Family.Name);
            if (words.Count <= MostShown)
                words.Add(Show(arg, family, showArguments, isFirst: words.Count == 1));
        }

        if (args.Count - 1 > MostShown)
            words.Add($"… {args.Count - 1 - MostShown} more");
        return (string.Join(' ', words), families);
    }

    private static string Show(byte[] arg, FamilySettings? family, bool showArguments, bool isFirst)
    {
        if (showArguments)
            return SafeText.Line(arg, ArgumentCharacters);
        if (family is not null)
            return family.Personal.Count > 0 || family.Kind is "session" or "token"
                ? family.Pattern
                : SafeText.Line(arg, ArgumentCharacters);
        // Subcommands and options are words in capitals or small letters, and short; a value can look so too, but not at the first place.
        return isFirst && arg.Length <= 10 && arg.All(static b => char.IsAsciiLetter((char)b))
            ? Encoding.ASCII.GetString(arg)
            : $"({Words.Size(arg.Length)})";
    }

    private static long Number(Reply reply) => long.Parse(reply.Text!, CultureInfo.InvariantCulture);
}
