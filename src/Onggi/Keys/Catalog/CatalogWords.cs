using System.Globalization;
using System.Text;

namespace Onggi.Keys.Catalog;

/// <summary>The small languages of the catalog: durations, sizes, percents, names, and the nearest name to a wrong one.</summary>
internal static class CatalogWords
{
    private static readonly (string Unit, long Ticks)[] Units =
    [
        ("ms", TimeSpan.TicksPerMillisecond),
        ("s", TimeSpan.TicksPerSecond),
        ("m", TimeSpan.TicksPerMinute),
        ("h", TimeSpan.TicksPerHour),
        ("d", TimeSpan.TicksPerDay),
    ];

    private static readonly (string Unit, long Bytes)[] Sizes = [("kb", 1024), ("mb", 1024 * 1024), ("gb", 1024 * 1024 * 1024)];

    private static readonly HashSet<string> Keywords = new(
        (
            "abstract as base bool break byte case catch char checked class const continue decimal default delegate do double else enum event "
            + "explicit extern false finally fixed float for foreach goto if implicit in int interface internal is lock long namespace new null "
            + "object operator out override params private protected public readonly ref return sbyte sealed short sizeof stackalloc static "
            + "string struct switch this throw true try typeof uint ulong unchecked unsafe ushort using virtual void volatile while"
        ).Split(' '),
        StringComparer.Ordinal
    );

    /// <summary>C#'s own names of types, which stand without a namespace.</summary>
    private static readonly HashSet<string> TypeKeywords = new(
        "bool byte sbyte char decimal double float int uint long ulong short ushort object string".Split(' '),
        StringComparer.Ordinal
    );

    /// <summary>Reads <c>500ms</c>, <c>90s</c>, <c>30m</c>, <c>4h</c>, <c>7d</c>: a whole number and one unit.</summary>
    public static bool TryDuration(string text, out TimeSpan duration)
    {
        duration = default;
        if (!TryNumberAndUnit(text, out var number, out var unit))
            return false;
        foreach (var (name, ticks) in Units)
        {
            if (unit != name)
                continue;
            if (number > TimeSpan.TicksPerDay * 3650 / ticks)
                return false;
            duration = new TimeSpan(number * ticks);
            return true;
        }

        return false;
    }

    /// <summary>A duration in the catalog's spelling, in the largest unit that divides it; one day is 24h, as people say it.</summary>
    public static string Spell(TimeSpan duration)
    {
        for (var i = Units.Length - 1; i > 0; i--)
        {
            var isOneDay = Units[i].Ticks == duration.Ticks && Units[i].Ticks == TimeSpan.TicksPerDay;
            if (duration.Ticks >= Units[i].Ticks && duration.Ticks % Units[i].Ticks == 0 && !isOneDay)
                return (duration.Ticks / Units[i].Ticks).ToString(CultureInfo.InvariantCulture) + Units[i].Unit;
        }

        return duration == TimeSpan.Zero ? "0s" : (duration.Ticks / Units[0].Ticks).ToString(CultureInfo.InvariantCulture) + "ms";
    }

