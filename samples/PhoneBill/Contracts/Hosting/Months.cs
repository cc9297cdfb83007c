namespace PhoneBill.Contracts;

/// <summary>Billing months, as <c>yyyy-MM</c>.</summary>
public static class Months
{
    /// <summary>The running month in Korea, which has no summer time.</summary>
    public static string Current(TimeProvider time) => time.GetUtcNow().AddHours(9).ToString("yyyy-MM");
}
