using System.Globalization;
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

    [Fact]
    public void The_reading_order_counts_up_and_leads_to_what_is_there()
    {
        var lines = ArchitecturePage.Section("Reading order: 30 minutes").Where(line => line.Length > 0).ToList();
        var numbers = lines
            .TakeWhile(line => char.IsAsciiDigit(line[0]))
            .Select(line => int.Parse(line.Split('.')[0], CultureInfo.InvariantCulture))
            .ToList();

        Assert.NotEmpty(numbers);
        Assert.Equal(Enumerable.Range(1, numbers.Count), numbers);
        Repository.AssertNone(
            from line in lines
            from link in ArchitecturePage.Links(line)
            where !File.Exists(link.Path) && !Directory.Exists(link.Path)
            select $"{Repository.Name(link.Path)} is not there: {line}"
        );
        // "Begin with `X.cs`" means a file in a folder that the same line links to.
        Repository.AssertNone(
            from line in lines
            from name in ArchitecturePage.FileNames(line)
            where !ArchitecturePage.Links(line).Any(link => File.Exists(Path.Combine(link.Path, name)))
            select $"{name} is in no folder of: {line}"
        );
    }

    [GeneratedRegex(
        @"\.Create(Observable)?(Counter|UpDownCounter|Gauge|Histogram)(<\w+>)?\(\s*""(?<name>[^""]+)""",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Instrument();
}
