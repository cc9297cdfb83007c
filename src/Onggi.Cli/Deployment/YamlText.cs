using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Onggi.Cli.Deployment;

/// <summary>Reads YAML, and says where it is none.</summary>
internal static partial class YamlText
{
    /// <summary>The documents of a text.</summary>
    /// <exception cref="ToolException">It is no YAML; the message says file, line, column and cause.</exception>
    public static IReadOnlyList<YamlNode> Documents(string file, string text)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(text));
        }
        catch (YamlException problem)
        {
            var (line, column) = PlaceOf(problem, text);
            throw new ToolException($"{file}:{line}:{column}: this is no YAML: {problem.Message.TrimEnd('.')}.");
        }

        return [.. stream.Documents.Select(document => document.RootNode)];
    }

    // Of tabs and of unknown anchors the reader says no more than that there is one.
    private static (long Line, long Column) PlaceOf(YamlException problem, string text)
    {
        if (problem.Start.Line > 1 || problem.Start.Column > 1)
            return (problem.Start.Line, problem.Start.Column);
        var unknown = UnknownAnchor().Match(problem.Message);
        var lines = text.Split('\n');
        for (var i = 0; i < lines.Length; i++)
        {
            var at =
                unknown.Success ? lines[i].IndexOf($"*{unknown.Groups["name"].Value}", StringComparison.Ordinal)
                : problem.Message.Contains("tab", StringComparison.Ordinal)
                    ? lines[i].AsSpan(0, lines[i].Length - lines[i].TrimStart().Length).IndexOf('\t')
                : -1;
            if (at >= 0)
                return (i + 1, at + 1);
        }

        return (problem.Start.Line, problem.Start.Column);
    }

    [GeneratedRegex("anchor '(?<name>[^']+)'", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex UnknownAnchor();
}
