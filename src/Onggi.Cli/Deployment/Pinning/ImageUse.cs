using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Onggi.Cli.Deployment.Pinning;

/// <summary>A place where an image is named, and how its digest is written there.</summary>
/// <param name="File">The file.</param>
/// <param name="Line">From 1.</param>
/// <param name="Image">What is named, with the digest that is there already.</param>
/// <param name="Edit">What becomes of the file's lines with a digest.</param>
internal sealed record ImageUse(string File, int Line, ImageReference Image, Action<List<string>, string> Edit);

/// <summary>Finds the places: <c>image:</c> lines, and the entries under <c>images:</c> of a kustomization.</summary>
internal static class ImageUses
{
    private const string Digest = "digest";

    /// <summary>Those of a text, the last one first, so that an edit moves none that is still to come.</summary>
    /// <exception cref="ToolException">It is no YAML; the message says where and why.</exception>
    public static IReadOnlyList<ImageUse> In(string file, string text) =>
        [
            .. YamlText
                .Documents(file, text)
                .SelectMany(root => In(file, root, new HashSet<YamlNode>(ReferenceEqualityComparer.Instance)))
                .OrderByDescending(use => use.Line)
                .ThenByDescending(use => use.Image.ToString().Length),
        ];

    // A node that has several places, by an alias, is looked at once.
    private static IEnumerable<ImageUse> In(string file, YamlNode node, HashSet<YamlNode> seen)
    {
        if (!seen.Add(node))
            return [];
        if (node is YamlSequenceNode list)
            return list.Children.SelectMany(child => In(file, child, seen));
        if (node is not YamlMappingNode mapping)
            return [];
        var own = Field(mapping, "image") is YamlScalarNode scalar && OfLine(file, scalar) is { } use ? [use] : Array.Empty<ImageUse>();
        var entries =
            IsKustomization(mapping) && Field(mapping, "images") is YamlSequenceNode images
                ? images.Children.OfType<YamlMappingNode>().Select(entry => OfEntry(file, entry)).OfType<ImageUse>()
                : [];
        return own.Concat(entries).Concat(mapping.Children.Values.SelectMany(child => In(file, child, seen)));
    }

    private static bool IsKustomization(YamlMappingNode root) =>
        Field(root, "kind") is YamlScalarNode { Value: "Kustomization" or "Component" }
        || (Field(root, "resources") is YamlSequenceNode && Field(root, "images") is not null);

    // image: name:tag becomes image: name:tag@sha256:…
    private static ImageUse? OfLine(string file, YamlScalarNode scalar)
    {
        // What is put in later cannot be asked for.
        if (scalar.Value is not { } text || text.Contains('$', StringComparison.Ordinal) || ImageReference.Parse(text) is not { } image)
            return null;
        return new ImageUse(
            file,
            (int)scalar.Start.Line,
            image,
            (lines, digest) => Replace(lines, scalar, $"{text.Split('@')[0]}@{digest}")
        );
    }

    // name, newName and newTag of an entry; the digest stands in a line of its own.
    private static ImageUse? OfEntry(string file, YamlMappingNode entry)
    {
        var (name, tag) = (Text(entry, "newName") ?? Text(entry, "name"), Field(entry, "newTag") as YamlScalarNode);
        var digest = Field(entry, Digest) as YamlScalarNode;
        if (name is null || tag?.Value is null || ImageReference.Parse($"{name}:{tag.Value}") is not { } image)
            return null;
        var key = entry.Children.Keys.OfType<YamlScalarNode>().First(key => key.Value == "newTag");
        return new ImageUse(
            file,
            (int)tag.Start.Line,
            image with
            {
                Digest = digest?.Value,
            },
            (lines, found) =>
            {
                if (digest is not null)
                    Replace(lines, digest, found);
                else if (entry.Style == MappingStyle.Flow)
                    Replace(lines, tag, $"{tag.Value}, {Digest}: {found}");
                else
                    lines.Insert((int)tag.Start.Line, $"{new string(' ', (int)key.Start.Column - 1)}{Digest}: {found}");
            }
        );
    }

    private static void Replace(List<string> lines, YamlScalarNode scalar, string text)
    {
        var line = lines[(int)scalar.Start.Line - 1];
        var at = line.IndexOf(scalar.Value!, (int)scalar.Start.Column - 1, StringComparison.Ordinal);
        if (at < 0)
            throw new ToolException(
                $"line {scalar.Start.Line} writes {scalar.Value} in a way that cannot be changed safely. Write it plainly."
            );
        // Within a flow a further field must stand behind the closing quote.
        var end = at + scalar.Value!.Length;
        var quote =
            scalar.Style is ScalarStyle.DoubleQuoted or ScalarStyle.SingleQuoted
            && text.StartsWith(scalar.Value + ",", StringComparison.Ordinal);
        lines[(int)scalar.Start.Line - 1] = quote
            ? string.Concat(line.AsSpan(0, end), line.AsSpan(end, 1), text.AsSpan(scalar.Value.Length), line.AsSpan(end + 1))
            : string.Concat(line.AsSpan(0, at), text, line.AsSpan(end));
    }

    private static string? Text(YamlMappingNode mapping, string name) => (Field(mapping, name) as YamlScalarNode)?.Value;

    private static YamlNode? Field(YamlMappingNode mapping, string name) =>
        mapping.Children.FirstOrDefault(pair => pair.Key is YamlScalarNode { Value: { } word } && word == name).Value;
}
