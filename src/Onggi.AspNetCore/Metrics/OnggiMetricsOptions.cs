namespace Onggi.AspNetCore;

/// <summary>What the Prometheus endpoint shows.</summary>
public sealed class OnggiMetricsOptions
{
    /// <summary>The meters to listen to, by name; a trailing <c>*</c> stands for any ending.</summary>
    /// <value>
    /// Default: <c>Onggi.*</c>. Worth adding: <c>Microsoft.AspNetCore.Hosting</c>, <c>Microsoft.AspNetCore.Server.Kestrel</c>,
    /// <c>System.Runtime</c>.
    /// </value>
    public IList<string> Meters { get; } = ["Onggi.*"];

    /// <summary>
    /// How many series (sets of tag values) one instrument may have. Measurements that would make one more are dropped, logged once for
    /// the instrument, and counted in <c>onggi_metrics_dropped_measurements_total</c>: a tag with endless values costs numbers, not memory.
    /// </summary>
    /// <value>Default: 1,000. At least 1.</value>
    public int MaxSeries { get; set; } = 1_000;

    internal bool Includes(string meter)
    {
        foreach (var name in Meters)
        {
            if (name.EndsWith('*') ? meter.StartsWith(name[..^1], StringComparison.Ordinal) : meter == name)
                return true;
        }
        return false;
    }
}
