using System.Globalization;
using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>How bad a finding is.</summary>
internal enum FindingLevel
{
    Ok,
    Warning,
    Fails,
}

/// <summary>One thing that was looked at before anything is moved.</summary>
/// <param name="Code">Stays the same from version to version.</param>
/// <param name="Level">How bad it is.</param>
/// <param name="What">What was seen.</param>
/// <param name="Fix">What to do; empty where there is nothing.</param>
internal sealed record Finding(string Code, FindingLevel Level, string What, string Fix = "");

/// <summary>How many keys a rule names.</summary>
internal sealed class RuleCount(MigrationRule rule)
{
    public MigrationRule Rule { get; } = rule;

    public long Keys { get; set; }

    public long Bytes { get; set; }
}

/// <summary>Looks at both sides before anything is moved, and counts what there is. It changes nothing but for one key of ours that ends after a second.</summary>
internal sealed class Preflight(MigrationRules rules, MigrationServers servers, BigKeys big, ToolProgress progress, TimeProvider time)
{
    private const double HeadRoom = 1.1;
    private const int Samples = 5;

    private static readonly string[][] SourceNeeds =
    [
        ["SCAN", "0"],
        ["DUMP", "KEY"],
        ["PEXPIRETIME", "KEY"],
        ["MEMORY", "USAGE", "KEY"],
        ["CLIENT", "LIST"],
        ["CLIENT", "PAUSE", "1", "WRITE"],
        ["CLIENT", "KILL", "ID", "1"],
        ["CLIENT", "TRACKING", "ON"],
        ["ACL", "SETUSER", "nobody"],
    ];

    private static readonly string[][] TargetNeeds =
    [
        ["RESTORE", "KEY", "0", "x"],
        ["UNLINK", "KEY"],
        ["SCAN", "0"],
        ["DUMP", "KEY"],
        ["CLIENT", "KILL", "ID", "1"],
    ];

    private readonly KeyMap _map = new(rules);
    private readonly List<Finding> _findings = [];
    private KeyMove? _sample;

    /// <summary>What was counted, a line for each rule.</summary>
    public IReadOnlyList<RuleCount> Counts { get; } = [.. rules.Rules.Select(rule => new RuleCount(rule))];

    /// <summary>How many keys no rule names.</summary>
    public long Others { get; private set; }

    public long MovedKeys => Counts.Where(count => count.Rule.Moves).Sum(count => count.Keys);

    public long MovedBytes => Counts.Where(count => count.Rule.Moves).Sum(count => count.Bytes);

    /// <summary>Looks at everything.</summary>
    /// <exception cref="RedisException">A server does not answer.</exception>
    public async Task<IReadOnlyList<Finding>> RunAsync(CancellationToken cancellationToken)
    {
        var source = await servers.SourceInfoAsync(cancellationToken).ConfigureAwait(false);
        var target = await servers.TargetInfoAsync(cancellationToken).ConfigureAwait(false);
        CheckServer("source", source);
        if (!servers.IsOneServer)
            CheckServer("target", target);
        CheckNames();
        if (
            !await CheckRightsAsync("source", servers.Source(), SourceNeeds, cancellationToken).ConfigureAwait(false)
            || !await CheckRightsAsync("target", servers.Target(), TargetNeeds, cancellationToken).ConfigureAwait(false)
        )
            return _findings;
        var writers = new WriterChecks(rules, servers, _findings);
        await writers.RunAsync(cancellationToken).ConfigureAwait(false);
        await CountAsync(source, cancellationToken).ConfigureAwait(false);
        await CheckTargetIsEmptyAsync(cancellationToken).ConfigureAwait(false);
        CheckMemory(target);
        await CheckClocksAsync(cancellationToken).ConfigureAwait(false);
        await ProbeAsync(cancellationToken).ConfigureAwait(false);
        return _findings;
    }

    private void CheckServer(string side, ServerInfo info)
    {
        if (info["cluster_enabled"] == "1")
            Add(
                "MIG01",
                FindingLevel.Fails,
                $"The {side} is a node of a cluster.",
                "Clusters are not supported: tracking and the fence are by server."
            );
        else if (info["role"] is { } role && role != "master")
            Add("MIG01", FindingLevel.Fails, $"The {side} is a {role}.", "Name the primary.");
        else
            Add("MIG01", FindingLevel.Ok, $"The {side} is Redis {info["redis_version"]}, a primary by itself.");
    }

