using Onggi.Caching;
using PhoneBill.Contracts;

namespace PhoneBill.BillInquiry;

/// <summary>A bill as people read it: with the name that its product has now.</summary>
public sealed record NamedBill(
    string LineNumber,
    string Month,
    string ProductCode,
    string ProductName,
    IReadOnlyList<Charge> Charges,
    int Total
);

/// <summary>A line's bill of one month. Two entries keep KOS quiet: its raw answer, and the bill that we make of it.</summary>
public sealed class BillReader(OnggiCache cache, CachedReads reads, KosClient kos)
{
    /// <summary>The bill and where it came from. The product's name is joined on from an entry of its own, which <c>product.updated</c> drops.</summary>
    public async ValueTask<(CacheTier Tier, NamedBill? Bill)> GetAsync(string lineNumber, string month, CancellationToken cancellationToken)
    {
        var result = await BillAsync(lineNumber, month, cancellationToken);
        if (result.Value is not { } bill)
            return (result.Tier, null);

        var product = (await reads.ProductAsync(bill.ProductCode, cancellationToken)).Value;
        var name = product?.Name ?? bill.ProductCode;
        return (result.Tier, new NamedBill(bill.LineNumber, bill.Month, bill.ProductCode, name, bill.Charges, bill.Total));
    }

    private ValueTask<CacheResult<Bill>> BillAsync(string lineNumber, string month, CancellationToken cancellationToken) =>
        cache.GetOrLoadResultAsync(
            Keys.Bill(lineNumber, month),
            (Reader: this, lineNumber, month),
            static (state, load) => state.Reader.MakeAsync(state.lineNumber, state.month, load.CancellationToken),
            cancellationToken
        );

    private async ValueTask<Bill?> MakeAsync(string lineNumber, string month, CancellationToken cancellationToken)
    {
        var answer = await cache.GetOrLoadAsync(
            Keys.KosResponse(KosRegistration.RequestId(lineNumber, month)),
            (kos, lineNumber, month),
            static async (state, load) => await state.kos.BillAsync(state.lineNumber, state.month, load.CancellationToken),
            cancellationToken
        );
        if (answer is null)
            return null;

        Charge[] charges = [new("기본료", answer.BaseAmt), new("사용료", answer.UseAmt), new("약정 할인", -answer.DiscAmt)];
        return new Bill(lineNumber, month, answer.ProdCd, charges, charges.Sum(charge => charge.Amount));
    }
}
