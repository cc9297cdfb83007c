namespace Onggi.DeployTests.Lint;

/// <summary>The source tree that these tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string PathOf(string relative) => Path.Combine(Root, relative);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Onggi.slnx")))
                return folder.FullName;
        }

        throw new InvalidOperationException($"No Onggi.slnx above {AppContext.BaseDirectory}: the tests run where the sources are.");
    }
}