    private void CheckNames()
    {
        if (!servers.IsOneServer)
            return;
        var before = _findings.Count;
        foreach (var rule in rules.Rules.Where(rule => rule.Moves))
        {
            if (rules.Rules.FirstOrDefault(other => other.Database == rule.TargetDatabase && Overlap(rule.To, other.From)) is { } fed)
                Add(
                    "MIG02",
                    FindingLevel.Fails,
                    $"The new names {rule.To}* are old names of the rule {fed}.",
                    "What is copied would be copied again. Choose prefixes of which neither begins with the other, or another database."
                );
            if (rules.Rules.FirstOrDefault(other => other.From.StartsWith(rule.To, StringComparison.Ordinal)) is { } open)
                Add(
                    "MIG02",
                    FindingLevel.Fails,
                    $"The new names {rule.To}* hold the old names {open.From}*, and a right to write holds in all databases of a server alike.",
                    "The fence could not stop writes of old names. Give the new names a prefix of their own."
                );
        }

        if (_findings.Count == before)
            Add("MIG02", FindingLevel.Ok, "Old and new names can be told apart by their prefixes.");
    }

    private static bool Overlap(string one, string other) =>
        one.StartsWith(other, StringComparison.Ordinal) || other.StartsWith(one, StringComparison.Ordinal);

