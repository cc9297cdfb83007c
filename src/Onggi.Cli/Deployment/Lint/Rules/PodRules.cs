namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>Pods as such: accounts, variables of Services, budgets, autoscalers, where they run and how they stop.</summary>
internal static class PodRules
{
    // Programs of these names read variables that begin with it: REDIS_PORT and the like.
    private static readonly string[] ReadByPrograms = ["redis", "valkey", "redis-sentinel"];

    private static readonly string[] LinkEndings = ["_PORT", "_SERVICE_HOST", "_SERVICE_PORT"];

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        [
            .. context.Manifests.Workloads.SelectMany(workload => Pod(context, workload)),
            .. Budgets(context),
            .. Autoscalers(context),
            .. context.Manifests.Of("CronJob").SelectMany(Schedule),
        ];

    private static IEnumerable<LintFinding> Pod(LintContext context, Workload workload)
    {
        if (MountsToken(context, workload))
            yield return LintRules.TokenMounted.At(
                workload.Object,
                workload.Pod,
                "the token of its service account is mounted.",
                "Write in the pod's spec: automountServiceAccountToken: false"
            );
        if (!workload.Pod["enableServiceLinks"].IsFalse && Link(context, workload) is { } link)
            yield return LintRules.ServiceLinks.At(
                workload.Object,
                workload.Pod,
                $"the Service {link.Service} gives its containers the variable {link.Variable}.",
                "Write in the pod's spec: enableServiceLinks: false; or call the Service by another name."
            );
        if (workload.Stays && workload.Object.Kind is not ("DaemonSet" or "Pod") && !HasBudget(context, workload))
            yield return LintRules.NoBudget.At(
                workload.Object,
                workload.Object.Root,
                "no PodDisruptionBudget selects its pods.",
                "Add one with the same labels and maxUnavailable: 1.",
                // A single pod that holds nothing is away for as long as another needs to start, budget or not.
                isWarning: !workload.IsStatefulSet && workload.Replicas <= 1
            );
        if (workload.Replicas > 1 && workload.DataPorts().Count > 0)
            foreach (var finding in Several(context, workload))
                yield return finding;
    }

    // Who is given rights at the API server needs the token for them.
    private static bool MountsToken(LintContext context, Workload workload)
    {
        if (workload.Pod["automountServiceAccountToken"].IsFalse)
            return false;
        var name = workload.Pod["serviceAccountName"].Text ?? "default";
        var account = context.Manifests.Find("ServiceAccount", name, workload.Namespace);
        if (!workload.Pod["automountServiceAccountToken"].Exists && account?.Root["automountServiceAccountToken"].IsFalse == true)
            return false;
        return !context
            .Manifests.Of("RoleBinding")
            .Concat(context.Manifests.Of("ClusterRoleBinding"))
            .Any(binding =>
                binding.Root["subjects"].Items.Any(subject => subject["kind"].Text == "ServiceAccount" && subject["name"].Text == name)
            );
    }

    private static (string Service, string Variable)? Link(LintContext context, Workload workload)
    {
        foreach (
            var service in context
                .Manifests.Of("Service")
                .Where(service => service.Namespace == workload.Namespace && !Reachability.IsHeadless(service))
        )
        {
            var begin = service.Name.ToUpperInvariant().Replace('-', '_');
            if (ReadByPrograms.Contains(service.Name))
                return (service.Name, $"{begin}_PORT=tcp://…");
            var own = workload
                .AllContainers.SelectMany(container => container.Variables)
                .FirstOrDefault(variable => LinkEndings.Any(end => variable.Name == begin + end));
            if (own is not null)
                return (service.Name, own.Name);
        }

        return null;
    }

    private static bool HasBudget(LintContext context, Workload workload) =>
        context
            .Manifests.Of("PodDisruptionBudget")
            .Any(budget => budget.Namespace == workload.Namespace && Selector.Matches(budget.Spec["selector"], workload.Labels));

