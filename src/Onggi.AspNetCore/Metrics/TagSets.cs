using System.Globalization;
using System.Numerics;
using System.Text;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Onggi.AspNetCore.Metrics;

/// <summary>
/// Finds the series for the tags of a measurement: a hash table that readers walk without a lock and without allocating, and that only
/// grows. Tags in another order are another entry with the same series.
/// </summary>
internal sealed class TagSets(int maxSeries, double[] bounds, bool isHistogram)
{
    private readonly Lock _gate = new();
    private readonly Entry?[] _heads = new Entry?[BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(maxSeries, 1, 1_024))];
    private readonly Dictionary<string, Series> _byLabels = new(StringComparer.Ordinal);
    private int _entries;

    /// <summary>What stands in the table, in the order of its labels.</summary>
    public Series[] All()
    {
        lock (_gate)
            return [.. _byLabels.Values.OrderBy(series => series.Labels, StringComparer.Ordinal)];
    }

    /// <summary>The series for these tags, made when it is new; <c>null</c> when there is no room for it.</summary>
    public Series? Find(ReadOnlySpan<Tag> tags)
    {
        var hash = Hash(tags);
        ref var head = ref _heads[hash & (_heads.Length - 1)];
        for (var entry = Volatile.Read(ref head); entry is not null; entry = entry.Next)
        {
            if (entry.Hash == hash && Same(entry.Tags, tags))
                return entry.Series;
        }
        return Volatile.Read(ref _entries) < MaxEntries ? Make(tags, hash, ref head) : null;
    }

    // Orders of the same tags take entries too; a handful of orders per series is all that code writes down.
    private int MaxEntries => maxSeries * 4;

    private Series? Make(ReadOnlySpan<Tag> tags, int hash, ref Entry? head)
    {
        var labels = Labels(tags, isHistogram);
        lock (_gate)
        {
            if (!_byLabels.TryGetValue(labels, out var series))
            {
                if (_byLabels.Count >= maxSeries)
                    return null;
                _byLabels.Add(labels, series = new Series(labels, bounds));
            }
            // Two threads may both come here with the same tags: the second entry is never reached and does no harm.
            Volatile.Write(ref head, new Entry(hash, tags.ToArray(), series, head));
            _entries++;
            return series;
        }
    }

    private static int Hash(ReadOnlySpan<Tag> tags)
    {
        var hash = 17;
        foreach (var (key, value) in tags)
            hash = (hash * 31) + (key.GetHashCode(StringComparison.Ordinal) ^ (value?.GetHashCode() ?? 0));
        return hash ^ (hash >>> 15);
    }

    private static bool Same(Tag[] ours, ReadOnlySpan<Tag> theirs)
    {
        if (ours.Length != theirs.Length)
            return false;
        for (var i = 0; i < ours.Length; i++)
        {
            if (ours[i].Key != theirs[i].Key || !Equals(ours[i].Value, theirs[i].Value))
                return false;
        }
        return true;
    }

    /// <summary><c>name="value",…</c> in the order of the names. Names that become one under sanitizing share a label, values joined by ';'.</summary>
    private static string Labels(ReadOnlySpan<Tag> tags, bool isHistogram)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in tags)
        {
            var name = PrometheusName.Sanitize(key);
            // The histogram's own label.
            if (isHistogram && name == "le")
                name = "exported_le";
            var text = Text(value);
            labels[name] = labels.TryGetValue(name, out var other) ? $"{other};{text}" : text;
        }
        var line = new StringBuilder();
        foreach (var (name, value) in labels)
            line.Append(line.Length == 0 ? "" : ",").Append(name).Append("=\"").Append(Escape(value)).Append('"');
        return line.ToString();
    }

    private static string Text(object? value) =>
        value switch
        {
            null => "",
            bool flag => flag ? "true" : "false",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
        };

    private static string Escape(string value) =>
        value
            .Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);

    private sealed record Entry(int Hash, Tag[] Tags, Series Series, Entry? Next);
}
