using System.Text.RegularExpressions;

namespace Onggi.Tests.Rules;

/// <summary>What the compiler and the analyzers do not check in our sources.</summary>
public partial class SourceRules
{
    private const int MostLines = 600;

    private static readonly string[] ScriptHeadings = ["Purpose", "Why a script", "KEYS", "ARGV", "Returns"];

    [Fact]
    public void Awaits_in_the_client_and_the_blocks_follow_the_one_switch()
    {
        // Onggi.Client and Onggi run inside a simulation that must see every continuation: ConfigureAwait(Rt.Capture), never a literal.
        Repository.AssertNone(Hits(["src/Onggi.Client", "src/Onggi"], "*.cs", (text, _) => LiteralConfigureAwait().IsMatch(text)));
    }

    [Fact]
    public void Suppressed_warnings_say_why()
    {
        Repository.AssertNone(
            Hits(
                ["src", "samples", "benchmarks", "tests", "eng"],
                "*.cs",
                (text, before) =>
                    PragmaDisable().IsMatch(text)
                    && !text.Contains("//", StringComparison.Ordinal)
                    && !before.TrimStart().StartsWith("//", StringComparison.Ordinal)
            )
        );
        var unjustified =
            from file in Repository.Files("src", "*.cs")
            from Match match in SuppressMessage().Matches(File.ReadAllText(file))
            where !match.Value.Contains("Justification", StringComparison.Ordinal)
            select $"{Repository.Name(file)}: {match.Value}";
        Repository.AssertNone(unjustified);
    }

    [Fact]
    public void No_source_file_is_longer_than_a_reader_can_hold()
    {
        Repository.AssertNone(
            from file in Repository.Files("src", "*.cs").Concat(Repository.Files("src", "*.lua"))
            let lines = File.ReadLines(file).Count()
            where lines > MostLines
            select $"{Repository.Name(file)}: {lines} lines"
        );
    }

    [Fact]
    public void Every_script_says_what_it_is_for_and_what_goes_in_and_out()
    {
        foreach (var script in Repository.Files("src", "*.lua"))
        {
            var header = File.ReadLines(script)
                .SkipWhile(line => line.StartsWith("#!", StringComparison.Ordinal))
                .TakeWhile(line => line.StartsWith("--", StringComparison.Ordinal))
                .Select(line => ScriptHeading().Match(line).Groups["heading"].Value)
                .Where(ScriptHeadings.Contains);
            Assert.True(
                ScriptHeadings.SequenceEqual(header),
                $"{Repository.Name(script)} must open with a line of comment each for {string.Join(", ", ScriptHeadings)}, in this order."
            );
        }
    }

    [Fact]
    public void No_file_names_a_folder_of_the_machine_it_was_written_on()
    {
        string[] text =
        [
            ".cs",
            ".csproj",
            ".props",
            ".slnx",
            ".md",
            ".json",
            ".jsonc",
            ".lua",
            ".sh",
            ".yaml",
            ".yml",
            ".txt",
            ".http",
            "",
        ];
        var hits =
            from file in Repository.Files()
            where text.Contains(Path.GetExtension(file)) && !Path.GetFileName(file).StartsWith(".env", StringComparison.Ordinal)
            from line in Repository.Lines(file)
            where MachinePath().IsMatch(line.Text)
            select $"{Repository.Name(file)}:{line.Number}: {line.Text.Trim()}";
        Repository.AssertNone(hits);
    }

    [Fact]
    public void Links_in_the_documents_lead_to_files_of_this_repository()
    {
        var broken =
            from file in Repository.Files(pattern: "*.md")
            from line in Repository.Lines(file)
            from Match link in MarkdownLink().Matches(line.Text)
            let target = link.Groups["target"].Value
            where !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith("mailto:", StringComparison.Ordinal)
            where !LeadsInside(file, target)
            select $"{Repository.Name(file)}:{line.Number}: {target}";
        Repository.AssertNone(broken);
    }

    private static bool LeadsInside(string file, string target)
    {
        var parts = target.Split('#');
        var path = parts[0].Length == 0 ? file : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, parts[0]));
        if (path != Repository.Root && !path.StartsWith(Repository.Root + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            return false;
        if (Directory.Exists(path))
            return true;
        return File.Exists(path) && (parts.Length == 1 || Path.GetExtension(path) != ".md" || Headings(path).Contains(parts[1]));
    }

    /// <summary>The anchors that GitHub makes of headings: lower case, spaces to hyphens, punctuation gone.</summary>
    private static IEnumerable<string> Headings(string file) =>
        from line in File.ReadLines(file)
        where line.StartsWith('#')
        let heading = line.TrimStart('#').Trim().ToLowerInvariant()
        select string.Concat(heading.Where(one => char.IsLetterOrDigit(one) || one is ' ' or '-' or '_')).Replace(' ', '-');

    /// <summary>Places of the lines for which the test, given the line and the one before, is true.</summary>
    private static IEnumerable<string> Hits(string[] folders, string pattern, Func<string, string, bool> test) =>
        from folder in folders
        from file in Repository.Files(folder, pattern)
        let lines = File.ReadAllLines(file)
        from at in Enumerable.Range(0, lines.Length)
        where test(lines[at], at > 0 ? lines[at - 1] : "")
        select $"{Repository.Name(file)}:{at + 1}: {lines[at].Trim()}";

    [GeneratedRegex(@"\.ConfigureAwait\(\s*(true|false)\s*\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex LiteralConfigureAwait();

    [GeneratedRegex(@"^\s*#pragma\s+warning\s+disable", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex PragmaDisable();

    [GeneratedRegex(@"\[[^\]]*SuppressMessage\([^\]]*\]", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex SuppressMessage();

    [GeneratedRegex(@"^--\s*(?<heading>[A-Za-z ]+):", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex ScriptHeading();

    // Homes and work folders of people and machines. Paths that the system itself has, such as /usr/bin or /proc, are no secret.
    [GeneratedRegex(
        @"(?<![\w.\-/}])/(work|root|home|Users)/\w|[A-Z]:\\Users\\",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex MachinePath();

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)(\s+""[^""]*"")?\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex MarkdownLink();
}
