using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>A place in a YAML document and what stands there, which may be nothing. Nothing has a line, too: that of what it would stand in.</summary>
/// <param name="file">What messages call the file.</param>
/// <param name="node">What stands there; <c>null</c> for nothing.</param>
/// <param name="outer">The line of what is around it.</param>
internal readonly struct YamlPart(string file, YamlNode? node, int outer)
{
    public string File => file;

    /// <summary>From 1.</summary>
    public int Line => node is null ? outer : (int)node.Start.Line;

    /// <summary>File and line, as a finding has it.</summary>
    public string Place => $"{file}:{Line}";

    /// <summary>Whether anything but null stands here.</summary>
    public bool Exists => node is not null && !IsNull(node);

    public bool IsMapping => node is YamlMappingNode;

    public bool IsList => node is YamlSequenceNode;

    /// <summary>The line on which the text's own first line stands: a block's text begins below its sign. <c>null</c> where lines of the text are not lines of the file.</summary>
    public int? FirstTextLine =>
        node switch
        {
            YamlScalarNode { Style: ScalarStyle.Literal } => Line + 1,
            YamlScalarNode { Value: var value } when value?.Contains('\n', StringComparison.Ordinal) != true => Line,
            _ => null,
        };

    /// <summary>The text of a single value; <c>null</c> for nothing, lists and mappings.</summary>
    public string? Text => node is YamlScalarNode scalar && !IsNull(scalar) ? scalar.Value : null;

    public long? Number => long.TryParse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;

    public bool IsTrue => node is YamlScalarNode { Style: ScalarStyle.Plain, Value: "true" or "True" or "TRUE" };

    public bool IsFalse => node is YamlScalarNode { Style: ScalarStyle.Plain, Value: "false" or "False" or "FALSE" };

    /// <summary>What stands under the name, nothing when this is no mapping.</summary>
    public YamlPart this[string name] => new(file, Find(node as YamlMappingNode, name), Line);

    /// <summary>The elements of a list; none when this is no list.</summary>
    public IEnumerable<YamlPart> Items
    {
        get
        {
            var (name, line) = (file, Line);
            return node is YamlSequenceNode list ? list.Children.Select(item => new YamlPart(name, item, line)) : [];
        }
    }

    /// <summary>The fields of a mapping; none when this is none.</summary>
    public IEnumerable<(string Name, YamlPart Value)> Fields
    {
        get
        {
            var name = file;
            return node is YamlMappingNode mapping
                ? mapping.Children.Select(pair =>
                    ((pair.Key as YamlScalarNode)?.Value ?? "", new YamlPart(name, pair.Value, (int)pair.Key.Start.Line))
                )
                : [];
        }
    }

    /// <summary>The fields that are single values.</summary>
    public IReadOnlyDictionary<string, string> Strings() =>
        Fields
            .Where(field => field.Value.Text is not null)
            .ToDictionary(field => field.Name, field => field.Value.Text!, StringComparer.Ordinal);

    // "<<" takes in the fields of another mapping; own fields go before.
    private static YamlNode? Find(YamlMappingNode? mapping, string name)
    {
        if (mapping is null)
            return null;
        YamlNode? merged = null;
        foreach (var (key, value) in mapping.Children)
        {
            if (key is not YamlScalarNode { Value: { } word })
                continue;
            if (word == name)
                return value;
            if (word == "<<")
                merged ??= Merged(value, name);
        }

        return merged;
    }

    private static YamlNode? Merged(YamlNode value, string name) =>
        value is YamlSequenceNode list
            ? list.Children.Select(item => Find(item as YamlMappingNode, name)).FirstOrDefault(found => found is not null)
            : Find(value as YamlMappingNode, name);

    private static bool IsNull(YamlNode value) =>
        value is YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "null" or "~" or "Null" or "NULL" };
}
