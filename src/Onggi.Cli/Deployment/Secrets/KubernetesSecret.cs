using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Onggi.Cli.Deployment.Secrets;

/// <summary>A Secret of a cluster.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">What Kubernetes calls its kind of data; it cannot be changed later.</param>
/// <param name="Data">What it holds, by key.</param>
internal sealed record KubernetesSecret(string Name, string Type, IReadOnlyDictionary<string, byte[]> Data)
{
    public const string Opaque = "Opaque";
    public const string Certificate = "kubernetes.io/tls";

    /// <summary>The text under the key; <c>null</c> where there is none, or an empty one.</summary>
    public string? Text(string key) => Data.TryGetValue(key, out var bytes) && bytes.Length > 0 ? Encoding.UTF8.GetString(bytes) : null;

    /// <summary>One of texts.</summary>
    public static KubernetesSecret Of(string name, string type, params IEnumerable<(string Key, string Text)> data) =>
        new(
            name,
            type,
            new SortedDictionary<string, byte[]>(
                data.ToDictionary(pair => pair.Key, pair => Encoding.UTF8.GetBytes(pair.Text)),
                StringComparer.Ordinal
            )
        );

    /// <summary>Reads what <c>kubectl get secrets -o json</c> writes: a list, or one.</summary>
    /// <exception cref="ToolException">It is nothing of the kind, or of another namespace. The message repeats nothing of it.</exception>
    public static IReadOnlyDictionary<string, KubernetesSecret> Read(string json, string kubernetesNamespace)
    {
        const string Advice = "It should be what kubectl get secrets -o json writes.";
        if (string.IsNullOrWhiteSpace(json))
            throw new ToolException(
                $"there is nothing in --existing: did kubectl fail? {Advice} A namespace without Secrets is an empty list."
            );
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            var items = root.GetProperty("kind").GetString() is "Secret" ? [root] : root.GetProperty("items").EnumerateArray().ToArray();
            var found = new Dictionary<string, KubernetesSecret>(StringComparer.Ordinal);
            foreach (var item in items.Where(item => item.GetProperty("kind").GetString() == "Secret"))
                Add(found, item, kubernetesNamespace);
            return found;
        }
        catch (Exception problem) when (problem is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new ToolException($"--existing cannot be read. {Advice}");
        }
    }

    /// <summary>Its manifest.</summary>
    /// <param name="kubernetesNamespace">Where it is to be.</param>
    /// <param name="system">What it is a part of.</param>
    public string Manifest(string kubernetesNamespace, string system)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {Name}\n  namespace: {kubernetesNamespace}\n  labels:\n    app.kubernetes.io/part-of: {system}\n    app.kubernetes.io/managed-by: onggi\ntype: {Type}\ndata:\n"
        );
        foreach (var (key, value) in Data)
            text.Append(CultureInfo.InvariantCulture, $"  {key}: {Convert.ToBase64String(value)}\n");
        return text.ToString();
    }

    private static void Add(Dictionary<string, KubernetesSecret> found, JsonElement item, string kubernetesNamespace)
    {
        var metadata = item.GetProperty("metadata");
        var name = metadata.GetProperty("name").GetString()!;
        if (metadata.TryGetProperty("namespace", out var where) && where.GetString() != kubernetesNamespace)
            throw new ToolException(
                $"{name} is of the namespace {where.GetString()}, not of {kubernetesNamespace}: the passwords of one would become the other's. Ask for one namespace: kubectl get secrets -n {kubernetesNamespace} -o json"
            );
        var data = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        if (item.TryGetProperty("data", out var values) && values.ValueKind == JsonValueKind.Object)
            foreach (var value in values.EnumerateObject())
                data[value.Name] = value.Value.GetBytesFromBase64();
        found[name] = new KubernetesSecret(name, item.TryGetProperty("type", out var type) ? type.GetString()! : Opaque, data);
    }
}
