namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>What names something else, and whether that is there.</summary>
internal static class ReferenceRules
{
    // Made by the cluster itself.
    private static readonly string[] BuiltIn = ["kube-root-ca.crt", "default"];

    // What makes a Secret when it is applied, and where it says its name.
    private static readonly (string Kind, string[] Path)[] Makers =
    [
        ("ExternalSecret", ["spec", "target", "name"]),
        ("SealedSecret", ["spec", "template", "metadata", "name"]),
        ("Certificate", ["spec", "secretName"]),
    ];

    private static readonly (string Kind, string Field)[] KeyReferences = [("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")];

    /// <summary>A name of another object.</summary>
    private sealed record Reference(string Kind, string Name, string? Key, YamlPart Part, bool IsOptional);

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        [
            .. context.Manifests.Workloads.SelectMany(workload => Missing(context, workload)),
            .. Bindings(context),
            .. Twice(context),
            .. Monitors(context, "ServiceMonitor"),
            .. Monitors(context, "PodMonitor"),
        ];

    private static IEnumerable<LintFinding> Missing(LintContext context, Workload workload)
    {
        var references = References(workload).Where(reference => !reference.IsOptional && !BuiltIn.Contains(reference.Name)).ToList();
        foreach (var reference in references.DistinctBy(reference => (reference.Kind, reference.Name)))
            if (!IsThere(context, workload.Namespace, reference.Kind, reference.Name))
                yield return LintRules.MissingReference.At(
                    workload.Object,
                    reference.Part,
                    $"{Word(reference.Kind)} {reference.Name} is not among the manifests.",
                    reference.Kind == "Secret"
                        ? $"Make it where it is applied: onggi deploy secrets | kubectl apply -f -; if it is made elsewhere, say so: --external {reference.Kind}/{reference.Name}"
                        : $"Add it; if it is made elsewhere, say so: --external {reference.Kind}/{reference.Name}"
                );
        foreach (var reference in references.Where(reference => reference.Key is not null))
            if (context.Manifests.Find(reference.Kind, reference.Name, workload.Namespace) is { } found && !HasKey(found, reference.Key!))
                yield return LintRules.MissingKey.At(
                    workload.Object,
                    reference.Part,
                    $"{found.Id} has no key {reference.Key}.",
                    $"Write one of: {string.Join(", ", KeysOf(found))}."
                );
    }

    private static bool IsThere(LintContext context, string inNamespace, string kind, string name) =>
        context.Manifests.Find(kind, name, inNamespace) is not null
        || context.IsMadeElsewhere(kind, name)
        || (
            kind == "Secret"
            && Makers.Any(maker =>
                context.Manifests.Of(maker.Kind).Any(found => found.Namespace == inNamespace && NameMadeBy(found, maker.Path) == name)
            )
        );

    private static string NameMadeBy(ManifestObject maker, string[] path) =>
        path.Aggregate(maker.Root, (part, name) => part[name]).Text ?? maker.Name;

    private static IEnumerable<Reference> References(Workload workload)
    {
        var pod = workload.Pod;
        foreach (var container in workload.AllContainers)
        {
            foreach (var variable in container.Part["env"].Items)
            foreach (var (kind, field) in KeyReferences)
                if (Of(kind, variable["valueFrom"][field], "name", variable["valueFrom"][field]["key"].Text) is { } one)
                    yield return one;
            foreach (var source in container.Part["envFrom"].Items)
            foreach (var one in Pair(source, "secretRef", "name", "configMapRef"))
                yield return one;
        }

        foreach (var volume in pod["volumes"].Items)
        {
            foreach (var one in Pair(volume, "secret", "secretName", "configMap"))
                yield return one;
            foreach (var source in volume["projected"]["sources"].Items)
            foreach (var one in Pair(source, "secret", "name", "configMap"))
                yield return one;
            if (Of("PersistentVolumeClaim", volume["persistentVolumeClaim"], "claimName", null) is { } claim)
                yield return claim;
        }

        foreach (var secret in pod["imagePullSecrets"].Items)
            if (Of("Secret", secret, "name", null) is { } one)
                yield return one;
        if (pod["serviceAccountName"].Text is { } account)
            yield return new Reference("ServiceAccount", account, null, pod["serviceAccountName"], IsOptional: false);
    }

    private static IEnumerable<Reference> Pair(YamlPart source, string secretField, string secretName, string mapField)
    {
        if (Of("Secret", source[secretField], secretName, null) is { } secret)
        {
            yield return secret;
            foreach (var item in source[secretField]["items"].Items)
                yield return secret with
                {
                    Key = item["key"].Text,
                    Part = item,
                };
        }

        if (Of("ConfigMap", source[mapField], "name", null) is { } map)
        {
            yield return map;
            foreach (var item in source[mapField]["items"].Items)
                yield return map with
                {
                    Key = item["key"].Text,
                    Part = item,
                };
        }
    }

