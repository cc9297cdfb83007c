using System.Globalization;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Operations;

/// <summary>How a Redis is, as it says itself, in the terms of somebody who looks after it.</summary>
/// <param name="Info">What INFO said.</param>
/// <param name="SlowCommands">How many entries its slow log has; <c>null</c> where that may not be asked.</param>
/// <param name="Keys">What is in it; <c>null</c> when nobody looked.</param>
internal sealed record StatusReport(ServerInfo Info, long? SlowCommands, KeyspaceSurvey? Keys)
{
    /// <summary>Asks. Two round trips.</summary>
    /// <exception cref="RedisException">Redis is gone, or refuses INFO.</exception>
    public static async Task<StatusReport> ReadAsync(RedisClient client, KeyspaceSurvey? keys, CancellationToken cancellationToken)
    {
        var info = await ServerInfo.ReadAsync(client, cancellationToken).ConfigureAwait(false);
        long? slow = null;
        try
        {
            slow = await client.SendAsync(["SLOWLOG", "LEN"], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        }
        catch (RedisServerException refused) when (refused.Code == "NOPERM")
        {
            // The rest is worth showing.
        }

        return new StatusReport(info, slow, keys);
    }

    public TimeSpan Uptime => TimeSpan.FromSeconds(Info.Count("uptime_in_seconds") ?? 0);

    public long Memory => Info.Count("used_memory") ?? 0;

    /// <summary>0 for none.</summary>
    public long MemoryLimit => Info.Count("maxmemory") ?? 0;

    public double? MemoryShare => MemoryLimit > 0 ? (double)Memory / MemoryLimit : null;

    public long Clients => Info.Count("connected_clients") ?? 0;

    public long? ClientLimit => Info.Count("maxclients");

    public long OperationsPerSecond => Info.Count("instantaneous_ops_per_sec") ?? 0;

    public long Hits => Info.Count("keyspace_hits") ?? 0;

    public long Misses => Info.Count("keyspace_misses") ?? 0;

    /// <summary>Of all lookups since the server began; <c>null</c> when there were none.</summary>
    public double? HitRate => Hits + Misses > 0 ? (double)Hits / (Hits + Misses) : null;

    public long Evicted => Info.Count("evicted_keys") ?? 0;

    public long Rejected => Info.Count("rejected_connections") ?? 0;

    public string Role => Info["role"] == "slave" ? "replica" : "primary";

    /// <summary>The lines of the report: a word, and what there is to say.</summary>
    /// <param name="before">What it was a moment ago, for what happens just now; <c>null</c> for nothing.</param>
    public IEnumerable<(string Word, string Text)> Lines(StatusReport? before = null)
    {
        var product = Info["valkey_version"] is { } valkey ? $"Valkey {valkey}" : $"Redis {Info["redis_version"]}";
        yield return ("server", $"{product}, {Info["redis_mode"]}, {Role}, up {Words.Time(Uptime)}");
        yield return (
            "memory",
            $"{Words.Size(Memory)} of {(MemoryLimit > 0 ? $"{Words.Size(MemoryLimit)} ({Percent(MemoryShare)})" : "no limit")}, at most {Words.Size(Info.Count("used_memory_peak") ?? 0)}, resident {Words.Size(Info.Count("used_memory_rss") ?? 0)}, when full: {Info["maxmemory_policy"] ?? Words.None}"
        );
        yield return (
            "clients",
            $"{Clients}{(ClientLimit is { } most ? $" of {most}" : "")}, {Info.Count("blocked_clients") ?? 0} blocked, {Rejected} turned away"
        );
        yield return (
            "load",
            $"{OperationsPerSecond:N0} commands/s, in {Rate("instantaneous_input_kbps")}, out {Rate("instantaneous_output_kbps")}"
        );
        yield return ("hits", $"{Percent(HitRate)} of all lookups{Now(before)}");
        yield return (
            "gone",
            $"{Info.Count("expired_keys") ?? 0:N0} ended, {Evicted:N0} evicted{(before is null ? "" : $" ({Evicted - before.Evicted:N0} just now)")}"
        );
        yield return ("on disk", Persistence());
        yield return ("replicas", Replication());
        yield return ("slow log", SlowCommands is { } slow ? Words.Count(slow, "entry", "entries") : "this user may not ask");
        yield return ("keys", $"{Info.Databases.Values.Sum():N0} in {Words.Count(Info.Databases.Count, "database", "databases")}");
    }

    private string Now(StatusReport? before)
    {
        if (before is null)
            return "";
        var (hits, misses) = (Hits - before.Hits, Misses - before.Misses);
        return hits + misses > 0 ? $", {Percent((double)hits / (hits + misses))} just now" : ", none just now";
    }

    private string Persistence()
    {
        var parts = new List<string>();
        if (Info.Count("rdb_last_save_time") is > 0 and var saved && Info["rdb_last_bgsave_status"] is { } status)
            parts.Add(
                $"RDB {status}, last {DateTimeOffset.FromUnixTimeSeconds(saved):u}, {Info.Count("rdb_changes_since_last_save") ?? 0:N0} changes since"
            );
        parts.Add(
            Info["aof_enabled"] == "1"
                ? $"AOF {Info["aof_last_write_status"]}, {Words.Size(Info.Count("aof_current_size") ?? 0)}"
                : "no AOF"
        );
        if (Info["loading"] == "1")
            parts.Add("loading now");
        return string.Join("; ", parts);
    }

    private string Replication()
    {
        if (Role == "replica")
            return $"of {Info["master_host"]}:{Info["master_port"]}, link {Info["master_link_status"]}, heard {Info["master_last_io_seconds_ago"]} s ago";
        var count = Info.Count("connected_slaves") ?? 0;
        if (count == 0)
            return "none";
        var offset = Info.Count("master_repl_offset") ?? 0;
        var behind = Enumerable
            .Range(0, (int)count)
            .Select(number =>
                Info[$"slave{number.ToString(CultureInfo.InvariantCulture)}"] is { } replica ? ServerInfo.Part(replica, "offset") : null
            )
            .Max(theirs => theirs is { } at ? offset - at : 0);
        return $"{count}, at most {Words.Size(behind)} behind";
    }

    private string Rate(string field) => $"{Words.Size((long)((Info.Number(field) ?? 0) * 1024))}/s";

    private static string Percent(double? share) =>
        share is { } value ? (value * 100).ToString("0.0", CultureInfo.InvariantCulture) + " %" : Words.None;
}
