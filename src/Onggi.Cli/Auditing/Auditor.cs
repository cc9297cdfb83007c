using System.Text.Json;
using Onggi.Cli.Output;
using Onggi.Cli.Server;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Auditing;

/// <summary>Walks a live keyspace and compares it with the catalog.</summary>
/// <remarks>
/// <para>All names are seen: what a name alone tells (whose a key is, personal data, braces) is counted, not reckoned. Type, time to live, size and value are asked of some, chosen at random, each key of a
/// family with the same chance; what is said of all from them is said with its error. Of a small family, of which chance would choose none, as many are looked into as make a sample.</para>
/// <para>It is paced: after each batch it rests for as long as the batch took, and makes the next one smaller when one took longer than 10 ms. Nothing is changed; but to read a value counts as its use.</para>
/// </remarks>
internal sealed class Auditor(RedisClient client, AuditTerms terms, ToolOutput output)
{
    private const int WalkedAtOnce = 1000;
    private const long LargestRead = 1 << 20;
    private const int MembersAtOnce = 200;

    private readonly Dictionary<string, FamilyTally> _tallies = new(StringComparer.Ordinal);
    private readonly AuditFindings _findings = new(client.Options.ToString());
    private readonly AuditPace _pace = new();
    private readonly SessionBooks _sessions = new();
    private readonly TopKeys _biggest = new(terms.Top, key => key.Bytes);
    private readonly TopKeys _hottest = new(terms.Top, key => key.Frequency ?? 0);
    private readonly List<string> _notes = [];
    private bool _countsUse;
    private long _now;
    private long _keys;
    private long _looked;
    private long _chosen;

    private Keyspace Keyspace => terms.Keyspace;

    /// <summary>Walks.</summary>
    /// <exception cref="RedisException">Redis cannot be asked, or this user may not.</exception>
    public async Task<AuditResult> RunAsync(ToolProgress progress, CancellationToken cancellationToken)
    {
        var info = await ServerInfo.ReadAsync(client, cancellationToken).ConfigureAwait(false);
        var count = await client.SendAsync(["DBSIZE"], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        _countsUse = info["maxmemory_policy"]?.Contains("lfu", StringComparison.Ordinal) == true;
        var clock = await client.SendAsync(["TIME"], ReplyParsers.TextArray, cancellationToken).ConfigureAwait(false);
        _now = long.Parse(clock[0]!) * 1000;
        progress.Expect(count);
        await WalkAsync(count, progress, cancellationToken).ConfigureAwait(false);
        if (terms.Sample == 0)
        {
            await new SessionSearch(client, _sessions).RunAsync(cancellationToken).ConfigureAwait(false);
            _sessions.Report(_findings);
        }
        else
            _notes.Add("Sessions that no index knows are looked for with --exact only.");
        if (!_countsUse)
            _notes.Add($"Redis counts how often keys are used only with an lfu policy; this is {info["maxmemory_policy"]}.");
        var refusals = await ServerAudit.AddAsync(client, info, _findings, _notes, cancellationToken).ConfigureAwait(false);
        var families = _tallies.Values.OrderByDescending(tally => tally.Bytes).ToList();
        FamilyShares.Check(Keyspace, families, _findings);
        return new AuditResult(
            client.Options.ToString(),
            _keys,
            _looked,
            _chosen,
            families,
            _findings.ToList(),
            _biggest.ToList(),
            _countsUse ? _hottest.ToList() : [],
            refusals,
            _notes
        );
    }

    private async Task WalkAsync(long count, ToolProgress progress, CancellationToken cancellationToken)
    {
        var chance = terms.Sample == 0 || count == 0 ? 1 : Math.Min(1, (double)terms.Sample / count);
        var random = new Random(terms.Seed);
        var batch = new List<(string Name, FamilySettings? Family)>();
        // A key can come twice while the table grows.
        var seen = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var name in client.ScanAsync("*", WalkedAtOnce, cancellationToken).ConfigureAwait(false))
        {
            var isChosen = chance >= 1 || random.NextDouble() < chance;
            if (isChosen && !seen.Add(name))
                continue;
            var family = Keyspace.FamilyOf(name);
            _keys++;
            progress.Add(1);
            var tally = TallyOf(family);
            tally.Keys++;
            NameRules.Check(Keyspace, name, family, _findings);
            if (!isChosen)
            {
                tally.Spare(name, random);
                continue;
            }

            _chosen++;
            tally.Chosen++;
            batch.Add((name, family));
            if (batch.Count >= _pace.AtOnce)
                await LookAsync(batch, cancellationToken).ConfigureAwait(false);
        }

        foreach (var tally in _tallies.Values)
        foreach (var name in tally.Spared)
        {
            if (seen.Add(name))
                batch.Add((name, Keyspace.FamilyOf(name)));
            if (batch.Count >= _pace.AtOnce)
                await LookAsync(batch, cancellationToken).ConfigureAwait(false);
        }

        await LookAsync(batch, cancellationToken).ConfigureAwait(false);
    }

    private FamilyTally TallyOf(FamilySettings? family)
    {
        var name = family?.Family.Name ?? NameRules.Nobodys;
        if (!_tallies.TryGetValue(name, out var tally))
            _tallies[name] = tally = new FamilyTally(name);
        return tally;
    }