    private async Task<bool> CheckRightsAsync(string side, RedisClient client, string[][] needs, CancellationToken cancellationToken)
    {
        string? user = null;
        var missing = new List<string>();
        try
        {
            user = await client.SendAsync(["ACL", "WHOAMI"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
            foreach (var need in needs)
            {
                RedisArg[] words = ["ACL", "DRYRUN", user!, .. need.Select(word => (RedisArg)(word == "KEY" ? rules.EpochKey : word))];
                if (await client.SendAsync(words, ReplyParsers.Text, cancellationToken).ConfigureAwait(false) is { } answer and not "OK")
                    missing.Add($"{string.Join(' ', need.TakeWhile(word => word != "KEY"))}: {answer}");
            }
        }
        catch (RedisServerException refused) when (refused.Code == "NOPERM")
        {
            missing.Add(refused.Message);
        }

        if (missing.Count == 0 && rules.Writers.Contains(user, StringComparer.Ordinal))
            missing.Add($"we are \"{user}\", which is a writer and will be fenced");
        if (missing.Count == 0)
            Add("MIG03", FindingLevel.Ok, $"We are \"{user}\" at the {side}, and may do what is needed.");
        else
            Add(
                "MIG03",
                FindingLevel.Fails,
                $"At the {side} we may not do what is needed: {string.Join("; ", missing)}.",
                "Make a user for this: ACL SETUSER onggi-migrate on >secret ~* &* +@all, and name it in the connection string."
            );
        return missing.Count == 0;
    }

    private async Task CountAsync(ServerInfo source, CancellationToken cancellationToken)
    {
        progress.Expect(_map.SourceDatabases.Sum(database => source.Databases.GetValueOrDefault(database)));
        progress.Note = "counting";
        var (otherSamples, collisions, inside) = (new List<string>(), new List<string>(), 0L);
        foreach (var database in _map.SourceDatabases)
        {
            var client = servers.Source(database);
            for (var cursor = "0"; cursor != "done"; )
            {
                var page = await MigrationSession.PageAsync(client, cursor, null, 1000, cancellationToken).ConfigureAwait(false);
                cursor = page.Cursor == "0" ? "done" : page.Cursor;
                var keys = page.Items.Select(key => new KeyName(key!)).Where(key => !_map.IsSystem(key)).ToList();
                var sizes = await SizesAsync(client, keys, cancellationToken).ConfigureAwait(false);
                for (var i = 0; i < keys.Count; i++)
                {
                    inside += IsNewName(keys[i]) ? 1 : 0;
                    if (!Count(database, keys[i], sizes[i]) && ++Others <= Samples)
                        otherSamples.Add($"db{database.ToString(CultureInfo.InvariantCulture)} {keys[i]}");
                    await CollideAsync(database, keys[i], collisions, cancellationToken).ConfigureAwait(false);
                }

                progress.Add(keys.Count);
            }
        }

        Tell(otherSamples, collisions, inside);
    }

    private void Tell(List<string> otherSamples, List<string> collisions, long inside)
    {
        if (Others > 0)
            Add(
                "MIG05",
                rules.LeavesOthers ? FindingLevel.Ok : FindingLevel.Fails,
                $"{Others} keys are named by no rule, for example {string.Join(", ", otherSamples)}.",
                rules.LeavesOthers ? "" : "Add a rule for them, or say \"others\": \"leave\"."
            );
        if (collisions.Count > 0)
            Add(
                "MIG06",
                FindingLevel.Fails,
                $"Two keys lead to one name: {string.Join("; ", collisions.Take(Samples))}{(collisions.Count > Samples ? $" and {collisions.Count - Samples} more" : "")}.",
                "Give one of their rules another prefix, or remove the key that nobody needs."
            );
        if (servers.IsOneServer && inside > 0)
            Add(
                "MIG06",
                FindingLevel.Fails,
                $"{inside} old keys have names as the new ones begin.",
                "The fence lets new names be written, and a right holds in all databases alike: such old keys could be written behind it. Choose another prefix."
            );
        if (collisions.Count == 0)
            Add("MIG06", FindingLevel.Ok, $"{MovedKeys} keys of {Words.Size(MovedBytes)} in memory have a new name each.");
        if (big.Count > 0)
            Add(
                "MIG07",
                FindingLevel.Warning,
                $"{big.Count} keys are over {Words.Size(BigKeys.Threshold)}: they go in pieces.",
                "One that is written all the time prolongs the cut-over by the time of its copying."
            );
    }

    private bool IsNewName(KeyName key) => _map.TargetDatabases.Any(database => _map.Origins(database, key).Any());

    private bool Count(int database, KeyName key, long size)
    {
        if (_map.RuleOf(database, key) is not { } rule)
            return false;
        var count = Counts.First(count => count.Rule == rule);
        count.Keys++;
        count.Bytes += size;
        if (!rule.Moves)
            return true;
        _sample ??= _map.Move(database, key);
        if (size >= BigKeys.Threshold)
            big.Add(database, key);
        return true;
    }

    private async Task CollideAsync(int database, KeyName key, List<string> collisions, CancellationToken cancellationToken)
    {
        // Only where two rules lead to names that begin alike can this be.
        if (_map.SourceDatabases.Count + rules.Rules.Count <= 2 || _map.Move(database, key) is not { } move)
            return;
        foreach (var other in _map.Origins(move.TargetDatabase, move.Target))
        {
            if (other.SourceDatabase == database && other.Source.Equals(key))
                continue;
            if (await servers.Source(other.SourceDatabase).ExistsAsync(other.Source.Bytes, cancellationToken).ConfigureAwait(false))
                collisions.Add($"db{database} {key} and db{other.SourceDatabase} {other.Source} → {move.Target}");
        }
    }

    private static async Task<long[]> SizesAsync(RedisClient client, List<KeyName> keys, CancellationToken cancellationToken)
    {
        var batch = client.CreateBatch();
        var sizes = keys.ConvertAll(key => batch.Add(["MEMORY", "USAGE", key.Bytes], Size));
        if (keys.Count > 0)
            await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        return [.. sizes.Select(size => size.Value)];
    }

    private static readonly ReplyParser<long> Size = static (ref reader) => reader.IsNull ? 0 : reader.ReadInt64();

    private async Task CheckTargetIsEmptyAsync(CancellationToken cancellationToken)
    {
        var (strangers, samples) = (0L, new List<string>());
        foreach (var rule in rules.Rules.Where(rule => rule.Moves))
        {
            foreach (var prefix in (string[])[rule.To, "{" + rule.To])
            {
                for (var cursor = "0"; cursor != "done"; )
                {
                    var page = await MigrationSession
                        .PageAsync(servers.Target(rule.TargetDatabase), cursor, KeyMap.Glob(prefix), 1000, cancellationToken)
                        .ConfigureAwait(false);
                    cursor = page.Cursor == "0" ? "done" : page.Cursor;
                    foreach (var key in page.Items.Select(key => new KeyName(key!)))
                    {
                        if (_map.Origins(rule.TargetDatabase, key).Any() && ++strangers <= Samples)
                            samples.Add(key.ToString());
                    }
                }
            }
        }

        if (strangers == 0)
            Add("MIG08", FindingLevel.Ok, "The new names are free.");
        else
            Add(
                "MIG08",
                FindingLevel.Fails,
                $"The target has {strangers} keys already that are named as the new ones, for example {string.Join(", ", samples)}.",
                "They would be overwritten or removed. Remove them, choose another prefix, or roll back the earlier migration they are from."
            );
    }

    private void CheckMemory(ServerInfo target)
    {
        var needed = (long)(MovedBytes * HeadRoom);
        var limit = target.Count("maxmemory") ?? 0;
        var room = limit - (target.Count("used_memory") ?? 0);
        if (limit == 0)
            Add(
                "MIG09",
                FindingLevel.Warning,
                $"The target has no maxmemory; the copies take about {Words.Size(needed)}.",
                "See that its machine has as much to spare."
            );
        else if (room < needed)
            Add(
                "MIG09",
                FindingLevel.Fails,
                $"The target has room for {Words.Size(Math.Max(0, room))}, and the copies take about {Words.Size(needed)}.",
                "Raise maxmemory (CONFIG SET maxmemory …), or move fewer rules at a time."
            );
        else
            Add("MIG09", FindingLevel.Ok, $"The target has room for {Words.Size(room)}; the copies take about {Words.Size(needed)}.");
        if (limit > 0 && target["maxmemory_policy"] is { } policy && policy != "noeviction")
            Add(
                "MIG10",
                FindingLevel.Warning,
                $"The target evicts ({policy}).",
                "Copies of sessions and tokens may be evicted: watch evicted_keys, or set noeviction until the end."
            );
    }

    private async Task CheckClocksAsync(CancellationToken cancellationToken)
    {
        if (servers.IsOneServer)
            return;
        var began = time.GetTimestamp();
        var source = await ClockAsync(servers.Source(), cancellationToken).ConfigureAwait(false);
        var target = await ClockAsync(servers.Target(), cancellationToken).ConfigureAwait(false);
        var apart = (source - target).Duration() - time.GetElapsedTime(began);
        if (apart > TimeSpan.FromSeconds(1))
            Add(
                "MIG11",
                FindingLevel.Warning,
                $"The clocks of the two servers are {Words.Time(apart)} apart.",
                "Times to live are moved as the moment in which they end: keys live longer or shorter by as much. Set the clocks."
            );
        else
            Add("MIG11", FindingLevel.Ok, "The clocks of the two servers agree.");
    }

    private static async Task<DateTimeOffset> ClockAsync(RedisClient client, CancellationToken cancellationToken)
    {
        var parts = await client.SendAsync(["TIME"], ReplyParsers.TextArray, cancellationToken).ConfigureAwait(false);
        return DateTimeOffset
            .FromUnixTimeSeconds(long.Parse(parts[0]!, CultureInfo.InvariantCulture))
            .AddMicroseconds(double.Parse(parts[1]!, CultureInfo.InvariantCulture));
    }

    // Versions can differ in what they can read: tried rather than known.
    private async Task ProbeAsync(CancellationToken cancellationToken)
    {
        if (_sample is not { } move || big.Holds(move))
            return;
        using var dump = await servers
            .Source(move.SourceDatabase)
            .SendAsync(["DUMP", move.Source.Bytes], ReplyParsers.PooledBytes, CommandOptions.Bulk, cancellationToken)
            .ConfigureAwait(false);
        if (dump.IsNull)
            return;
        try
        {
            await servers
                .Target(move.TargetDatabase)
                .SendAsync(["RESTORE", $"{rules.EpochKey}:probe", 1000, dump.Memory, "REPLACE"], ReplyParsers.Ignore, cancellationToken)
                .ConfigureAwait(false);
            Add("MIG12", FindingLevel.Ok, "The target can read what the source serialises.");
        }
        catch (RedisServerException refused)
        {
            Add(
                "MIG12",
                FindingLevel.Fails,
                $"The target cannot take a key of the source: {refused.Message}",
                "Use a target of the same version or a newer one."
            );
        }
    }

    private void Add(string code, FindingLevel level, string what, string fix = "") => _findings.Add(new Finding(code, level, what, fix));
}
