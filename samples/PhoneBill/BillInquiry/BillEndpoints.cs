using PhoneBill.Contracts;

namespace PhoneBill.BillInquiry;

public static class BillEndpoints
{
    public static void MapBills(this WebApplication app)
    {
        var api = app.MapGroup("/api").RequireAuthorization().RequirePermission("bill.read");

        api.MapGet(
                "/customers/{lineNumber}",
                async (string lineNumber, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    Inputs.LineNumber(lineNumber) is { } problem
                        ? (IResult)problem
                        : http.Answer(await reads.CustomerAsync(lineNumber, cancellationToken), $"There is no line {lineNumber}.")
            )
            .Answers<Customer>("The customer who pays for a line (010-NNNN-NNNN).");

        api.MapGet(
                "/lines/{lineNumber}/status",
                async (string lineNumber, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    Inputs.LineNumber(lineNumber) is { } problem
                        ? (IResult)problem
                        : http.Answer(await reads.LineStatusAsync(lineNumber, cancellationToken), $"There is no line {lineNumber}.")
            )
            .Answers<LineStatus>("Whether a line is in use.");

        api.MapGet(
                "/bills/{lineNumber}/{month}",
                async (string lineNumber, string month, HttpContext http, BillReader bills, CancellationToken cancellationToken) =>
                {
                    if ((Inputs.LineNumber(lineNumber) ?? Inputs.Month(month)) is { } problem)
                        return (IResult)problem;
                    var (tier, bill) = await bills.GetAsync(lineNumber, month, cancellationToken);
                    return http.Answer(tier, bill, $"The billing system knows no line {lineNumber}.");
                }
            )
            .Answers<NamedBill>("A line's bill of one month (yyyy-MM).");
    }
}