    private async Task LookAsync(List<(string Name, FamilySettings? Family)> batch, CancellationToken cancellationToken)
    {
        if (batch.Count == 0)
            return;
        var began = output.Time.GetTimestamp();
        var facts = (await Task.WhenAll(batch.Select(key => AskAsync(key.Name, key.Family, cancellationToken))).ConfigureAwait(false))
            .OfType<KeyFacts>()
            .ToList();
        batch.Clear();
        foreach (var key in facts)
        {
            _looked++;
            var tally = TallyOf(key.Family);
            tally.Add(key.Bytes);
            _biggest.Add(key);
            if (_countsUse)
                _hottest.Add(key);
            KeyRules.Check(key, tally, terms, _findings);
        }

        await Task.WhenAll(facts.Select(key => LookInsideAsync(key, cancellationToken))).ConfigureAwait(false);
        await Task.Delay(_pace.Rest(output.Time.GetElapsedTime(began)), output.Time, cancellationToken).ConfigureAwait(false);
    }

    // None of these counts as a use of the key.
    private async Task<KeyFacts?> AskAsync(string name, FamilySettings? family, CancellationToken cancellationToken)
    {
        var type = client.SendAsync(["TYPE", name], ReplyParsers.Text, cancellationToken).AsTask();
        var ttl = client.SendAsync(["PTTL", name], ReplyParsers.Int64, cancellationToken).AsTask();
        var size = client.SendAsync(["MEMORY", "USAGE", name], Size, cancellationToken).AsTask();
        var use = _countsUse ? client.SendAsync(["OBJECT", "FREQ", name], Size, cancellationToken).AsTask() : Task.FromResult<long?>(null);
        await Task.WhenAll(type, ttl, size, use).ConfigureAwait(false);
        // It ended meanwhile.
        if (await size.ConfigureAwait(false) is not { } bytes || await ttl.ConfigureAwait(false) is var left && left == -2)
            return null;
        return new KeyFacts(name, family, await type.ConfigureAwait(false) ?? "none", left, bytes, (int?)await use.ConfigureAwait(false));
    }

    private async Task LookInsideAsync(KeyFacts key, CancellationToken cancellationToken)
    {
        if (key.Family is null)
            return;
        var part = AuditRules.PartOf(key.Name);
        if (key.Type == "string" && part is null && key.Bytes <= LargestRead && AuditRules.IsJson(key.Family))
            await ReadJsonAsync(key, cancellationToken).ConfigureAwait(false);
        else if (part is "meta" or "due")
            await FindOwnerAsync(key, part, cancellationToken).ConfigureAwait(false);
        else if (AuditRules.IsSessionIndex(key) && key.Type == "zset")
            await ReadIndexAsync(key, cancellationToken).ConfigureAwait(false);
        else if (terms.Sample == 0 && key.Type == "hash" && AuditRules.IsSession(key.Name, key.Family))
            _sessions.AddSession(
                key.Name,
                await client.SendAsync(["HEXISTS", key.Name, "next"], ReplyParsers.Boolean, cancellationToken).ConfigureAwait(false)
            );
    }

    private async Task ReadJsonAsync(KeyFacts key, CancellationToken cancellationToken)
    {
        try
        {
            if (!await client.SendAsync(["GET", key.Name], IsJson, cancellationToken).ConfigureAwait(false))
                KeyRules.AddUnreadable(key, TallyOf(key.Family), _findings);
        }
        catch (RedisServerException problem) when (problem.Code == "WRONGTYPE")
        {
            // It was replaced between the questions; next time it is found by its type.
        }
    }

    private async Task FindOwnerAsync(KeyFacts key, string part, CancellationToken cancellationToken)
    {
        if (!await client.ExistsAsync(AuditRules.OwnerOf(key.Name), cancellationToken).ConfigureAwait(false))
            KeyRules.AddOrphan(key, TallyOf(key.Family), $"a {part} stands beside nothing", _findings);
    }

    // Who is past the deadline may be gone: the sweeper has yet to take it off the index.
    private async Task ReadIndexAsync(KeyFacts key, CancellationToken cancellationToken)
    {
        var members = await client
            .SendAsync(
                ["ZRANGEBYSCORE", key.Name, $"({_now}", "+inf", "LIMIT", 0, MembersAtOnce],
                ReplyParsers.TextArray,
                cancellationToken
            )
            .ConfigureAwait(false);
        var head = key.Name[..(key.Name.IndexOf(":session-user:", StringComparison.Ordinal) + 1)];
        var names = members.OfType<string>().Select(handle => $"{head}session:{handle}").ToList();
        _sessions.AddIndexed(names);
        var there = await Task.WhenAll(names.Select(name => client.ExistsAsync(name, cancellationToken).AsTask())).ConfigureAwait(false);
        var missing = names.Where((_, i) => !there[i]).ToList();
        if (missing.Count == 0)
            return;
        // A session that was ended while we looked is off the index, too.
        var still = await Task.WhenAll(
                missing.Select(name =>
                    client.SendAsync(["ZSCORE", key.Name, name[(head.Length + 8)..]], ReplyParsers.Text, cancellationToken).AsTask()
                )
            )
            .ConfigureAwait(false);
        if (Array.Exists(still, score => score is not null))
            KeyRules.AddOrphan(key, TallyOf(key.Family), "an index names sessions that are not there", _findings);
    }

    private static readonly ReplyParser<long?> Size = static (ref reader) => reader.IsNull ? null : reader.ReadInt64();

    // Nothing there is no mistake: it ended meanwhile.
    private static readonly ReplyParser<bool> IsJson = static (ref reader) => reader.IsNull || Parses(reader.ReadSpan());

    private static bool Parses(ReadOnlySpan<byte> text)
    {
        try
        {
            var json = new Utf8JsonReader(text);
            if (!json.Read())
                return false;
            json.Skip();
            return !json.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
