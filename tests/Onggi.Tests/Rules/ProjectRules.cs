using System.Xml.Linq;

namespace Onggi.Tests.Rules;

/// <summary>Which project references which project, as docs/ARCHITECTURE.md says, and which package. Another line is a decision, with a page in docs/decisions.</summary>
public class ProjectRules
{
    private static readonly Dictionary<string, string[]> Packages = new()
    {
        ["Onggi.Client"] = ["Microsoft.Extensions.Logging.Abstractions"],
        ["Onggi"] =
        [
            "Microsoft.Extensions.Diagnostics",
            "Microsoft.Extensions.Hosting.Abstractions",
            "Microsoft.Extensions.Options.ConfigurationExtensions",
            "Microsoft.IdentityModel.JsonWebTokens",
        ],
        ["Onggi.Generators"] = ["Microsoft.CodeAnalysis.CSharp"],
        ["Onggi.AspNetCore"] = [],
        ["Onggi.Cli"] = ["Spectre.Console", "System.CommandLine", "YamlDotNet"],
    };

    [Fact]
    public void Every_project_sees_what_the_architecture_page_says_and_nothing_else()
    {
        var said = Page().SelectMany(row => row.Projects.Select(project => Said(project.Text, row.Sees)));
        var done = Repository.Files(pattern: "*.csproj").Select(file => Said(Path.GetFileNameWithoutExtension(file), References(file)));

        Assert.Equal(done.Order(StringComparer.Ordinal), said.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_projects_on_the_architecture_page_stand_where_it_links_to()
    {
        Repository.AssertNone(
            from row in Page()
            from project in row.Projects
            where !File.Exists(Path.Combine(project.Path, $"{project.Text}.csproj"))
            select $"{project.Text} is not in {Repository.Name(project.Path)}"
        );
    }

    [Fact]
    public void The_drawing_of_the_architecture_page_shows_who_sees_whom_in_what_ships_and_in_the_samples()
    {
        var drawn =
            from chain in ArchitecturePage.Chains("Projects")
            from at in Enumerable.Range(1, chain.Length - 1)
            from above in chain[at]
            from below in chain[at - 1]
            select $"{above} sees {below}";
        var done =
            from file in Repository.Files("src", "*.csproj").Concat(Repository.Files("samples", "*.csproj"))
            from other in References(file)
            select $"{Path.GetFileNameWithoutExtension(file)} sees {other}";

        Assert.Equal(done.Order(StringComparer.Ordinal), drawn.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Projects_that_ship_take_only_the_packages_of_the_table()
    {
        foreach (var project in Repository.Files("src", "*.csproj"))
        {
            var name = Path.GetFileNameWithoutExtension(project);
            Assert.True(Packages.ContainsKey(name), $"{name} is not in the table of packages.");
            Repository.AssertNone(Items(project, "PackageReference").Except(Packages[name]).Select(package => $"{name} takes {package}"));
        }
    }

    [Fact]
    public void Every_project_is_in_the_solution_and_has_its_lock_file()
    {
        var solution = XDocument
            .Load(Repository.PathOf("Onggi.slnx"))
            .Descendants("Project")
            .Select(project => project.Attribute("Path")!.Value);
        var projects = Repository.Files(pattern: "*.csproj").Select(Repository.Name).Order(StringComparer.Ordinal).ToList();

        Assert.Equal(projects, solution.Order(StringComparer.Ordinal));
        Repository.AssertNone(
            projects.Where(project => !File.Exists(Repository.PathOf($"{Path.GetDirectoryName(project)}/packages.lock.json")))
        );
    }

    [Fact]
    public void Projects_that_ship_cannot_leave_a_public_type_without_documentation()
    {
        // The compiler asks for it (CS1591) wherever documentation files are made and the warning is not turned off.
        foreach (var file in Repository.Files("src", "*.csproj").Append(Repository.PathOf("src/Directory.Build.props")))
            Assert.DoesNotContain("1591", File.ReadAllText(file), StringComparison.Ordinal);
        Assert.Contains(
            "<GenerateDocumentationFile>true</GenerateDocumentationFile>",
            File.ReadAllText(Repository.PathOf("Directory.Build.props")),
            StringComparison.Ordinal
        );
    }

    /// <summary>The table of projects on the architecture page; a row may name several that see the same.</summary>
    private static IEnumerable<(IReadOnlyList<(string Text, string Path)> Projects, IEnumerable<string> Sees)> Page()
    {
        foreach (var row in ArchitecturePage.Rows("Projects"))
        {
            Assert.Equal(3, row.Length);
            yield return ([.. ArchitecturePage.Links(row[0])], row[2] is "nothing of ours" ? [] : row[2].Split(", "));
        }
    }

    private static string Said(string project, IEnumerable<string> sees) =>
        $"{project} sees {string.Join(", ", sees.Order(StringComparer.Ordinal))}";

    /// <summary>The projects whose code it sees, generators included; not those that it only builds or packs.</summary>
    private static IEnumerable<string> References(string project) =>
        Elements(project, "ProjectReference")
            .Where(reference => reference.Attribute("ReferenceOutputAssembly")?.Value != "false" || IsAnalyzer(reference))
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));

    private static bool IsAnalyzer(XElement reference) => reference.Attribute("OutputItemType")?.Value == "Analyzer";

    private static IEnumerable<string> Items(string project, string kind) =>
        Elements(project, kind).Select(item => item.Attribute("Include")!.Value);

    private static IEnumerable<XElement> Elements(string project, string kind) => XDocument.Load(project).Descendants(kind);
}
