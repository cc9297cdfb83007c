using System.Xml.Linq;

namespace Onggi.Tests.Rules;

/// <summary>Which project may reference which project and package. Another line here is a decision, with a page in docs/decisions.</summary>
public class ProjectRules
{
    private static readonly Dictionary<string, string[]> Projects = new()
    {
        ["Onggi.Client"] = [],
        ["Onggi"] = ["Onggi.Client"],
        ["Onggi.Generators"] = [],
        ["Onggi.AspNetCore"] = ["Onggi"],
        ["Onggi.Cli"] = ["Onggi", "Onggi.Client"],
        ["Contracts"] = ["Onggi.AspNetCore", "Onggi.Generators"],
    };

    private static readonly Dictionary<string, string[]> Packages = new()
    {
        ["Onggi.Client"] = ["Microsoft.Extensions.Logging.Abstractions"],
        ["Onggi"] =
        [
            "Microsoft.Extensions.Diagnostics",
            "Microsoft.Extensions.Hosting.Abstractions",
            "Microsoft.Extensions.Options.ConfigurationExtensions",
        ],
        ["Onggi.Generators"] = ["Microsoft.CodeAnalysis.CSharp"],
        ["Onggi.AspNetCore"] = [],
        ["Onggi.Cli"] = ["Spectre.Console", "System.CommandLine"],
    };

    [Fact]
    public void Projects_that_ship_reference_only_what_the_table_allows()
    {
        foreach (var project in Repository.Files("src", "*.csproj"))
        {
            var name = Path.GetFileNameWithoutExtension(project);
            Assert.True(Projects.ContainsKey(name), $"{name} is not in the table of who may see whom.");
            Repository.AssertNone(References(project).Except(Projects[name]).Select(other => $"{name} references {other}"));
            Repository.AssertNone(Items(project, "PackageReference").Except(Packages[name]).Select(package => $"{name} takes {package}"));
        }
    }

    [Fact]
    public void Samples_see_Onggi_through_its_ASP_NET_project()
    {
        foreach (var project in Repository.Files("samples", "*.csproj"))
        {
            var name = Path.GetFileNameWithoutExtension(project);
            // The demo builds the services so that it can start them; it does not see their code.
            var allowed = Projects.GetValueOrDefault(name, ["Contracts"]);
            Repository.AssertNone(References(project).Except(allowed).Select(other => $"{name} references {other}"));
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

    private static IEnumerable<string> References(string project) =>
        Elements(project, "ProjectReference")
            .Where(reference => reference.Attribute("ReferenceOutputAssembly")?.Value != "false" || IsAnalyzer(reference))
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));

    private static bool IsAnalyzer(XElement reference) => reference.Attribute("OutputItemType")?.Value == "Analyzer";

    private static IEnumerable<string> Items(string project, string kind) =>
        Elements(project, kind).Select(item => item.Attribute("Include")!.Value);

    private static IEnumerable<XElement> Elements(string project, string kind) => XDocument.Load(project).Descendants(kind);
}
