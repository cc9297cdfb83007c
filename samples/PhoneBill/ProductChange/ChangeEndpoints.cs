using PhoneBill.Contracts;

namespace PhoneBill.ProductChange;

public sealed record ChangeRequest(string ProductCode);

public sealed record ProductEdit(string Name, int MonthlyFee);

public static class ChangeEndpoints
{
    public static void MapProductChange(this WebApplication app)
    {
        var api = app.MapGroup("/api").RequireAuthorization().RequirePermission("product.change");

        api.MapPost(
                "/lines/{lineNumber}/product",
                (string lineNumber, ChangeRequest request, ProductChanges changes, CancellationToken cancellationToken) =>
                    changes.ChangeLineAsync(lineNumber, request.ProductCode, cancellationToken)
            )
            .Answers<KosReceipt>(
                "Gives a line another product; every cached copy of its bill and its customer is dropped, its status is put anew."
            );

        api.MapPut(
                "/products/{code}",
                (string code, ProductEdit edit, ProductChanges changes, CancellationToken cancellationToken) =>
                    changes.EditProductAsync(code, edit, cancellationToken)
            )
            .Answers<Product>("Changes a product's name and fee.");
    }
}
