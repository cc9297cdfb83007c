using System.Globalization;
using System.Text;
using Onggi.Client;
using Onggi.Keys.Catalog;

namespace Onggi.Cli;

/// <summary>Values as people read them.</summary>
internal static class Words
{
    public const string None = "–";

    /// <summary>A time in the catalog's spelling where it is exact there (<c>4h</c>), otherwise in two units (<c>3h 52m</c>).</summary>
    public static string Time(TimeSpan time)
    {
        if (time == TimeSpan.MaxValue)
            return None;
        var spelled = CatalogWords.Spell(time);
        if (spelled.Length <= 4)
            return spelled;
        return time switch
        {
            { TotalDays: >= 1 } => $"{time.Days}d {time.Hours}h",
            { TotalHours: >= 1 } => $"{time.Hours}h {time.Minutes}m",
            { TotalMinutes: >= 1 } => $"{time.Minutes}m {time.Seconds}s",
            _ => $"{time.TotalSeconds:0.0}s",
        };
    }

    public static string Size(long bytes) =>
        bytes switch
        {
            < 1024 => $"{bytes} B",
            < 1024 * 1024 => $"{bytes / 1024.0:0.0} KB",
            < 1024L * 1024 * 1024 => $"{bytes / (1024.0 * 1024):0.0} MB",
            _ => $"{bytes / (1024.0 * 1024 * 1024):0.0} GB",
        };

    /// <summary>A server, and the database where it is not the first.</summary>
    public static string Place(RedisClientOptions options) =>
        options.Database == 0 ? options.ToString() : string.Create(CultureInfo.InvariantCulture, $"{options} db{options.Database}");

    public static string Percent(double? fraction) => fraction is { } value ? CatalogWords.SpellPercent(value) : None;

    public static string List(IReadOnlyCollection<string> words) => words.Count == 0 ? None : string.Join(", ", words);

    public static string Count(long count, string one, string many) =>
        count == 1 ? $"1 {one}" : $"{count.ToString(CultureInfo.InvariantCulture)} {many}";

    /// <summary>A key with what a terminal would act on made visible.</summary>
    public static string Key(string key)
    {
        if (!key.Any(char.IsControl))
            return key;
        var text = new StringBuilder(key.Length + 8);
        foreach (var c in key)
            _ = char.IsControl(c) ? text.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}") : text.Append(c);
        return text.ToString();
    }
}
