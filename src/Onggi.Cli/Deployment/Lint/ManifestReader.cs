namespace Onggi.Cli.Deployment.Lint;

/// <summary>Reads manifests: folders, files with one document or several, standard input.</summary>
internal static class ManifestReader
{
    public const string StandardInput = "-";
    private const string NameOfInput = "standard input";

    private static readonly string[] Kustomizations = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

    /// <summary>All objects of the paths, in their order.</summary>
    /// <param name="paths">Folders, files, or <c>-</c>.</param>
    /// <param name="input">Standard input.</param>
    /// <param name="note">Is told what was passed over.</param>
    /// <exception cref="ToolException">There is no such path, or what lies there is no manifest; the message says file, line and cause.</exception>
    public static IReadOnlyList<ManifestObject> Read(IReadOnlyList<string> paths, TextReader input, Action<string> note)
    {
        var objects = new List<ManifestObject>();
        foreach (var path in paths)
        {
            if (path == StandardInput)
                objects.AddRange(Parse(NameOfInput, input.ReadToEnd()));
            else if (Directory.Exists(path))
                objects.AddRange(ReadFolder(path, note));
            else
                objects.AddRange(Parse(path, Commands.Inputs.Read(path, "Name a folder, files, or - for standard input.")));
        }

        return objects.Count > 0
            ? WithNamespaces(objects)
            : throw new ToolException(
                $"there is no manifest in {string.Join(", ", paths.Select(path => path == StandardInput ? NameOfInput : path))}: nothing was looked at."
            );
    }

    /// <summary>The objects of a text.</summary>
    /// <param name="file">What messages call it.</param>
    /// <param name="text">YAML or JSON.</param>
    /// <exception cref="ToolException">It is no YAML, or a document is no object.</exception>
    public static IReadOnlyList<ManifestObject> Parse(string file, string text)
    {
        var objects = new List<ManifestObject>();
        foreach (var root in Documents(file, text))
        {
            if (!root.IsMapping || !root["kind"].Exists || !root["apiVersion"].Exists)
                throw new ToolException(
                    $"{root.Place}: this is no object of Kubernetes: it lacks {(root.IsMapping && root["kind"].Exists ? "apiVersion" : "kind and apiVersion")}."
                );
            Add(root, objects);
        }

        return objects;
    }

    /// <summary>The documents of a text that hold anything.</summary>
    /// <exception cref="ToolException">It is no YAML; the message says where and why.</exception>
    public static IReadOnlyList<YamlPart> Documents(string file, string text) =>
        [.. YamlText.Documents(file, text).Select(root => new YamlPart(file, root, 1)).Where(part => part.Exists)];

    private static IEnumerable<ManifestObject> ReadFolder(string folder, Action<string> note)
    {
        if (Kustomizations.FirstOrDefault(name => File.Exists(Path.Combine(folder, name))) is { } kustomization)
            throw new ToolException(
                $"{folder} has a {kustomization}: its files are parts that mean nothing by themselves. Run: kubectl kustomize {folder} | onggi deploy lint -"
            );
        var files = Directory
            .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(file => Path.GetExtension(file) is ".yaml" or ".yml")
            .Order(StringComparer.Ordinal)
            .ToList();
        foreach (var file in files)
        {
            var text = File.ReadAllText(file);
            if (Documents(file, text).Any(root => root["kind"].Exists && root["apiVersion"].Exists))
                foreach (var found in Parse(file, text))
                    yield return found;
            else
                note($"{file} holds no object of Kubernetes: passed over.");
        }
    }

    private static void Add(YamlPart root, List<ManifestObject> objects)
    {
        var kind = root["kind"].Text ?? "";
        if (kind.EndsWith("List", StringComparison.Ordinal) && root["items"].IsList)
        {
            foreach (var item in root["items"].Items)
                Add(item, objects);
            return;
        }

        var metadata = root["metadata"];
        var name = metadata["name"].Text ?? metadata["generateName"].Text;
        // A kustomization in a file of its own says how to build, and is nothing that is built.
        if (kind is "Kustomization" or "Component" && name is null)
            return;
        objects.Add(new ManifestObject(kind, name ?? throw new ToolException($"{root.Place}: this {kind} has no metadata.name."), root));
    }

    // What names no namespace is applied to the one that the others name.
    private static List<ManifestObject> WithNamespaces(List<ManifestObject> objects)
    {
        var named = objects
            .Select(found => found.Kind == "Namespace" ? found.Name : found.Namespace)
            .Where(name => name.Length > 0)
            .Distinct(StringComparer.Ordinal)
            .ToList();
        var usual = named.Count == 1 ? named[0] : "default";
        foreach (var found in objects.Where(found => found.Namespace.Length == 0))
            found.Namespace = usual;
        return objects;
    }
}
