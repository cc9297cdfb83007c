using System.Collections.Concurrent;
using System.Globalization;
using PhoneBill.Contracts;

namespace PhoneBill.Kos;

/// <summary>What KOS knows: which product each line has, and amounts that are a function of line and month.</summary>
public sealed class LegacyLedger
{
    private readonly ConcurrentDictionary<string, string> _products = new(
        Seed.Lines().ToDictionary(line => line.LineNumber, line => line.ProductCode)
    );
    private readonly Dictionary<string, int> _fees = Seed.Products().ToDictionary(product => product.Code, product => product.MonthlyFee);
    private int _receipts;

    public bool Sells(string productCode) => _fees.ContainsKey(productCode);

    /// <summary>The bill of one month; <c>null</c> for an unknown line.</summary>
    public KosResponse? Bill(string lineNumber, string month)
    {
        if (!_products.TryGetValue(lineNumber, out var product))
            return null;

        // The same line and month give the same amounts on every machine.
        var digits = long.Parse(lineNumber.Replace("-", "") + month.Replace("-", ""), CultureInfo.InvariantCulture);
        var usage = (int)(digits % 97) * 110;
        var discount = digits % 3 == 0 ? _fees[product] / 4 : 0;
        return new(KosRegistration.RequestId(lineNumber, month), lineNumber, month, product, _fees[product], usage, discount);
    }

    /// <summary>Books another product; <c>null</c> for an unknown line.</summary>
    public KosReceipt? ChangeProduct(string lineNumber, string productCode, string month)
    {
        if (!_products.TryGetValue(lineNumber, out var previous))
            return null;
        _products[lineNumber] = productCode;
        return new($"R{Interlocked.Increment(ref _receipts):D6}", lineNumber, productCode, previous, month);
    }
}
