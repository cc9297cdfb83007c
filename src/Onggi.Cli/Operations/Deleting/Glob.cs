namespace Onggi.Cli.Operations.Deleting;

/// <summary>Patterns of names as Redis reads them: <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>[^a]</c>, <c>\</c>.</summary>
internal static class Glob
{
    public static bool IsMatch(ReadOnlySpan<char> pattern, ReadOnlySpan<char> text)
    {
        while (!pattern.IsEmpty)
        {
            switch (pattern[0])
            {
                case '*':
                    pattern = pattern.TrimStart('*');
                    for (var skip = 0; skip <= text.Length; skip++)
                    {
                        if (IsMatch(pattern, text[skip..]))
                            return true;
                    }

                    return false;
                case '[' when pattern.Length > 1:
                    if (text.IsEmpty || !IsInClass(ref pattern, text[0]))
                        return false;
                    break;
                default:
                    var any = pattern[0] == '?';
                    if (pattern[0] == '\\' && pattern.Length > 1)
                        pattern = pattern[1..];
                    if (text.IsEmpty || (!any && pattern[0] != text[0]))
                        return false;
                    pattern = pattern[1..];
                    break;
            }

            text = text[1..];
        }

        return text.IsEmpty;
    }

    private static bool IsInClass(ref ReadOnlySpan<char> pattern, char c)
    {
        var at = 1;
        var not = at < pattern.Length && pattern[at] == '^';
        if (not)
            at++;
        var found = false;
        while (at < pattern.Length && pattern[at] != ']')
        {
            if (pattern[at] == '\\' && at + 1 < pattern.Length)
                at++;
            var (from, to) = (pattern[at], pattern[at]);
            if (at + 2 < pattern.Length && pattern[at + 1] == '-')
            {
                to = pattern[at + 2];
                at += 2;
            }

            found |= c >= Math.Min(from, to) && c <= Math.Max(from, to);
            at++;
        }

        pattern = pattern[Math.Min(pattern.Length, at + 1)..];
        return found != not;
    }
}