    /// <summary>What was probably meant by a text that is no duration; an example where nothing can be guessed.</summary>
    public static string GuessDuration(string text)
    {
        var squeezed = new string([.. text.Where(c => !char.IsWhiteSpace(c))]).ToLowerInvariant();
        var digits = new string([.. squeezed.TakeWhile(c => c is >= '0' and <= '9' or '.')]);
        var unit = squeezed.Substring(digits.Length);
        if (!double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            return "30m";
        var ticks = unit switch
        {
            "" or "s" or "sec" or "secs" or "second" or "seconds" or "초" => TimeSpan.TicksPerSecond,
            "ms" or "msec" or "milli" or "millis" or "milliseconds" => TimeSpan.TicksPerMillisecond,
            "m" or "min" or "mins" or "minute" or "minutes" or "분" => TimeSpan.TicksPerMinute,
            "h" or "hr" or "hrs" or "hour" or "hours" or "시간" => TimeSpan.TicksPerHour,
            "d" or "day" or "days" or "일" => TimeSpan.TicksPerDay,
            "w" or "week" or "weeks" => TimeSpan.TicksPerDay * 7,
            _ => GuessCompound(squeezed),
        };
        if (ticks < 0)
            return Spell(new TimeSpan(-ticks));
        var total = number * ticks;
        return total is < 1 or > TimeSpan.TicksPerDay * 3650d
            ? "30m"
            : Spell(new TimeSpan((long)total / TimeSpan.TicksPerMillisecond * TimeSpan.TicksPerMillisecond));
    }

    /// <summary>Reads <c>64kb</c>, <c>512mb</c>, <c>4gb</c>, each unit 1024 of the one before, as Redis has it.</summary>
    public static bool TrySize(string text, out long bytes)
    {
        bytes = 0;
        if (!TryNumberAndUnit(text, out var number, out var unit) || number == 0)
            return false;
        foreach (var (name, size) in Sizes)
        {
            if (unit != name)
                continue;
            if (number > (1L << 50) / size)
                return false;
            bytes = number * size;
            return true;
        }

        return false;
    }

    /// <summary>A size in the catalog's spelling.</summary>
    public static string SpellSize(long bytes)
    {
        for (var i = Sizes.Length - 1; i > 0; i--)
        {
            if (bytes % Sizes[i].Bytes == 0)
                return (bytes / Sizes[i].Bytes).ToString(CultureInfo.InvariantCulture) + Sizes[i].Unit;
        }

        return (bytes / 1024).ToString(CultureInfo.InvariantCulture) + "kb";
    }

    /// <summary>What was probably meant by a text that is no size.</summary>
    public static string GuessSize(string text)
    {
        var squeezed = new string([.. text.Where(c => !char.IsWhiteSpace(c))]).ToLowerInvariant();
        var digits = new string([.. squeezed.TakeWhile(c => c is >= '0' and <= '9')]);
        var unit = squeezed.Substring(digits.Length) switch
        {
            "k" or "kb" or "kib" or "ki" => "kb",
            "m" or "mb" or "mib" or "mi" => "mb",
            "g" or "gb" or "gib" or "gi" => "gb",
            _ => null,
        };
        if (digits.Length is > 0 and < 16 && unit is not null && digits.Trim('0').Length > 0)
            return digits.TrimStart('0') + unit;
        if (
            digits.Length is > 3 and < 16
            && squeezed.Length == digits.Length
            && long.Parse(digits, CultureInfo.InvariantCulture) is >= 1024 and var bytes
        )
            return SpellSize(bytes);
        return "512mb";
    }

    /// <summary>Reads <c>10%</c> or <c>12.5%</c> as 0.1 or 0.125.</summary>
    public static bool TryPercent(string text, out double fraction)
    {
        fraction = 0;
        if (text.Length < 2 || text[text.Length - 1] != '%' || text[0] is < '0' or > '9')
            return false;
        if (
            !decimal.TryParse(
                text.Substring(0, text.Length - 1),
                NumberStyles.AllowDecimalPoint,
                CultureInfo.InvariantCulture,
                out var percent
            )
            || percent > 100
            || text[text.Length - 2] == '.'
        )
            return false;
        fraction = (double)(percent / 100);
        return true;
    }

    public static string SpellPercent(double fraction) => ((decimal)fraction * 100).ToString("0.###", CultureInfo.InvariantCulture) + "%";

    /// <summary>What was probably meant by a text that is no percent: <c>10</c> and <c>0.1</c> are read as 10 %.</summary>
    public static string GuessPercent(string text)
    {
        var trimmed = text.Replace("%", "").Trim();
        if (!decimal.TryParse(trimmed, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            return "10%";
        if (number < 1 && !text.Contains('%'))
            number *= 100;
        return number > 100 ? "100%" : number.ToString("0.###", CultureInfo.InvariantCulture) + "%";
    }

    /// <summary>Whether the text is lower-case words with the given separators between them: <c>line_status</c>, <c>bill-inquiry</c>.</summary>
    public static bool IsName(string text, string separators)
    {
        if (text.Length is 0 or > 64 || text[0] is < 'a' or > 'z')
            return false;
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] is (>= 'a' and <= 'z') or (>= '0' and <= '9'))
                continue;
            if (!separators.Contains(text[i]) || separators.Contains(text[i - 1]) || i == text.Length - 1)
                return false;
        }

        return true;
    }

    /// <summary>The text as a name: <c>LineStatus</c> and <c>line status</c> become <c>line_status</c>.</summary>
    public static string AsName(string text, char separator, string separators)
    {
        var name = new StringBuilder();
        foreach (var c in text)
        {
            if (c is (>= 'a' and <= 'z') or (>= '0' and <= '9'))
                name.Append(c);
            else if (c is >= 'A' and <= 'Z')
            {
                if (name.Length > 0 && name[name.Length - 1] is (>= 'a' and <= 'z') or (>= '0' and <= '9'))
                    name.Append(separator);
                name.Append((char)(c + 32));
            }
            else if (name.Length > 0 && !separators.Contains(name[name.Length - 1]))
                name.Append(separators.Contains(c) ? c : separator);
        }

        var result = name.ToString().Trim([.. separators, separator]).TrimStart("0123456789".ToCharArray());
        result = result.TrimStart([.. separators, separator]);
        return IsName(result, separators) ? result : "my" + separator + "name";
    }

