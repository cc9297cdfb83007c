namespace Onggi.Tests.Rules;

/// <summary>The source tree that these tests were built from, found from where the test assembly lies.</summary>
internal static class Repository
{
    private static readonly string[] NotOurs = ["bin", "obj", ".git", ".trx", ".run", ".vs", ".idea", ".vscode", "nupkgs", "node_modules"];

    public static string Root { get; } = FindRoot();

    public static string PathOf(string relative) => Path.Combine(Root, relative);

    /// <summary>The path from the root, with slashes on every system.</summary>
    public static string Name(string path) => Path.GetRelativePath(Root, path).Replace('\\', '/');

    /// <summary>All files under a folder but what builds and editors leave there.</summary>
    public static IEnumerable<string> Files(string folder = ".", string pattern = "*")
    {
        var path = Path.GetFullPath(PathOf(folder));
        if (!Directory.Exists(path))
            yield break;
        foreach (var file in Directory.EnumerateFiles(path, pattern).Order(StringComparer.Ordinal))
            yield return file;
        foreach (var inner in Directory.EnumerateDirectories(path).Order(StringComparer.Ordinal))
        {
            if (NotOurs.Contains(Path.GetFileName(inner)))
                continue;
            foreach (var file in Files(inner, pattern))
                yield return file;
        }
    }

    /// <summary>Line number, from 1, and text of every line.</summary>
    public static IEnumerable<(int Number, string Text)> Lines(string file) => File.ReadLines(file).Select((text, at) => (at + 1, text));

    /// <summary>Fails with all breaches of a rule, one a line.</summary>
    public static void AssertNone(IEnumerable<string> breaches)
    {
        var found = breaches.ToList();
        Assert.True(found.Count == 0, $"{found.Count} breaches:\n{string.Join('\n', found)}");
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Onggi.slnx")))
                return folder.FullName;
        }
        throw new InvalidOperationException($"No Onggi.slnx above {AppContext.BaseDirectory}: the rules are tested where the sources are.");
    }
}
