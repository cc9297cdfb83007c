using System.Text.RegularExpressions;

namespace Onggi.Cli.Auditing;

/// <summary>Shapes of personal data in names of keys.</summary>
internal static partial class PersonalData
{
    private const int Shown = 3;

    /// <summary>What the name has the shape of; <c>null</c> for nothing.</summary>
    public static string? In(string name) =>
        Email().IsMatch(name) ? "e-mail address"
        : ResidentNumber().IsMatch(name) ? "resident registration number"
        : Phone().IsMatch(name) ? "phone number"
        : null;

    /// <summary>The name with what is personal cut down to its beginning, so that a report may be sent.</summary>
    public static string Mask(string name)
    {
        var masked = Words.Key(name);
        foreach (var shape in (Regex[])[Email(), ResidentNumber(), Phone()])
            masked = shape.Replace(masked, found => found.Value[..Math.Min(Shown, found.Length)] + "…");
        return masked;
    }

    // Whole parts only: digits inside of a longer identifier are no number of anybody.
    [GeneratedRegex(
        @"(?<![\w+-])(01[016789]-?\d{3,4}-?\d{4}|0\d{1,2}-\d{3,4}-\d{4}|\+\d{1,3}-?(\d-?){7,12})(?![\w-])",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Phone();

    [GeneratedRegex(@"(?<![\w-])\d{6}-[1-8]\d{6}(?![\w-])", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex ResidentNumber();

    // Identifiers are escaped, so the sign can be one.
    [GeneratedRegex(
        @"(?<![\w.+-])[\w.+-]{1,64}(@|%40)[\w-]{1,63}(\.[\w-]{1,63}){0,5}\.[A-Za-z]{2,24}(?![\w-])",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Email();
}
