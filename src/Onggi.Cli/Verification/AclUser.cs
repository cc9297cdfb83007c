namespace Onggi.Cli.Verification;

/// <summary>A user as a line of an ACL file or of ACL LIST has it. Passwords and their digests are not kept.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Line">Where it stands, from 1.</param>
/// <param name="IsOn">Whether anybody may log in as it.</param>
/// <param name="NeedsNoPassword">Whether any password is taken.</param>
/// <param name="HasPlainPassword">Whether a password stands there itself.</param>
/// <param name="HasPassword">Whether it has one.</param>
/// <param name="MayEverything">Whether it may execute every command on every key.</param>
/// <param name="Keys">Patterns of keys and channels, outside of selectors.</param>
internal sealed record AclUser(
    string Name,
    int Line,
    bool IsOn,
    bool NeedsNoPassword,
    bool HasPlainPassword,
    bool HasPassword,
    bool MayEverything,
    IReadOnlySet<string> Keys
)
{
    /// <summary>Reads a line; <c>null</c> for an empty one or a comment.</summary>
    public static AclUser? Parse(string text, int number)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words is not ["user", var name, ..])
            return null;
        var (isOn, noPass, plain, password, all) = (false, false, false, false, false);
        var keys = new HashSet<string>(StringComparer.Ordinal);
        var depth = 0;
        foreach (var rule in words.Skip(2))
        {
            depth += rule.Count(c => c == '(');
            if (depth == 0)
                switch (rule)
                {
                    case "on":
                        isOn = true;
                        break;
                    case "off":
                        isOn = false;
                        break;
                    case "nopass":
                        noPass = true;
                        break;
                    case "reset":
                        (isOn, noPass, plain, password, all) = (false, false, false, false, false);
                        keys.Clear();
                        break;
                    case "resetpass":
                        (noPass, plain, password) = (false, false, false);
                        break;
                    case "resetkeys":
                        keys.RemoveWhere(key => key[0] != '&');
                        break;
                    case "resetchannels":
                        keys.RemoveWhere(key => key[0] == '&');
                        break;
                    case "+@all" or "allcommands":
                        all = true;
                        break;
                    case "-@all" or "nocommands":
                        all = false;
                        break;
                    default:
                        plain |= rule[0] is '>';
                        password |= rule[0] is '>' or '#';
                        all &= rule[0] != '-';
                        if (PatternOf(rule) is { } pattern)
                            keys.Add(pattern);
                        break;
                }

            depth -= rule.Count(c => c == ')');
        }

        return new AclUser(name, number, isOn, noPass, plain, password || plain, all && keys.Contains("~*"), keys);
    }

    private static string? PatternOf(string rule) =>
        rule switch
        {
            "allkeys" => "~*",
            "allchannels" => "&*",
            _ when rule.StartsWith("%RW~", StringComparison.Ordinal) => rule[3..],
            _ when rule[0] is '~' or '&' or '%' => rule,
            _ => null,
        };
}
