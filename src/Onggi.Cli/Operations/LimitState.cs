using System.Globalization;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Operations;

/// <summary>What somebody has spent of a budget, as far as Redis knows: the bounds themselves stand in the services.</summary>
/// <param name="Rules">By the name of the rule, in words.</param>
/// <param name="Places">How many places are taken; 0 where none are counted.</param>
/// <param name="FullIn">When all is forgotten; <c>null</c> when nothing is spent.</param>
internal sealed record LimitState(IReadOnlyList<(string Rule, string Text)> Rules, long Places, TimeSpan? FullIn)
{
    private const string PlacesPart = "places";

    private static readonly ReplyParser<long> ServerMicroseconds = static (ref reader) =>
    {
        var parts = ReplyParsers.ReadArray(ref reader, static (ref part) => part.ReadInt64());
        return (parts[0] * 1_000_000) + parts[1];
    };

    /// <summary>Whether anything is spent.</summary>
    public bool IsEmpty => Rules.Count == 0 && Places == 0;

    /// <summary>The keys of a budget.</summary>
    public static (string Rules, string Places) KeysOf(string key) => (key, AuxiliaryName.Of(key, PlacesPart));

    /// <summary>Reads it. Two round trips.</summary>
    /// <exception cref="RedisException">Redis is gone, or refuses; or the key is no budget.</exception>
    public static async Task<LimitState> ReadAsync(RedisClient client, string key, CancellationToken cancellationToken)
    {
        var now = await client.SendAsync(["TIME"], ServerMicroseconds, cancellationToken).ConfigureAwait(false);
        var (rules, places) = KeysOf(key);
        var batch = client.CreateBatch();
        var states = batch.Add(["HGETALL", rules], ReplyParsers.Reply, CommandOptions.Idempotent);
        var left = batch.Add(["PTTL", rules], ReplyParsers.Milliseconds, CommandOptions.Idempotent);
        var taken = batch.Add(["ZCOUNT", places, $"({now / 1000}", "+inf"], ReplyParsers.Int64, CommandOptions.Idempotent);
        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        return new LimitState(
            [.. states.Value.Items.Chunk(2).Select(pair => (Words.Key(pair[0].Text ?? ""), InWords(pair[1].Text ?? "", now)))],
            taken.Value,
            left.Value
        );
    }

    // A time in µs when all is there again (even flow), or id:this:previous (windows).
    private static string InWords(string state, long now)
    {
        if (double.TryParse(state, NumberStyles.Float, CultureInfo.InvariantCulture, out var full))
            return full <= now
                ? "full"
                : $"full again in {Words.Time(TimeSpan.FromMicroseconds(Math.Ceiling((full - now) / 1000) * 1000))}";
        var parts = state.Split(':');
        return parts.Length == 3 ? $"{parts[1]} spent in the last window that was used, {parts[2]} in the one before" : Words.Key(state);
    }
}
