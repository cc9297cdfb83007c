using System.Globalization;

namespace Onggi.Cli.Verification;

/// <summary>A page of metrics as Prometheus reads it.</summary>
/// <param name="Address">Where it is.</param>
/// <param name="Lines">Its lines; empty where there is none.</param>
/// <param name="Error">Why there is none; <c>null</c> when there is.</param>
internal sealed record MetricsPage(Uri Address, IReadOnlyList<string> Lines, string? Error)
{
    /// <summary>Asks for it.</summary>
    public static async Task<MetricsPage> ReadAsync(Uri address, HttpClient http, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await http.GetAsync(address, cancellationToken).ConfigureAwait(false);
            var text = await answer.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            return answer.IsSuccessStatusCode
                ? new MetricsPage(address, text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries), null)
                : new MetricsPage(address, [], $"{address} answers {(int)answer.StatusCode}.");
        }
        catch (HttpRequestException problem)
        {
            return new MetricsPage(address, [], $"{address} does not answer: {problem.Message}");
        }
        catch (TaskCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new MetricsPage(address, [], $"{address} does not answer within {http.Timeout.TotalSeconds:0} s.");
        }
    }

    /// <summary>The values of a metric, with the text of their labels.</summary>
    public IEnumerable<(string Labels, double Value)> Of(string metric)
    {
        foreach (var line in Lines)
        {
            var space = line.LastIndexOf(' ');
            if (
                space > metric.Length - 1
                && line.StartsWith(metric, StringComparison.Ordinal)
                && line[metric.Length] is '{' or ' '
                && double.TryParse(line.AsSpan(space + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            )
                yield return (line[metric.Length..space], value);
        }
    }

    /// <summary>A label of those texts; <c>null</c> when it is not among them.</summary>
    public static string? Label(string labels, string name)
    {
        var begin = labels.IndexOf($"{name}=\"", StringComparison.Ordinal);
        if (begin < 0)
            return null;
        begin += name.Length + 2;
        return labels[begin..labels.IndexOf('"', begin)];
    }
}
