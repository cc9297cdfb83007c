using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>The Dockerfiles, as far as they can be judged without a builder.</summary>
public partial class ImageTests
{
    private const string Service = "deploy/docker/Dockerfile.service";
    private const string Tool = "deploy/docker/Dockerfile.cli";
    private static readonly string[] Services = ["Auth", "Users", "BillInquiry", "ProductChange", "Kos"];

    public static TheoryData<string> Files => [Service, Tool];

    [Theory]
    [MemberData(nameof(Files))]
    public void What_is_copied_is_in_the_repository_and_not_kept_from_the_builder(string file)
    {
        var ignored = Sources.Text(".dockerignore").Split('\n').Where(line => line.Length > 0 && line[0] != '#').ToList();
        var copied = Copied(file).ToList();

        Assert.NotEmpty(copied);
        foreach (var path in copied)
        {
            Assert.True(
                File.Exists(Sources.PathOf(path)) || Directory.Exists(Sources.PathOf(path)),
                $"{file} copies {path}, which is not there."
            );
            Assert.DoesNotContain(path.TrimEnd('/').Split('/')[0], ignored);
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Images_have_exact_tags_and_what_runs_is_not_root(string file)
    {
        var text = Sources.Text(file);
        var froms = From().Matches(text).Select(match => match.Groups["image"].Value).ToList();
        foreach (var image in froms.Where(image => image is not "runtime"))
            Assert.Matches(@"^[a-z0-9./-]+:\d+\.\d+\.\d+(-[a-z-]+)?$", image);

        // Every stage that is not built in ends as somebody who is not root, by its entry point.
        foreach (var stage in text.Split("\nFROM ")[1..].Where(stage => stage.Contains("ENTRYPOINT", StringComparison.Ordinal)))
        {
            Assert.Matches(@"\nUSER (\$APP_UID|[1-9]\d*)\n", stage);
            Assert.Matches(@"\nENTRYPOINT \[", stage);
        }

        Assert.Equal(file == Tool ? 2 : 1, text.Split("\nENTRYPOINT ").Length - 1);
        // The tool's two images stand on the same .NET, and on the Redis that the cluster runs.
        Assert.All(
            froms.Where(image => image.StartsWith("redis:", StringComparison.Ordinal)),
            image => Assert.Equal("redis:7.2.11", image)
        );
    }

    [Fact]
    public void The_entry_point_of_a_service_is_the_program_that_its_project_makes()
    {
        var text = Sources.Text(Service);
        Assert.Contains("ln -s \"PhoneBill.${PROJECT}\" /app/service", text, StringComparison.Ordinal);
        Assert.Contains("ENTRYPOINT [\"/app/service\"]", text, StringComparison.Ordinal);
        foreach (var service in Services)
            Assert.Equal($"PhoneBill.{service}", Property($"samples/PhoneBill/{service}/{service}.csproj", "AssemblyName"));
        Assert.Equal("Onggi.Cli", Property("src/Onggi.Cli/Onggi.Cli.csproj", "AssemblyName"));
    }

    [Theory]
    [InlineData(Service, "samples/PhoneBill/Auth")]
    [InlineData(Service, "samples/PhoneBill/Users")]
    [InlineData(Service, "samples/PhoneBill/BillInquiry")]
    [InlineData(Service, "samples/PhoneBill/ProductChange")]
    [InlineData(Service, "samples/PhoneBill/Kos")]
    [InlineData(Tool, "src/Onggi.Cli")]
    public void What_a_project_is_built_from_is_copied(string file, string project)
    {
        var copied = Copied(file).ToList();

        foreach (var needed in Closure($"{project}/{Path.GetFileName(project)}.csproj"))
            Assert.True(
                copied.Any(path => needed == path || needed.StartsWith(path, StringComparison.Ordinal)),
                $"{file} does not copy {needed}, of which {project} is made."
            );
    }

    [Fact]
    public void The_catalog_that_the_tool_takes_along_is_the_samples() =>
        Assert.Equal(2, Sources.Text(Tool).Split("ARG CATALOG=samples/PhoneBill/keyspace.json\n").Length - 1);

    // The project, all that it refers to, and the files that MSBuild reads on the way up.
    private static HashSet<string> Closure(string project)
    {
        var seen = new HashSet<string>();
        var waiting = new Queue<string>([project]);
        while (waiting.TryDequeue(out var file))
        {
            if (!seen.Add(file))
                continue;
            var document = XDocument.Load(Sources.PathOf(file));
            foreach (var reference in document.Descendants("ProjectReference").Concat(document.Descendants("AdditionalFiles")))
                Take(file, reference.Attribute("Include")!.Value);
            foreach (var import in document.Descendants("Import"))
                Take(file, import.Attribute("Project")!.Value);
            for (var folder = Path.GetDirectoryName(file)!; ; folder = Path.GetDirectoryName(folder)!)
            {
                var props = Path.Combine(folder, "Directory.Build.props").Replace('\\', '/');
                if (File.Exists(Sources.PathOf(props)))
                {
                    waiting.Enqueue(props);
                    break;
                }
            }

            seen.UnionWith(["Directory.Packages.props", "global.json", ".editorconfig"]);
        }

        return seen;

        void Take(string from, string include)
        {
            var path = Sources.Name(
                Path.GetFullPath(Path.Combine(Sources.PathOf(Path.GetDirectoryName(from)!), include.Replace('\\', '/')))
            );
            if (path.EndsWith("proj", StringComparison.Ordinal) || path.EndsWith(".props", StringComparison.Ordinal))
                waiting.Enqueue(path);
            else
                seen.Add(path);
        }
    }

    private static IEnumerable<string> Copied(string file)
    {
        var text = Sources.Text(file).Replace("${CATALOG}", "samples/PhoneBill/keyspace.json", StringComparison.Ordinal);
        foreach (Match copy in Copy().Matches(text))
        {
            var words = copy.Groups["words"].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            foreach (var word in words[..^1])
                yield return word;
        }
    }

    private static string Property(string project, string name) => XDocument.Load(Sources.PathOf(project)).Descendants(name).Single().Value;

    [GeneratedRegex(
        @"^COPY (?!--from)(?<words>.+)$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Copy();

    [GeneratedRegex(@"^FROM (?<image>\S+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex From();
}
