namespace Onggi.Cli.Deployment.Lint;

/// <summary>All objects that are looked at together, and how they find one another.</summary>
internal sealed class Manifests
{
    public Manifests(IReadOnlyList<ManifestObject> objects)
    {
        Objects = objects;
        Workloads = [.. objects.Select(Workload.Of).OfType<Workload>()];
        foreach (var scaler in Of("HorizontalPodAutoscaler"))
            if (TargetOf(scaler) is { } target && scaler.Spec["maxReplicas"].Number is { } most)
                target.Replicas = (int)most;
        Settings = [.. Of("ConfigMap").SelectMany(RedisSettings.In)];
    }

    public IReadOnlyList<ManifestObject> Objects { get; }

    public IReadOnlyList<Workload> Workloads { get; }

    /// <summary>Every redis.conf and sentinel.conf.</summary>
    public IReadOnlyList<RedisSettings> Settings { get; }

    public IEnumerable<ManifestObject> Of(string kind) => Objects.Where(found => found.Kind == kind);

    public ManifestObject? Find(string kind, string? name, string inNamespace) =>
        Objects.FirstOrDefault(found => found.Kind == kind && found.Name == name && found.Namespace == inNamespace);

    /// <summary>The workloads whose pods a Service sends to.</summary>
    public IEnumerable<Workload> Behind(ManifestObject service) =>
        service.Spec["selector"].Exists
            ? Workloads.Where(workload =>
                workload.Namespace == service.Namespace && workload.Stays && workload.IsSelectedBy(service.Spec["selector"])
            )
            : [];

    /// <summary>The workloads whose pods a policy, or a budget, is about.</summary>
    public IEnumerable<Workload> SelectedBy(ManifestObject owner, YamlPart selector) =>
        Workloads.Where(workload => workload.Namespace == owner.Namespace && Selector.Matches(selector, workload.Labels));

    /// <summary>What an autoscaler scales; <c>null</c> where it is not there.</summary>
    public Workload? TargetOf(ManifestObject scaler)
    {
        var target = scaler.Spec["scaleTargetRef"];
        return Workloads.FirstOrDefault(workload =>
            workload.Namespace == scaler.Namespace
            && workload.Object.Kind == target["kind"].Text
            && workload.Object.Name == target["name"].Text
        );
    }

    /// <summary>The settings that a workload's pods mount.</summary>
    public IEnumerable<RedisSettings> SettingsOf(Workload workload) =>
        Settings.Where(settings =>
            settings.Object.Namespace == workload.Namespace && MountedMaps(workload).Contains(settings.Object.Name, StringComparer.Ordinal)
        );

    /// <summary>The texts of ConfigMaps that a workload mounts: scripts, settings.</summary>
    public IEnumerable<(ManifestObject Map, string Key, YamlPart Part)> TextsOf(Workload workload) =>
        from name in MountedMaps(workload)
        let map = Find("ConfigMap", name, workload.Namespace)
        where map is not null
        from field in map.Root["data"].Fields
        select (map, field.Name, field.Value);

    private static IEnumerable<string> MountedMaps(Workload workload) =>
        workload
            .Pod["volumes"]
            .Items.SelectMany(volume =>
                volume["projected"]
                    ["sources"]
                    .Items.Select(source => source["configMap"]["name"].Text)
                    .Append(volume["configMap"]["name"].Text)
            )
            .OfType<string>();
}
