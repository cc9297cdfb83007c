namespace Onggi.Cli.Deployment.Lint;

/// <summary>One object of Kubernetes, as a file has it.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Name">Its name.</param>
/// <param name="Namespace">Its namespace; where it names none, that of the others.</param>
/// <param name="Root">The whole.</param>
internal sealed record ManifestObject(string Kind, string Name, string Namespace, YamlPart Root)
{
    /// <summary>As messages and suppressions name it: <c>StatefulSet/redis</c>.</summary>
    public string Id => $"{Kind}/{Name}";

    public YamlPart Spec => Root["spec"];

    public YamlPart Metadata => Root["metadata"];

    public IReadOnlyDictionary<string, string> Labels => Metadata["labels"].Strings();
}
