using Microsoft.AspNetCore.Http.HttpResults;
using PhoneBill.Contracts;

namespace PhoneBill.Kos;

public static class LegacyEndpoints
{
    public static void MapLegacy(this WebApplication app)
    {
        app.MapGet(
                "/kos/lines/{lineNumber}/bills/{month}",
                async (string lineNumber, string month, LegacyLedger ledger, LegacyPace pace, CancellationToken cancellationToken) =>
                    Inputs.Month(month) is { } problem ? problem
                    : await pace.WaitAsync("bill", cancellationToken)
                        ? ledger.Bill(lineNumber, month) is { } bill ? Results.Ok(bill)
                            : Inputs.NotFound($"KOS has no line {lineNumber}.")
                    : Failure()
            )
            .Answers<KosResponse>("A line's amounts of one month.");

        app.MapPost(
                "/kos/lines/{lineNumber}/product",
                async (
                    string lineNumber,
                    KosProductChange change,
                    LegacyLedger ledger,
                    LegacyPace pace,
                    TimeProvider time,
                    CancellationToken cancellationToken
                ) =>
                {
                    if (!await pace.WaitAsync("change", cancellationToken))
                        return Failure();
                    if (!ledger.Sells(change.ProductCode))
                        return Inputs.Problem("This is not a product", $"KOS sells no '{change.ProductCode}'.");
                    return ledger.ChangeProduct(lineNumber, change.ProductCode, Months.Current(time)) is { } receipt
                        ? Results.Ok(receipt)
                        : Inputs.NotFound($"KOS has no line {lineNumber}.");
                }
            )
            .Answers<KosReceipt>("Books another product from the running month on.");
    }

    /// <summary>For demonstrations: break it, and see how often it was asked.</summary>
    public static void MapLegacyAdmin(this WebApplication app)
    {
        app.MapPost(
                "/admin/mode/{mode}",
                (string mode, LegacyPace pace) =>
                {
                    if (!Enum.TryParse<LegacyMode>(mode, ignoreCase: true, out var parsed) || !Enum.IsDefined(parsed))
                        return (IResult)Inputs.Problem("This is not a mode", $"'{mode}' is unknown. Write one of: ok, fail, hang, slow.");
                    pace.Mode = parsed;
                    return TypedResults.NoContent();
                }
            )
            .AnswersNothing("How KOS behaves from now on: ok, fail, hang or slow.");

        app.MapGet("/admin/calls", (LegacyPace pace) => new KosCalls(pace.Calls.Values.Sum(), pace.Calls))
            .Answers<KosCalls>("How often KOS was asked.");
    }

    private static ProblemHttpResult Failure() =>
        TypedResults.Problem("SYS-9001", title: "KOS failed", statusCode: StatusCodes.Status500InternalServerError);
}

public sealed record KosCalls(int Total, IReadOnlyDictionary<string, int> ByOperation);