    private static Reference? Of(string kind, YamlPart part, string nameField, string? key) =>
        part[nameField].Text is { } name ? new Reference(kind, name, key, part, part["optional"].IsTrue) : null;

    private static bool HasKey(ManifestObject found, string key) => KeysOf(found).Contains(key, StringComparer.Ordinal);

    private static IEnumerable<string> KeysOf(ManifestObject found) =>
        ((string[])["data", "binaryData", "stringData"]).SelectMany(field => found.Root[field].Fields).Select(field => field.Name);

    private static IEnumerable<LintFinding> Bindings(LintContext context)
    {
        foreach (var binding in context.Manifests.Of("RoleBinding"))
        {
            var role = binding.Root["roleRef"];
            if (role["kind"].Text == "Role" && role["name"].Text is { } name && !IsThere(context, binding.Namespace, "Role", name))
                yield return LintRules.MissingReference.At(
                    binding,
                    role,
                    $"role {name} is not among the manifests.",
                    "Add it, or write the name of one that is there."
                );
            foreach (var subject in binding.Root["subjects"].Items.Where(subject => subject["kind"].Text == "ServiceAccount"))
                if (
                    subject["name"].Text is { } account
                    && account != "default"
                    && !IsThere(context, subject["namespace"].Text ?? binding.Namespace, "ServiceAccount", account)
                )
                    yield return LintRules.MissingReference.At(
                        binding,
                        subject,
                        $"service account {account} is not among the manifests.",
                        "Add it, or write the name of one that is there."
                    );
        }
    }

    private static IEnumerable<LintFinding> Twice(LintContext context) =>
        from same in context.Manifests.Objects.GroupBy(found => (Group(found), found.Kind, found.Namespace, found.Name))
        where same.Count() > 1
        let last = same.Last()
        select LintRules.Twice.At(
            last,
            last.Root,
            $"it stands {same.Count()} times, first in {same.First().Root.Place}.",
            "Remove all but one."
        );

    private static string Group(ManifestObject found) => (found.Root["apiVersion"].Text ?? "").Split('/') is [var group, _] ? group : "";

    private static IEnumerable<LintFinding> Monitors(LintContext context, string kind)
    {
        foreach (var monitor in context.Manifests.Of(kind))
        {
            var isService = kind == "ServiceMonitor";
            var seen = Seen(context, monitor, isService).ToList();
            if (seen.Count == 0)
            {
                yield return LintRules.BlindMonitor.At(
                    monitor,
                    monitor.Spec["selector"],
                    $"it selects {Selector.Spell(monitor.Spec["selector"])}, and no {(isService ? "Service" : "pod")} has these labels.",
                    $"Write the labels of the {(isService ? "Service itself, not of its pods" : "pods' template")}."
                );
                continue;
            }

            foreach (var endpoint in monitor.Spec[isService ? "endpoints" : "podMetricsEndpoints"].Items)
                if (endpoint["port"].Text is { } port && !seen.Exists(ports => ports.Contains(port, StringComparer.Ordinal)))
                    yield return LintRules.BlindMonitor.At(
                        monitor,
                        endpoint["port"],
                        $"it scrapes the port {port}, and what it selects has {string.Join(", ", seen.SelectMany(ports => ports).Distinct())}.",
                        "Write the name of the port, not its number."
                    );
        }
    }

    // The names of ports of all that it selects.
    private static IEnumerable<List<string>> Seen(LintContext context, ManifestObject monitor, bool isService)
    {
        bool IsPlace(string place) =>
            monitor.Spec["namespaceSelector"]["any"].IsTrue
            || (
                monitor.Spec["namespaceSelector"]["matchNames"].IsList
                    ? monitor.Spec["namespaceSelector"]["matchNames"].Items.Any(name => name.Text == place)
                    : place == monitor.Namespace
            );
        return isService
            ? context
                .Manifests.Of("Service")
                .Where(service => IsPlace(service.Namespace) && Selector.Matches(monitor.Spec["selector"], service.Labels))
                .Select(service => service.Spec["ports"].Items.Select(port => port["name"].Text ?? "").ToList())
            : context
                .Manifests.Workloads.Where(workload =>
                    IsPlace(workload.Namespace) && Selector.Matches(monitor.Spec["selector"], workload.Labels)
                )
                .Select(workload => workload.Containers.SelectMany(container => container.Ports).Select(port => port.Name ?? "").ToList());
    }

    private static string Word(string kind) =>
        kind switch
        {
            "Secret" => "secret",
            "ConfigMap" => "config map",
            "ServiceAccount" => "service account",
            "PersistentVolumeClaim" => "claim",
            _ => kind,
        };
}
