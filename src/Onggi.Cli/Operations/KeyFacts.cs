using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Operations;

/// <summary>What is known of a key without reading its value.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Redis's word for what it holds.</param>
/// <param name="Family">Whose it is; <c>null</c> when it is nobody's, or there is no catalog.</param>
/// <param name="TimeLeft">How long it has to live; <c>null</c> for ever.</param>
/// <param name="EndsAt">When it ends, by the server's clock; <c>null</c> for never.</param>
/// <param name="Bytes">What it takes; <c>null</c> where that may not be asked.</param>
internal sealed record KeyFacts(string Name, string Type, FamilySettings? Family, TimeSpan? TimeLeft, DateTimeOffset? EndsAt, long? Bytes)
{
    private static readonly ReplyParser<long?> Size = static (ref reader) => reader.IsNull ? null : reader.ReadInt64();

    /// <summary>Whether what stands in it is about a person, or opens a door: then it is shown only to who asks for it.</summary>
    public bool IsPersonal => Family is { } family && (family.Personal.Count > 0 || family.Kind is "session" or "token");

    /// <summary>Asks. One round trip.</summary>
    /// <exception cref="ToolException">There is no such key.</exception>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static async Task<KeyFacts> ReadAsync(RedisClient client, string key, Keyspace? keyspace, CancellationToken cancellationToken)
    {
        var batch = client.CreateBatch();
        var type = batch.Add(["TYPE", key], ReplyParsers.Text, CommandOptions.Idempotent);
        var left = batch.Add(["PTTL", key], ReplyParsers.Milliseconds, CommandOptions.Idempotent);
        var end = batch.Add(["PEXPIRETIME", key], ReplyParsers.Int64, CommandOptions.Idempotent);
        var size = batch.Add(["MEMORY", "USAGE", key], Size, CommandOptions.Idempotent);
        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        if (type.Value is not { } word || word == "none")
            throw new ToolException(
                $"there is no key {Words.Key(key)} at {client.Options}. onggi keys --list shows what there is; a key that had a time to live may have ended."
            );
        return new KeyFacts(
            key,
            word,
            keyspace?.FamilyOf(key),
            left.Value,
            end.Value > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(end.Value) : null,
            size.Error is null ? size.Value : null
        );
    }
}
