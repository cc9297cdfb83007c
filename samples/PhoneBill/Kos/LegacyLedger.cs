using System.Collections.Concurrent;
using System.Globalization;
using PhoneBill.Contracts;

namespace PhoneBill.Kos;

/// <summary>What KOS knows: which product each line has, and amounts that are a function of line and month.</summary>
public sealed class LegacyLedger
{
    private readonly ConcurrentDictionary<string, Contract> _contracts = new(
        Seed.Lines().ToDictionary(line => line.LineNumber, line => new Contract(line.ProductCode, "", line.ProductCode))
    );
    private readonly Dictionary<string, int> _fees = Seed.Products().ToDictionary(product => product.Code, product => product.MonthlyFee);
    private int _receipts;

    public bool Sells(string productCode) => _fees.ContainsKey(productCode);

    /// <summary>The bill of one month; <c>null</c> for an unknown line.</summary>
    public KosResponse? Bill(string lineNumber, string month)
    {
        if (!_contracts.TryGetValue(lineNumber, out var contract))
            return null;

        var product = contract.ProductIn(month);
        // The same line and month give the same amounts on every machine.
        var digits = long.Parse(lineNumber.Replace("-", "") + month.Replace("-", ""), CultureInfo.InvariantCulture);
        var usage = (int)(digits % 97) * 110;
        var discount = digits % 3 == 0 ? _fees[product] / 4 : 0;
        return new(KosRegistration.RequestId(lineNumber, month), lineNumber, month, product, _fees[product], usage, discount);
    }

    /// <summary>Books another product; <c>null</c> for an unknown line.</summary>
    public KosReceipt? ChangeProduct(string lineNumber, string productCode, string month)
    {
        if (!_contracts.TryGetValue(lineNumber, out var contract))
            return null;

        var previous = contract.ProductIn(month);
        _contracts[lineNumber] = contract with { Product = productCode, Since = month, Before = contract.ProductBefore(month) };
        return new($"R{Interlocked.Increment(ref _receipts):D6}", lineNumber, productCode, previous, month);
    }

    /// <summary>What a line has since a month, and what it had until then.</summary>
    private sealed record Contract(string Product, string Since, string Before)
    {
        public string ProductIn(string month) => string.CompareOrdinal(month, Since) >= 0 ? Product : Before;

        public string ProductBefore(string month) => string.CompareOrdinal(Since, month) < 0 ? Product : Before;
    }
}