    /// <summary>The name of the C# member made from a catalog name: <c>line_status</c> becomes <c>LineStatus</c>, <c>user.updated</c> <c>UserUpdated</c>.</summary>
    public static string MemberName(string name)
    {
        var member = new StringBuilder();
        var upper = true;
        foreach (var c in name)
        {
            if (!char.IsLetterOrDigit(c))
            {
                upper = true;
                continue;
            }

            member.Append(upper ? char.ToUpperInvariant(c) : c);
            upper = false;
        }

        return member.ToString();
    }

    public static bool IsIdentifier(string text)
    {
        if (text.Length is 0 or > 64 || !(char.IsLetter(text[0]) || text[0] == '_'))
            return false;
        foreach (var c in text)
        {
            if (!char.IsLetterOrDigit(c) && c != '_')
                return false;
        }

        return true;
    }

    /// <summary>The text as a C# parameter name: <c>line-number</c> becomes <c>lineNumber</c>.</summary>
    public static string AsIdentifier(string text)
    {
        var member = MemberName(text).TrimStart("0123456789".ToCharArray());
        return member.Length == 0 ? "id" : char.ToLowerInvariant(member[0]) + member.Substring(1);
    }

    public static bool IsKeyword(string text) => Keywords.Contains(text);

    public static bool IsTypeKeyword(string text) => TypeKeywords.Contains(text);

    /// <summary>The choice nearest to the wrong word; <c>null</c> when none is near.</summary>
    public static string? Nearest(string wrong, IEnumerable<string> choices)
    {
        string? best = null;
        var bestDistance = Math.Max(1, Math.Min(wrong.Length, 12) / 3) + 1;
        foreach (var choice in choices)
        {
            var distance = Distance(Plain(wrong), Plain(choice));
            if (distance < bestDistance)
            {
                best = choice;
                bestDistance = distance;
            }
        }

        return best;
    }

    /// <summary>"Did you mean …?" where a choice is near, otherwise all choices.</summary>
    public static string Suggest(string wrong, IReadOnlyCollection<string> choices, string noChoice)
    {
        if (choices.Count == 0)
            return noChoice;
        return Nearest(wrong, choices) is { } nearest ? $"Did you mean \"{nearest}\"?" : $"Choose one of: {string.Join(", ", choices)}.";
    }

    public static string OneOf(IReadOnlyList<string> words) =>
        words.Count == 1 ? words[0] : string.Join(", ", words.Take(words.Count - 1)) + " or " + words[words.Count - 1];

    /// <summary>"1h30m" as negative ticks; of "30 lightyears" makes half an hour.</summary>
    private static long GuessCompound(string text)
    {
        long total = 0;
        var number = "";
        var unit = "";
        foreach (var c in text + "0")
        {
            if (c is >= '0' and <= '9')
            {
                if (unit.Length > 0)
                {
                    if (!TryDuration(number.TrimStart('0') + unit, out var part))
                        return -30 * TimeSpan.TicksPerMinute;
                    total += part.Ticks;
                    number = "";
                    unit = "";
                }

                number += c;
            }
            else
                unit += c;
        }

        return total > 0 ? -total : -30 * TimeSpan.TicksPerMinute;
    }

    private static bool TryNumberAndUnit(string text, out long number, out string unit)
    {
        number = 0;
        var digits = 0;
        while (digits < text.Length && text[digits] is >= '0' and <= '9')
            digits++;
        unit = text.Substring(digits);
        return digits is > 0 and < 16
            && (digits == 1 || text[0] != '0')
            && long.TryParse(text.Substring(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    private static string Plain(string text) => text.Replace("_", "").Replace("-", "").ToLowerInvariant();

    /// <summary>Edits (insert, delete, replace, swap neighbours) between two words: Damerau's distance in its restricted form.</summary>
    private static int Distance(string left, string right)
    {
        var cost = new int[left.Length + 1, right.Length + 1];
        for (var i = 0; i <= left.Length; i++)
            cost[i, 0] = i;
        for (var j = 0; j <= right.Length; j++)
            cost[0, j] = j;
        for (var i = 1; i <= left.Length; i++)
        {
            for (var j = 1; j <= right.Length; j++)
            {
                var same = left[i - 1] == right[j - 1] ? 0 : 1;
                cost[i, j] = Math.Min(Math.Min(cost[i - 1, j] + 1, cost[i, j - 1] + 1), cost[i - 1, j - 1] + same);
                if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
            }
        }

        return cost[left.Length, right.Length];
    }
}
