using System.Text.RegularExpressions;

namespace Onggi.Tests.Rules;

/// <summary>Documents that say all there is must say it when there is more.</summary>
public partial class DocumentRules
{
    [Fact]
    public void Every_instrument_is_on_the_metrics_page_with_its_Prometheus_name()
    {
        var page = File.ReadAllText(Repository.PathOf("docs/features/metrics.md"));
        var names = Repository
            .Files("src", "*.cs")
            .SelectMany(file => Instrument().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups["name"].Value)
            .Distinct()
            .ToList();

        Assert.NotEmpty(names);
        Repository.AssertNone(
            names
                .Where(name => !page.Contains($"`{name}` | `{name.Replace('.', '_')}", StringComparison.Ordinal))
                .Select(name => $"{name} is not in docs/features/metrics.md")
        );
    }

    [Fact]
    public void Every_folder_of_the_libraries_is_on_the_architecture_page()
    {
        var page = File.ReadAllText(Repository.PathOf("docs/ARCHITECTURE.md"));

        Repository.AssertNone(
            from project in (string[])["Onggi.Client", "Onggi", "Onggi.AspNetCore"]
            from folder in Directory.EnumerateDirectories(Repository.PathOf($"src/{project}"))
            let name = Path.GetFileName(folder)
            where name is not ("bin" or "obj" or "build") && !page.Contains($"(../src/{project}/{name})", StringComparison.Ordinal)
            select $"src/{project}/{name} is not in docs/ARCHITECTURE.md"
        );
    }

    [GeneratedRegex(
        @"\.Create(Observable)?(Counter|UpDownCounter|Gauge|Histogram)(<\w+>)?\(\s*""(?<name>[^""]+)""",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Instrument();
}
