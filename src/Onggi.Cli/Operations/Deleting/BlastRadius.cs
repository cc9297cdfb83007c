using System.Text;
using Onggi.Cli.Output;
using Onggi.Client;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>What a delete would remove: counted by a walk that changes nothing; sizes are estimated from a sample.</summary>
internal sealed class BlastRadius
{
    private const int SampleSize = 400;
    private const int ShownKeys = 10;
    private const int Together = 100;
    private const string Nobody = "nobody's";
    private const string Unknown = "";

    private static readonly ReplyParser<long?> Size = static (ref reader) => reader.IsNull ? null : reader.ReadInt64();

    private readonly SortedDictionary<string, Group> _groups = new(StringComparer.Ordinal);

    /// <summary>By family; under one empty name where there is no catalog.</summary>
    public IReadOnlyCollection<Group> Groups => _groups.Values;

    /// <summary>How many keys.</summary>
    public long Count => _groups.Values.Sum(group => group.Count);

    /// <summary>About how many bytes they take.</summary>
    public double Bytes => _groups.Values.Sum(group => group.Bytes);

    /// <summary>By how much that can be off: twice the standard error. 0 where every key was measured.</summary>
    public double BytesError => 2 * Math.Sqrt(_groups.Values.Sum(group => group.Error * group.Error));

    /// <summary>How many keys this Redis has in all, when the walk ended.</summary>
    public long AllKeys { get; private set; }

    /// <summary>Walks and measures.</summary>
    /// <param name="client">The Redis.</param>
    /// <param name="subject">What.</param>
    /// <param name="probe">What others feel; <c>null</c> when nobody looks.</param>
    /// <param name="pace">How many keys are looked at at a time.</param>
    /// <param name="progress">Keys looked at.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static async Task<BlastRadius> MeasureAsync(
        RedisClient client,
        DeleteSubject subject,
        LatencyProbe? probe,
        Pace pace,
        ToolProgress progress,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var radius = new BlastRadius();
        // Not for secrets: which keys are measured may be guessed.
        var random = new Random(1);
        foreach (var pattern in subject.Patterns)
        {
            var walk = await PagedWalk.BeginAsync(client, pattern, KeyPage.End, cancellationToken).ConfigureAwait(false);
            var count = pace.Keys;
            while (await walk.NextAsync(count, cancellationToken).ConfigureAwait(false) is { } page)
            {
                foreach (var key in page.Keys)
                {
                    if (subject.IsMeant(key, out var family))
                        radius
                            .GroupOf(subject.HasCatalog ? family?.Family.Name ?? Nobody : Unknown, family?.Owner, family?.Kind)
                            .Add(key, random);
                }

                progress.Add(count);
                progress.Note = $"{radius.Count:N0} found";
                if (probe is not null && pace.After(probe.TakeWorst()) is var pause && pause > TimeSpan.Zero)
                    await Task.Delay(pause, time, cancellationToken).ConfigureAwait(false);
                count = pace.Keys;
            }
        }

        foreach (var group in radius.Groups)
            await group.MeasureAsync(client, cancellationToken).ConfigureAwait(false);
        radius.AllKeys = await client.SendAsync(["DBSIZE"], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);
        return radius;
    }

    private Group GroupOf(string name, string? owner, string? kind)
    {
        if (!_groups.TryGetValue(name, out var group))
            _groups[name] = group = new Group(name, owner, kind);
        return group;
    }

    /// <summary>The keys of one family, or of none.</summary>
    internal sealed class Group(string name, string? owner, string? kind)
    {
        private readonly List<byte[]> _sample = [];
        private readonly List<long> _sizes = [];

        /// <summary>The family, or a word for none.</summary>
        public string Name => name;

        /// <summary>Who writes it; <c>null</c> for everybody, or when nobody is known.</summary>
        public string? Owner => owner;

        /// <summary>What kind of family it is; <c>null</c> for none.</summary>
        public string? Kind => kind;

        public long Count { get; private set; }

        /// <summary>Some of the names, as text that is safe to show.</summary>
        public IReadOnlyList<string> Shown => [.. _sample.Take(ShownKeys).Select(key => Words.Key(Encoding.UTF8.GetString(key)))];

        public double Bytes => _sizes.Count == 0 ? 0 : _sizes.Average() * Count;

        /// <summary>The standard error of <see cref="Bytes"/>.</summary>
        public double Error
        {
            get
            {
                if (_sizes.Count < 2 || _sizes.Count >= Count)
                    return 0;
                var mean = _sizes.Average();
                var variance = _sizes.Sum(size => (size - mean) * (size - mean)) / (_sizes.Count - 1);
                return Math.Sqrt(variance / _sizes.Count) * Count;
            }
        }

        /// <summary>Counts a key, and takes it into the sample with the same chance as every other. (Vitter's algorithm R.)</summary>
        public void Add(byte[] key, Random random)
        {
            Count++;
            if (_sample.Count < SampleSize)
                _sample.Add(key);
            else if (random.NextInt64(Count) is var at and < SampleSize)
                _sample[(int)at] = key;
        }

        public async Task MeasureAsync(RedisClient client, CancellationToken cancellationToken)
        {
            foreach (var keys in _sample.Chunk(Together))
            {
                var asked = Array.ConvertAll(keys, key => client.SendAsync(["MEMORY", "USAGE", key], Size, cancellationToken).AsTask());
                foreach (var size in await Task.WhenAll(asked).ConfigureAwait(false))
                {
                    if (size is { } bytes)
                        _sizes.Add(bytes);
                }
            }
        }
    }
}
