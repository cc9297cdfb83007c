using Onggi.Caching;
using PhoneBill.Contracts;

namespace PhoneBill.BillInquiry;

/// <summary>A line's bill of one month. Two entries keep KOS quiet: its raw answer, and the bill that we make of it.</summary>
public sealed class BillReader(OnggiCache cache, CachedReads reads, KosClient kos)
{
    public ValueTask<CacheResult<Bill>> GetAsync(string lineNumber, string month, CancellationToken cancellationToken) =>
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

        var product = (await reads.ProductAsync(answer.ProdCd, cancellationToken)).Value;
        Charge[] charges = [new("기본료", answer.BaseAmt), new("사용료", answer.UseAmt), new("약정 할인", -answer.DiscAmt)];
        return new Bill(lineNumber, month, answer.ProdCd, product?.Name ?? answer.ProdCd, charges, charges.Sum(charge => charge.Amount));
    }
}
