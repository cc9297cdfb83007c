namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>What is mounted, and whether it is renewed, or kept.</summary>
internal static class VolumeRules
{
    private const string BitnamiSettings = "/opt/bitnami/redis/etc";

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        from workload in context.Manifests.Workloads
        from finding in workload
            .AllContainers.SelectMany(container => Mounts(workload, container))
            .Concat(workload.Redis is null ? [] : Data(context, workload, workload.Redis))
        select finding;

    private static IEnumerable<LintFinding> Mounts(Workload workload, Container container)
    {
        foreach (var mount in container.Part["volumeMounts"].Items)
        {
            var (name, path) = (mount["name"].Text, mount["mountPath"].Text ?? "");
            var volume = workload.VolumeOf(name);
            if (!volume.Exists && !workload.ClaimsOf(name))
                yield return LintRules.UnknownVolume.At(
                    workload.Object,
                    mount,
                    $"{container.Name} mounts {name}, and the pod has no such volume.",
                    "Add it under volumes, or under volumeClaimTemplates."
                );
            var isText = volume["configMap"].Exists || volume["secret"].Exists || volume["projected"].Exists;
            if (isText && (mount["subPath"].Exists || mount["subPathExpr"].Exists))
                yield return LintRules.SubPath.At(
                    workload.Object,
                    mount,
                    $"{path} is mounted by subPath: it never sees an update.",
                    "Mount the whole volume in a folder of its own, and generate its ConfigMap with a hash in its name (configMapGenerator)."
                );
            if (
                container.Image?.Repository.StartsWith("bitnami", StringComparison.Ordinal) == true
                && path.StartsWith(BitnamiSettings, StringComparison.Ordinal)
            )
                yield return LintRules.RewrittenFile.At(
                    workload.Object,
                    mount,
                    $"the entrypoint of {container.Image.ShortName} rewrites {path}.",
                    "Use redis:7.2.x with args: [\"/etc/redis/redis.conf\"]. (mounted-etc would be left alone, and the password ignored with it.)"
                );
        }
    }

    private static IEnumerable<LintFinding> Data(LintContext context, Workload workload, Container redis)
    {
        var settings = context.Manifests.SettingsOf(workload).FirstOrDefault(settings => settings.Persists && !settings.IsSentinel);
        if (settings?.File["dir"] is not { } line)
            yield break;
        var mount = redis
            .Part["volumeMounts"]
            .Items.FirstOrDefault(mount =>
                mount["mountPath"].Text is { } path && (line.Value + "/").StartsWith(path.TrimEnd('/') + "/", StringComparison.Ordinal)
            );
        var name = mount["name"].Text;
        if (name is null || (!workload.ClaimsOf(name) && !workload.VolumeOf(name)["persistentVolumeClaim"].Exists))
            yield return LintRules.LostData.At(
                workload.Object,
                mount.Exists ? mount : redis.Part,
                $"Redis writes to {line.Value} ({settings.Object.Id}), where {(name is null ? "nothing is mounted" : $"the volume {name} ends with the pod")}.",
                $"Write volumeClaimTemplates, and mount the claim at {line.Value}."
            );
    }
}
