namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>Pieces of PromQL that several rules need.</summary>
internal static class Promql
{
    /// <summary>By how much counters of services grew, also those that were not there before.</summary>
    /// <remarks>A counter that comes into being with its first event comes with the value 1. To <c>increase</c> that is no growth, so the first event of all would be missed.</remarks>
    public static string Grew(string series, string window, params string[] by) =>
        $"{Sum(by)} (({series} unless {series} offset {window}) or increase({series}[{window}]))";

    /// <summary>The same of a Redis, whose counters are older than anybody's looking at them.</summary>
    /// <remarks>
    /// Only where the server was watched before does a counter that was not there count as grown; else Prometheus or the exporter was not there. And the exporter's own labels, which change
    /// when it is started anew, do not make a series a new one.
    /// </remarks>
    public static string GrewOnServer(string series, string window, params string[] by) =>
        $"{Sum(by)} (({series} unless on ({string.Join(", ", by)}) {series} offset {window} and on (instance) redis_up offset {window} == 1) or increase({series}[{window}]))";

    /// <summary>Per second, summed.</summary>
    public static string Rate(string series, string window, params string[] by) => $"{Sum(by)} (rate({series}[{window}]))";

    private static string Sum(string[] by) => by.Length == 0 ? "sum" : $"sum by ({string.Join(", ", by)})";
}
