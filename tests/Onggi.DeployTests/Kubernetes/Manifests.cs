using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>What kustomize makes of an overlay: the objects as the API server would get them.</summary>
internal sealed class Manifests
{
    public const string Dev = "dev";
    public const string NodePort = "dev-nodeport";
    public const string Production = "production";

    private static readonly ConcurrentDictionary<string, Lazy<Task<Manifests>>> Built = new();

    private Manifests(string text)
    {
        Text = text;
        Objects = Yaml.Documents(text);
    }

    /// <summary>The names of all overlays.</summary>
    public static IReadOnlyList<string> Overlays { get; } =
    [.. Directory.EnumerateDirectories(Sources.PathOf("deploy/kubernetes/overlays")).Select(folder => Path.GetFileName(folder)!).Order()];

    public string Text { get; }

    public IReadOnlyList<JsonNode> Objects { get; }

    /// <summary>Builds an overlay, once for all tests.</summary>
    public static Task<Manifests> OfAsync(string overlay) => Built.GetOrAdd(overlay, name => new(() => BuildAsync(name))).Value;

    /// <summary>What a file holds that kustomize does not build.</summary>
    public static Manifests Parse(string text) => new(text);

    /// <summary>The one object of this kind and name. Names that end in a hash of their content match without it.</summary>
    public JsonNode One(string kind, string name) =>
        Assert.Single(
            Of(kind),
            found => NameOf(found) == name || NameOf(found).StartsWith($"{name}-", StringComparison.Ordinal) && IsHashed(found, name)
        );

    public IEnumerable<JsonNode> Of(string kind) => Objects.Where(found => found.Text("kind") == kind);

    public static string NameOf(JsonNode found) => found.Text("metadata.name");

    /// <summary>All pods that would run: the template of each workload, with what it belongs to.</summary>
    public IEnumerable<(string Owner, JsonNode Pod)> Pods()
    {
        foreach (var found in Objects)
        {
            var template = found.Text("kind") switch
            {
                "StatefulSet" or "Deployment" or "DaemonSet" or "Job" => found.At("spec.template"),
                "CronJob" => found.At("spec.jobTemplate.spec.template"),
                "Pod" => found,
                _ => null,
            };
            if (template is not null)
                yield return ($"{found.Text("kind")}/{NameOf(found)}", template);
        }
    }

    /// <summary>All containers of a pod, those that run first included.</summary>
    public static IEnumerable<JsonNode> Containers(JsonNode pod) => pod.Items("spec.initContainers").Concat(pod.Items("spec.containers"));

    private static bool IsHashed(JsonNode found, string name) =>
        NameOf(found)[(name.Length + 1)..] is { Length: 10 } hash && !hash.Contains('-', StringComparison.Ordinal);

    private static async Task<Manifests> BuildAsync(string overlay)
    {
        var run = await Tools.RunAsync("kubectl", ["kustomize", $"deploy/kubernetes/overlays/{overlay}"]);
        Assert.True(run.Code == 0, $"kustomize does not build {overlay}:\n{run.Error}");
        // A warning is a field that is out of date, or a patch that hits nothing.
        Assert.Equal("", run.Error);
        return new Manifests(run.Output);
    }
}

/// <summary>YAML as JSON, with the types that Kubernetes reads.</summary>
internal static class Yaml
{
    public static IReadOnlyList<JsonNode> Documents(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return [.. stream.Documents.Select(document => Convert(document.RootNode)).OfType<JsonNode>()];
    }

    private static JsonNode? Convert(YamlNode node) =>
        node switch
        {
            YamlMappingNode mapping => Merged(mapping),
            YamlSequenceNode sequence => new JsonArray([.. sequence.Children.Select(Convert)]),
            YamlScalarNode scalar => Scalar(scalar),
            _ => throw new InvalidOperationException($"A node of the kind {node.NodeType}."),
        };

    // "<<" takes over what another mapping has, as Compose files do.
    private static JsonObject Merged(YamlMappingNode mapping)
    {
        var result = new JsonObject();
        foreach (var (key, value) in mapping.Children)
        {
            if (((YamlScalarNode)key).Value != "<<")
                result[((YamlScalarNode)key).Value!] = Convert(value);
        }

        foreach (var (key, value) in mapping.Children)
        {
            if (((YamlScalarNode)key).Value != "<<" || Convert(value) is not JsonObject other)
                continue;
            foreach (var (name, inherited) in other.ToList())
                if (!result.ContainsKey(name))
                    result[name] = inherited?.DeepClone();
        }

        return result;
    }

    private static JsonValue? Scalar(YamlScalarNode scalar)
    {
        var text = scalar.Value ?? "";
        if (scalar.Style != ScalarStyle.Plain)
            return JsonValue.Create(text);
        return text switch
        {
            "" or "null" or "~" => null,
            "true" => JsonValue.Create(true),
            "false" => JsonValue.Create(false),
            _ when text.Length > 1 && text[0] == '0' && text.All(char.IsAsciiDigit) => JsonValue.Create(System.Convert.ToInt64(text, 8)),
            _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => JsonValue.Create(
                number
            ),
            _ when double.TryParse(
                    text,
                    NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint,
                    CultureInfo.InvariantCulture,
                    out var number
                ) => JsonValue.Create(number),
            _ => JsonValue.Create(text),
        };
    }
}

/// <summary>Walks JSON by dotted paths, which say what was missing.</summary>
internal static class Json
{
    /// <summary>What stands there; <c>null</c> where nothing does.</summary>
    public static JsonNode? At(this JsonNode? node, string path)
    {
        foreach (var part in path.Split('.'))
            node = node is JsonObject found && found.TryGetPropertyValue(part, out var next) ? next : null;
        return node;
    }

    /// <summary>What stands there, as text; empty where nothing does.</summary>
    public static string Text(this JsonNode? node, string path) => node.At(path)?.ToString() ?? "";

    /// <summary>The elements of the list that stands there; none where there is no list.</summary>
    public static IEnumerable<JsonNode> Items(this JsonNode? node, string path) => (node.At(path) as JsonArray ?? []).OfType<JsonNode>();

    /// <summary>The texts of the list that stands there.</summary>
    public static IReadOnlyList<string> Texts(this JsonNode? node, string path) => [.. node.Items(path).Select(item => item.ToString())];

    /// <summary>The pairs of the mapping that stands there.</summary>
    public static IReadOnlyDictionary<string, string> Pairs(this JsonNode? node, string path) =>
        (node.At(path) as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => pair.Value?.ToString() ?? "");

    /// <summary>The element with this name of the list that stands there.</summary>
    public static JsonNode Named(this JsonNode? node, string path, string name) =>
        Assert.Single(node.Items(path), item => item.Text("name") == name);

    /// <summary>Every mapping inside, itself included.</summary>
    public static IEnumerable<JsonObject> Mappings(this JsonNode? node) =>
        node switch
        {
            JsonObject mapping => [mapping, .. mapping.SelectMany(pair => pair.Value.Mappings())],
            JsonArray list => list.SelectMany(Mappings),
            _ => [],
        };
}
