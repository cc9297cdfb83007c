using System.Text.RegularExpressions;

namespace Onggi.Tests.Rules;

/// <summary>docs/ARCHITECTURE.md as the rules read it: its sections, links, tables and drawn arrows.</summary>
internal static partial class ArchitecturePage
{
    private const string Arrow = " ← ";

    private static readonly string Page = Repository.PathOf("docs/ARCHITECTURE.md");

    /// <summary>The lines under a heading, up to the next heading of the same rank.</summary>
    public static IReadOnlyList<string> Section(string heading)
    {
        var lines = File.ReadLines(Page)
            .SkipWhile(line => line != $"## {heading}")
            .Skip(1)
            .TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal))
            .ToList();
        Assert.True(lines.Count > 0, $"docs/ARCHITECTURE.md has no section \"{heading}\".");
        return lines;
    }

    /// <summary>What is drawn in a section, from the ground up: each line a chain of ranks, each rank one name or several between commas.</summary>
    public static IReadOnlyList<string[][]> Chains(string heading)
    {
        var chains = Section(heading)
            .SkipWhile(line => line != "```")
            .Skip(1)
            .TakeWhile(line => line != "```")
            .Select(line => line.Split(Arrow).Select(rank => rank.Split(", ")).ToArray())
            .ToList();
        Assert.True(chains.Count > 0, $"Nothing is drawn under \"{heading}\" in docs/ARCHITECTURE.md.");
        return chains;
    }

    /// <summary>The rows of a section's first table, without its head.</summary>
    public static IEnumerable<string[]> Rows(string heading) =>
        Section(heading)
            .Where(line => line.StartsWith('|'))
            .Skip(2)
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray());

    /// <summary>Text and full path of every link in a piece of the page.</summary>
    public static IEnumerable<(string Text, string Path)> Links(string text) =>
        Link()
            .Matches(text)
            .Select(link =>
                (link.Groups["text"].Value, Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Page)!, link.Groups["target"].Value)))
            );

    /// <summary>The source files that a piece of the page names in backquotes.</summary>
    public static IEnumerable<string> FileNames(string text) => FileName().Matches(text).Select(match => match.Groups["name"].Value);

    [GeneratedRegex(@"\[(?<text>[^\]]+)\]\((?<target>[^)#\s]+)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Link();

    [GeneratedRegex(@"`(?<name>\w+\.(cs|lua|json))`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex FileName();
}