    private static IEnumerable<LintFinding> Several(LintContext context, Workload workload)
    {
        var spreads =
            workload.Pod["affinity"]["podAntiAffinity"].Exists
            || workload.Pod["topologySpreadConstraints"].Items.Any(constraint => constraint["topologyKey"].Exists);
        if (!spreads)
            yield return LintRules.OneNode.At(
                workload.Object,
                workload.Pod,
                $"its {workload.Replicas} pods may all be on one node.",
                "Write podAntiAffinity, required, with topologyKey: kubernetes.io/hostname and the pods' own labels."
            );
        var hasSentinels = context.Manifests.Workloads.Any(other => other.Sentinel is not null && other.Namespace == workload.Namespace);
        if (workload.Redis is { } redis && hasSentinels && !redis.Part["lifecycle"]["preStop"].Exists)
            yield return LintRules.NoFarewell.At(
                workload.Object,
                redis.Part,
                $"{redis.Name} has no preStop hook.",
                "Write lifecycle.preStop with a script that asks a Sentinel for a failover when this pod is the primary, and waits for it."
            );
    }

    private static IEnumerable<LintFinding> Budgets(LintContext context)
    {
        foreach (var budget in context.Manifests.Of("PodDisruptionBudget"))
        {
            var about = context.Manifests.SelectedBy(budget, budget.Spec["selector"]).Where(workload => workload.Stays).ToList();
            if (about.Count == 0)
                yield return LintRules.IdleBudget.At(
                    budget,
                    budget.Spec["selector"],
                    $"it is about {Selector.Spell(budget.Spec["selector"])}, and no workload has these labels.",
                    "Write the labels of the pods' template, or remove it."
                );
            else if (Blocks(budget, about.Sum(workload => workload.Replicas)) is { } because)
                yield return LintRules.BlockingBudget.At(
                    budget,
                    budget.Spec,
                    $"{because}: none of the pods of {string.Join(", ", about.Select(workload => workload.Id))} may ever be away.",
                    "Write: maxUnavailable: 1"
                );
        }
    }

    private static string? Blocks(ManifestObject budget, int pods)
    {
        var (least, most) = (budget.Spec["minAvailable"], budget.Spec["maxUnavailable"]);
        if (most.Text is "0" or "0%")
            return "maxUnavailable is 0";
        if (least.Text is "100%")
            return "minAvailable is 100%";
        // With no pods at all, as at night, nothing is held back.
        return pods > 0 && least.Number >= pods
            ? $"minAvailable is {least.Text}, and there {(pods == 1 ? "is 1 pod" : $"are {pods} pods")}"
            : null;
    }

    private static IEnumerable<LintFinding> Autoscalers(LintContext context)
    {
        foreach (var scaler in context.Manifests.Of("HorizontalPodAutoscaler"))
        {
            var target = context.Manifests.TargetOf(scaler);
            var named = scaler.Spec["scaleTargetRef"];
            if (target is null)
                yield return LintRules.Autoscaler.At(
                    scaler,
                    named,
                    $"{named["kind"].Text}/{named["name"].Text} is not there.",
                    "Write kind and name of the Deployment."
                );
            else if (target.DataPorts().Count > 0)
                yield return LintRules.Autoscaler.At(
                    scaler,
                    named,
                    $"it scales {target.Id}, which is {(target.Redis is null ? "a Sentinel" : "Redis")}.",
                    "Remove it: Redis grows by memory, or by a cluster."
                );
            else
                foreach (var resource in Unrequested(scaler, target))
                    yield return LintRules.Autoscaler.At(
                        scaler,
                        scaler.Spec["metrics"],
                        $"it measures {resource}, of which {target.Id} requests none.",
                        $"Write resources.requests.{resource} for each container."
                    );
        }
    }

    private static IEnumerable<string> Unrequested(ManifestObject scaler, Workload target) =>
        scaler
            .Spec["metrics"]
            .Items.Where(metric => metric["resource"]["target"]["averageUtilization"].Exists)
            .Select(metric => metric["resource"]["name"].Text ?? "")
            .Where(resource => target.Containers.Any(container => !container.Part["resources"]["requests"][resource].Exists));

    private static IEnumerable<LintFinding> Schedule(ManifestObject job)
    {
        var lacking = new List<string>();
        if (!job.Spec["timeZone"].Exists)
            lacking.Add("timeZone");
        if (job.Spec["concurrencyPolicy"].Text is not ("Forbid" or "Replace"))
            lacking.Add("concurrencyPolicy: Forbid");
        if (lacking.Count > 0)
            yield return LintRules.Schedule.At(
                job,
                job.Spec["schedule"],
                $"it lacks {string.Join(" and ", lacking)}.",
                "Write: timeZone: Asia/Seoul (or where its people are), concurrencyPolicy: Forbid",
                isWarning: true
            );
    }
}
