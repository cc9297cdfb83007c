namespace Onggi.Cli.Verification;

/// <summary>The plan's eight items of readiness: documents and artefacts that are there, and what only people can say, with their name under it.</summary>
internal static class ReadinessChecks
{
    private const string Category = "readiness";

    private static readonly Item[] Items =
    [
        new("ONG070", "manual", "A manual of operations", "manual|runbook|operat", [".md"], null),
        new("ONG071", "dashboard", "A dashboard", "dashboard|grafana", [".json"], "\"panels\""),
        new("ONG072", "alerts", "Rules of alerts", "rule|alert", [".yml", ".yaml"], "alert:"),
        new("ONG073", "backup", "Backup and restore, written down", "recovery|restore|backup", [".md"], null),
        new("ONG074", "tuning", "What to tune, and when", "tuning|performance|configuration", [".md"], null),
        new("ONG075", "troubleshooting", "What to do when it fails", "troubleshoot|incident|findings", [".md"], null),
        new("ONG076", "training", "The developers know it", null, [], null),
        new("ONG077", "handover", "The operators have taken it over", null, [], null),
    ];

    /// <summary>One item.</summary>
    /// <param name="Code">Its code.</param>
    /// <param name="Word">Its word in the file of signatures.</param>
    /// <param name="Name">What it is.</param>
    /// <param name="Names">Parts of a path, one of which is in its file's, the surest first; <c>null</c> where people sign.</param>
    /// <param name="Ends">How the file's name ends.</param>
    /// <param name="Holds">What the file holds; <c>null</c> for anything.</param>
    private sealed record Item(string Code, string Word, string Name, string? Names, string[] Ends, string? Holds);

    public static IEnumerable<VerifyCheck> All() =>
        Items.Select(item => new VerifyCheck(
            item.Code,
            Category,
            item.Name,
            item.Names is null
                ? $"a name and a day under \"signed\": \"{item.Word}\" in {Checks.Suppressions.DefaultFile}"
                : $"a file {string.Join(" or ", item.Ends)} whose path has {item.Names.Replace("|", " or ", StringComparison.Ordinal)}, or a signature",
            "At night whoever is called finds nothing to go by.",
            CheckSource.Other,
            (target, _) => Task.FromResult(Look(item, target))
        )
        {
            Item = $"readiness: {item.Word}",
        });

    private static CheckOutcome Look(Item item, VerifyTarget target)
    {
        if (target.Settings.Readiness is not { } folder)
            return CheckOutcome.Skip("only with --readiness FOLDER, the root of the repository");
        if (target.Settings.Suppressions.Signed.TryGetValue(item.Word, out var signature))
            return CheckOutcome.Ok($"signed: {signature}");
        if (item.Names is not null && Find(item, folder) is { } found)
            return CheckOutcome.Ok(found);
        return CheckOutcome.Of(
            "nothing found",
            new Problem(
                item.Names is null ? "nobody has signed." : $"there is no such file under {folder}.",
                item.Names is null
                    ? $"When it is so, write: \"signed\": {{ \"{item.Word}\": {{ \"by\": \"…\", \"on\": \"2026-12-31\" }} }}"
                    : $"Write it; or, if it stands elsewhere, sign for it: \"signed\": {{ \"{item.Word}\": … }}",
                Where: folder
            )
        );
    }

    private static string? Find(Item item, string folder)
    {
        var words = item.Names!.Split('|');
        var files = Directory
            .EnumerateFiles(
                folder,
                "*",
                new EnumerationOptions
                {
                    RecurseSubdirectories = true,
                    IgnoreInaccessible = true,
                    AttributesToSkip = FileAttributes.Hidden,
                }
            )
            .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/'))
            .Where(file => !file.Split('/').Any(part => part is "bin" or "obj" or "node_modules"))
            .Where(file => item.Ends.Any(end => file.EndsWith(end, StringComparison.OrdinalIgnoreCase)))
            .OrderBy(file => file.Length)
            .ThenBy(file => file, StringComparer.Ordinal)
            .ToList();
        // A manual is the file of that name, rather than any file of a folder called operations.
        return words
            .SelectMany(word => files.Where(file => Has(file[(file.LastIndexOf('/') + 1)..], word)))
            .Concat(words.SelectMany(word => files.Where(file => Has(file, word))))
            .FirstOrDefault(file =>
                item.Holds is null || File.ReadAllText(Path.Combine(folder, file)).Contains(item.Holds, StringComparison.Ordinal)
            );
    }

    private static bool Has(string path, string word) => path.Contains(word, StringComparison.OrdinalIgnoreCase);
}
