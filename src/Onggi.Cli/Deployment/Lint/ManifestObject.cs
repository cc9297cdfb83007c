namespace Onggi.Cli.Deployment.Lint;

/// <summary>One object of Kubernetes, as a file has it. Two of the same name are two.</summary>
/// <param name="kind">Its kind.</param>
/// <param name="name">Its name.</param>
/// <param name="root">The whole.</param>
internal sealed class ManifestObject(string kind, string name, YamlPart root)
{
    public string Kind => kind;

    public string Name => name;

    /// <summary>Its namespace; where it names none, that of the others.</summary>
    public string Namespace { get; set; } = root["metadata"]["namespace"].Text ?? "";

    public YamlPart Root => root;

    /// <summary>As messages and suppressions name it: <c>StatefulSet/redis</c>.</summary>
    public string Id => $"{kind}/{name}";

    public YamlPart Spec => root["spec"];

    public YamlPart Metadata => root["metadata"];

    public IReadOnlyDictionary<string, string> Labels => Metadata["labels"].Strings();
}
