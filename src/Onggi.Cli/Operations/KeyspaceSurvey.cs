using System.Text;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Operations;

/// <summary>Whose keys there are, how many, how large, and how long they live: of all keys, or of a sample.</summary>
/// <remarks>
/// A sample is what SCAN tells first. It walks the server's hash table, and where a name stands there has nothing to do with what it says, so the first names are as good a sample as any. What is then
/// said of all keys is what was counted, times all by looked at; <see cref="ErrorOf"/> says how far that can be off.
/// </remarks>
internal sealed class KeyspaceSurvey
{
    private const int Together = 200;
    private const int Step = 1000;

    private static readonly ReplyParser<long?> Size = static (ref reader) => reader.IsNull ? null : reader.ReadInt64();

    private readonly Dictionary<(FamilySettings? Family, string Name), SurveyGroup> _groups = [];

    /// <summary>What was found, the largest first.</summary>
    public IReadOnlyList<SurveyGroup> Groups => [.. _groups.Values.OrderByDescending(group => group.Bytes)];

    /// <summary>How many keys were looked at.</summary>
    public long Looked { get; private set; }

    /// <summary>How many there are, where all were meant.</summary>
    public long AllKeys { get; private set; }

    /// <summary>Whether every key was looked at.</summary>
    public bool IsExact { get; private set; } = true;

    /// <summary>By what a count is multiplied to stand for all keys.</summary>
    public double Factor => IsExact || Looked == 0 ? 1 : Math.Max(1, (double)AllKeys / Looked);

    /// <summary>Whether something is nobody's, or never ends and should.</summary>
    public bool HasMarks => _groups.Values.Any(group => group.IsMarked);

    /// <summary>By how many keys the number said of a group can be off: twice the standard error of a share. 0 where all were looked at.</summary>
    public double ErrorOf(SurveyGroup group)
    {
        if (IsExact || Looked == 0)
            return 0;
        var share = (double)group.Count / Looked;
        // At least one more could have been met, so none found does not mean that there are none.
        return 2 * Math.Sqrt(Math.Max(share * (1 - share), 1.0 / Looked) / Looked) * AllKeys;
    }

