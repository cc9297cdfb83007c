using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Onggi.Events;
using PhoneBill.Contracts;

namespace PhoneBill.ProductChange;

/// <summary>The writes: KOS first, then our database, then the events that drop every cached copy. Each can safely be repeated.</summary>
public sealed class ProductChanges(IDbContextFactory<PhoneBillDb> databases, CachedReads reads, KosClient kos, OnggiEvents events)
{
    public async Task<IResult> ChangeLineAsync(string lineNumber, string productCode, CancellationToken cancellationToken)
    {
        if (Inputs.LineNumber(lineNumber) is { } problem)
            return problem;

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Lines.FindAsync([lineNumber], cancellationToken) is not { } line)
            return Inputs.NotFound($"There is no line {lineNumber}.");
        if (line.State != "active")
            return Conflict($"The line is {line.State}. Resume it first.");

        var available = (await reads.AvailableProductsAsync(line.CustomerType, cancellationToken)).Value!;
        if (available.Products.All(product => product.Code != productCode))
        {
            var codes = string.Join(", ", available.Products.Select(product => product.Code));
            return Inputs.Problem(
                "This product cannot be had",
                $"'{productCode}' is not for {line.CustomerType} customers. Write one of: {codes}."
            );
        }

        if (await kos.ChangeProductAsync(lineNumber, productCode, cancellationToken) is not { } receipt)
            return Inputs.NotFound($"The billing system knows no line {lineNumber}.");

        var previous = line.ProductCode;
        line.ProductCode = productCode;

        // From here on the caller's impatience no longer counts: KOS has made the change, so we save it, and the caches must hear of it.
        await db.SaveChangesAsync(CancellationToken.None);

        // The status is asked for all the time, so it is put anew, not dropped: readers have one or the other, and never wait for the database.
        await reads.RefreshLineStatusAsync(lineNumber, CancellationToken.None);
        var requestId = KosRegistration.RequestId(lineNumber, receipt.BillYm);
        var changed = new ProductChanged(lineNumber, productCode, previous, receipt.BillYm, requestId);
        await events.PublishAsync(EventTypes.ProductChanged, changed, cancellationToken: CancellationToken.None);
        await events.PublishAsync(EventTypes.CustomerUpdated, new CustomerUpdated(lineNumber), cancellationToken: CancellationToken.None);
        await events.PublishAsync(
            EventTypes.LineStatusChanged,
            new LineStatusChanged(lineNumber, line.State),
            cancellationToken: CancellationToken.None
        );
        return TypedResults.Ok(receipt);
    }

    public async Task<IResult> EditProductAsync(string code, ProductEdit edit, CancellationToken cancellationToken)
    {
        if (edit.MonthlyFee is < 0 or > 1_000_000)
            return Inputs.Problem("This is not a fee", $"{edit.MonthlyFee} won is outside 0 to 1,000,000.");

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Products.FindAsync([code], cancellationToken) is not { } product)
            return Inputs.NotFound($"There is no product '{code}'.");

        (product.Name, product.MonthlyFee) = (edit.Name, edit.MonthlyFee);
        // Cancelled, it could end with an exception though the change is made.
        await db.SaveChangesAsync(CancellationToken.None);

        var updated = product.ToProduct();
        await events.PublishAsync(
            EventTypes.ProductUpdated,
            new ProductUpdated(code, updated.CustomerTypes),
            cancellationToken: CancellationToken.None
        );
        return TypedResults.Ok(updated);
    }

    private static ProblemHttpResult Conflict(string detail) =>
        TypedResults.Problem(detail, title: "Not now", statusCode: StatusCodes.Status409Conflict);
}
