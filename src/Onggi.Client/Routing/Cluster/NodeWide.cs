using System.Collections.Frozen;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>Commands without keys that speak of all keys, or of all scripts: one node's answer would be a lie.</summary>
internal static class NodeWide
{
    private static readonly FrozenDictionary<string, ReplyJoin> Joins = new Dictionary<string, ReplyJoin>
    {
        ["DBSIZE"] = ReplyJoin.Sum,
        ["KEYS"] = ReplyJoin.Concatenation,
        ["FLUSHALL"] = ReplyJoin.Ok,
        ["FLUSHDB"] = ReplyJoin.Ok,
        ["SCRIPT FLUSH"] = ReplyJoin.Ok,
        ["SCRIPT LOAD"] = ReplyJoin.First,
        ["FUNCTION FLUSH"] = ReplyJoin.Ok,
        ["FUNCTION DELETE"] = ReplyJoin.Ok,
        ["FUNCTION RESTORE"] = ReplyJoin.Ok,
        ["FUNCTION LOAD"] = ReplyJoin.First,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>How the answers of all primaries become one; <see cref="ReplyJoin.None"/> for a command that one of them answers.</summary>
    /// <exception cref="ArgumentException">Their answers cannot become one.</exception>
    public static ReplyJoin JoinOf(CommandInfo info) =>
        Joins.TryGetValue(info.Name, out var join)
            ? join
            : info.Name switch
            {
                "SCAN" => throw Refusal(info, "its cursor means something to one node only. Use ScanAsync, which walks all primaries"),
                "RANDOMKEY" => throw Refusal(info, "one node knows only its own keys"),
                "SWAPDB" => throw Refusal(info, "a cluster has one database"),
                _ when info.Name.StartsWith("PUBSUB ", StringComparison.Ordinal) => throw Refusal(
                    info,
                    "one node knows only those who listen at it"
                ),
                _ => ReplyJoin.None,
            };

    private static ArgumentException Refusal(CommandInfo info, string why) =>
        new($"{info.Name} cannot be asked of a cluster: {why}. Nothing was sent.");
}
