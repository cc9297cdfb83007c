using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace PhoneBill.Contracts;

/// <summary>Checks what callers send. <c>null</c> means good; otherwise the answer says what was wrong and what to write.</summary>
public static partial class Inputs
{
    public static ProblemHttpResult? LineNumber(string lineNumber) =>
        LineNumberPattern().IsMatch(lineNumber)
            ? null
            : Problem("This is not a line number", $"'{lineNumber}' does not look like 010-NNNN-NNNN. Write for example 010-1000-1234.");

    public static ProblemHttpResult? Month(string month) =>
        DateOnly.TryParseExact(month, "yyyy-MM", CultureInfo.InvariantCulture, DateTimeStyles.None, out _)
            ? null
            : Problem("This is not a month", $"'{month}' does not look like yyyy-MM. Write for example 2026-10.");

    public static ProblemHttpResult? CustomerType(string type) =>
        Seed.CustomerTypes.Contains(type)
            ? null
            : Problem("This is not a type of customer", $"'{type}' is unknown. Write one of: {string.Join(", ", Seed.CustomerTypes)}.");

    /// <summary>400, with what was wrong and what to write.</summary>
    public static ProblemHttpResult Problem(string title, string detail) =>
        TypedResults.Problem(detail, title: title, statusCode: StatusCodes.Status400BadRequest);

    /// <summary>404, with what does not exist.</summary>
    public static ProblemHttpResult NotFound(string detail) =>
        TypedResults.Problem(detail, title: "Not found", statusCode: StatusCodes.Status404NotFound);

    /// <summary>401, with how to sign in.</summary>
    public static ProblemHttpResult Unauthorized(string detail) =>
        TypedResults.Problem(detail, title: "Not signed in", statusCode: StatusCodes.Status401Unauthorized);

    [GeneratedRegex(@"\A010-\d{4}-\d{4}\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 100)]
    private static partial Regex LineNumberPattern();
}
