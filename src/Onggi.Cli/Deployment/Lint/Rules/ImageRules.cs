namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>Which images are run.</summary>
internal static class ImageRules
{
    private static readonly string[] MovingTags = ["latest", "stable", "edge", "main", "master", "nightly", "dev", "alpine", "bookworm"];

    /// <summary>Places that were left: what they begin with, and what became of them.</summary>
    private static readonly (string Registry, string Path, string What, string Fix)[] Retired =
    [
        (
            ImageReference.DockerHub,
            "bitnami/",
            "left docker.io/bitnami in August and September 2025; what is left there is latest only, and bitnamilegacy is not mended",
            "Use the official image redis:7.2.x or valkey/valkey:8.x, which runs as user 999."
        ),
        (
            ImageReference.DockerHub,
            "bitnamilegacy/",
            "is not mended since September 2025",
            "Use the official image redis:7.2.x or valkey/valkey:8.x, which runs as user 999."
        ),
        ("k8s.gcr.io", "", "is frozen since April 2023", "Use registry.k8s.io."),
        ("gcr.io", "google_containers/", "is frozen since 2023", "Use registry.k8s.io."),
    ];

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        from workload in context.Manifests.Workloads
        from container in workload.AllContainers
        from finding in Container(context, workload, container)
        select finding;

    private static IEnumerable<LintFinding> Container(LintContext context, Workload workload, Container container)
    {
        var part = container.Part["image"];
        if (container.Image is not { } image)
        {
            yield return LintRules.FloatingTag.At(
                workload.Object,
                part.Exists ? part : container.Part,
                $"{container.Name} names no image that can be read.",
                "Write: image: name:tag"
            );
            yield break;
        }

        if (image.Digest is null)
            yield return LintRules.NoDigest.At(
                workload.Object,
                part,
                $"{image} is not pinned by a digest.",
                "Where there is a network: onggi deploy pin --write.",
                // An exact version is moved rarely, and only by those who made it.
                isWarning: image.HasExactTag
            );
        if (image.Digest is null && (image.Tag is null || MovingTags.Contains(image.Tag)))
            yield return LintRules.FloatingTag.At(
                workload.Object,
                part,
                image.Tag is null ? $"{image} has no tag, which means latest." : $"{image} has a tag that moves by itself.",
                "Write the version that was tried, to its last number."
            );
        foreach (var (registry, path, what, fix) in Retired)
            if (image.Registry == registry && image.Repository.StartsWith(path, StringComparison.Ordinal))
                yield return LintRules.RetiredImage.At(workload.Object, part, $"{image} {what}.", fix);
        if (image.Name is "redis" && image.Version is [var major, ..] && major < 7)
            yield return LintRules.OldRedis.At(
                workload.Object,
                part,
                $"{image} is older than 7.0.",
                "Use redis:7.2.x, or valkey/valkey:8.x."
            );
        else if (context.IsProduction && image.Name is "redis" && image.Version is [7, 0, ..])
            yield return LintRules.OldRedis.At(
                workload.Object,
                part,
                $"{image} gets no more mends.",
                "Use redis:7.2.x, or valkey/valkey:8.x.",
                isWarning: true
            );
    }
}
