namespace Onggi.DeployTests.Kubernetes;

/// <summary>The source tree that these tests were built from.</summary>
internal static class Sources
{
    public static string Root { get; } = FindRoot();

    public static string PathOf(string relative) => Path.Combine(Root, relative);

    /// <summary>The path from the root, with slashes on every system.</summary>
    public static string Name(string path) => Path.GetRelativePath(Root, path).Replace('\\', '/');

    public static string Text(string relative) => File.ReadAllText(PathOf(relative));

    /// <summary>All files under a folder that git would take, in order; secrets and what npm restores are not among them.</summary>
    public static IEnumerable<string> Files(string folder, params string[] endings) =>
        Directory
            .EnumerateFiles(PathOf(folder), "*", SearchOption.AllDirectories)
            .Select(Name)
            .Where(name => !name.Split('/').Any(part => part is "bin" or "obj" or "node_modules" or "secrets"))
            .Where(name => endings.Length == 0 || endings.Any(ending => name.EndsWith(ending, StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Onggi.slnx")))
                return folder.FullName;
        }

        throw new InvalidOperationException(
            $"No Onggi.slnx above {AppContext.BaseDirectory}: the manifests are tested where the sources are."
        );
    }
}