    /// <summary>Looks.</summary>
    /// <param name="client">The Redis.</param>
    /// <param name="keyspace">Says whose keys they are; <c>null</c> where there is no catalog: then the beginnings of names stand for families.</param>
    /// <param name="only">The only family that counts; <c>null</c> for all.</param>
    /// <param name="sample">How many keys to look at; <c>null</c> for all.</param>
    /// <param name="progress">Is told of them.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static async Task<KeyspaceSurvey> TakeAsync(
        RedisClient client,
        Keyspace? keyspace,
        FamilySettings? only,
        int? sample,
        ToolProgress progress,
        CancellationToken cancellationToken
    )
    {
        var survey = new KeyspaceSurvey();
        survey.AllKeys = await client.SendAsync(["DBSIZE"], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        progress.Expect(Math.Min(sample ?? long.MaxValue, survey.AllKeys));
        var most = sample ?? long.MaxValue;
        foreach (var pattern in only?.ScanPatterns ?? ["*"])
        {
            var walk = await PagedWalk.BeginAsync(client, pattern, KeyPage.End, cancellationToken).ConfigureAwait(false);
            while (survey.IsExact && await walk.NextAsync(Step, cancellationToken).ConfigureAwait(false) is { } page)
            {
                foreach (var keys in page.Keys.Chunk(Together))
                {
                    if (survey.Looked >= most)
                    {
                        survey.IsExact = false;
                        break;
                    }

                    await survey.LookAsync(client, keyspace, only, keys, cancellationToken).ConfigureAwait(false);
                    progress.Set(survey.Looked);
                }
            }
        }

        return survey;
    }

    private async Task LookAsync(
        RedisClient client,
        Keyspace? keyspace,
        FamilySettings? only,
        byte[][] keys,
        CancellationToken cancellationToken
    )
    {
        var batch = client.CreateBatch();
        var asked = new List<(SurveyGroup Group, BatchItem<string?> Type, BatchItem<TimeSpan?> Ttl, BatchItem<long?> Size)>(keys.Length);
        foreach (var key in keys)
        {
            var name = Encoding.UTF8.GetString(key);
            var family = keyspace?.FamilyOf(name);
            if (only is not null && !ReferenceEquals(family, only))
                continue;
            asked.Add(
                (
                    GroupOf(name, family, keyspace is not null),
                    batch.Add(["TYPE", key], ReplyParsers.Text, CommandOptions.Idempotent),
                    batch.Add(["PTTL", key], ReplyParsers.Milliseconds, CommandOptions.Idempotent),
                    batch.Add(["MEMORY", "USAGE", key], Size, CommandOptions.Idempotent)
                )
            );
        }

        if (asked.Count == 0)
            return;
        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        foreach (var (group, type, ttl, size) in asked)
        {
            Looked++;
            if (size.Value is { } bytes && type.Value is not (null or "none"))
                group.Add(type.Value, ttl.Value, bytes);
        }
    }

    private SurveyGroup GroupOf(string name, FamilySettings? family, bool hasCatalog)
    {
        var key = (family, family?.Family.Name ?? BeginningOf(name));
        if (!_groups.TryGetValue(key, out var group))
            _groups[key] = group = new SurveyGroup(key.Item2, family, hasCatalog);
        return group;
    }

    // Two words are enough to know whose it may be; a third is mostly an identifier.
    private static string BeginningOf(string name)
    {
        var head = name.TrimStart('{');
        var first = head.IndexOf(':', StringComparison.Ordinal);
        if (first < 0)
            return "(no colon)";
        var second = head.IndexOf(':', first + 1);
        return Words.Key(head[..(second < 0 ? first : second)]) + ":*";
    }
}

/// <summary>Keys that belong together, as a <see cref="KeyspaceSurvey"/> met them.</summary>
/// <param name="name">The family, or the beginning of the names.</param>
/// <param name="family">Its rules; <c>null</c> where nobody is known.</param>
/// <param name="hasCatalog">Whether somebody could be known.</param>
internal sealed class SurveyGroup(string name, FamilySettings? family, bool hasCatalog)
{
    private static readonly TimeSpan[] Bounds =
    [
        TimeSpan.FromMinutes(1),
        TimeSpan.FromMinutes(10),
        TimeSpan.FromHours(1),
        TimeSpan.FromDays(1),
    ];

    private readonly long[] _times = new long[Bounds.Length + 2];
    private readonly SortedDictionary<string, long> _types = new(StringComparer.Ordinal);

    /// <summary>What the parts of <see cref="Times"/> are: up to so much, more, and without an end.</summary>
    public static IReadOnlyList<string> TimeNames { get; } = ["1m", "10m", "1h", "1d", "more", "never"];

    public string Name => name;

    public FamilySettings? Family => family;

    /// <summary>It is of no family, although there is a catalog.</summary>
    public bool IsNobodys => hasCatalog && family is null;

    public long Count { get; private set; }

    public long Bytes { get; private set; }

    /// <summary>How many keys have how much time left.</summary>
    public IReadOnlyList<long> Times => _times;

    /// <summary>How many keys are of which type of Redis.</summary>
    public IReadOnlyDictionary<string, long> Types => _types;

    /// <summary>How many have no end, although the family has one.</summary>
    public long Endless => family is not null && family.Ttl != TimeSpan.MaxValue ? _times[^1] : 0;

    /// <summary>Whether something is wrong with it.</summary>
    public bool IsMarked => IsNobodys || Endless > 0;

    public void Add(string type, TimeSpan? ttl, long bytes)
    {
        Count++;
        Bytes += bytes;
        _types[type] = _types.GetValueOrDefault(type) + 1;
        _times[ttl is { } left ? Bounds.Count(bound => left > bound) : Bounds.Length + 1]++;
    }
}
