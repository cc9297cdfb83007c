namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>How Kubernetes sees that something works.</summary>
internal static class ProbeRules
{
    private static readonly string[] Signs = ["LOADING", "BUSY", "MASTERDOWN"];

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        from workload in context.Manifests.Workloads
        where workload.Stays
        from container in workload.Containers
        from finding in Container(context, workload, container)
        select finding;

    private static IEnumerable<LintFinding> Container(LintContext context, Workload workload, Container container)
    {
        foreach (var name in (string[])["livenessProbe", "readinessProbe"])
            if (!container.Part[name].Exists)
                yield return LintRules.NoProbe.At(
                    workload.Object,
                    container.Part,
                    $"{container.Name} has no {name}.",
                    $"Write a {name}: for Redis one that executes PING, for a service httpGet on its health."
                );
        foreach (var finding in Ports(workload, container))
            yield return finding;
        if (workload.Redis == container)
            foreach (var finding in Redis(context, workload, container))
                yield return finding;
    }

    private static IEnumerable<LintFinding> Ports(Workload workload, Container container)
    {
        foreach (var name in (string[])["startupProbe", "livenessProbe", "readinessProbe"])
        foreach (var way in (string[])["httpGet", "tcpSocket", "grpc"])
        {
            var port = container.Part[name][way]["port"];
            if (!port.Exists)
                continue;
            var isThere = port.Number is { } number
                ? container.Ports.Count == 0 || container.Ports.Any(known => known.Number == number)
                : container.Ports.Any(known => known.Name == port.Text);
            if (!isThere)
                yield return LintRules.ProbePort.At(
                    workload.Object,
                    port,
                    $"the {name} of {container.Name} asks port {port.Text}, which the container does not have.",
                    "Write one of its ports, by name."
                );
        }
    }

    private static IEnumerable<LintFinding> Redis(LintContext context, Workload workload, Container container)
    {
        var liveness = container.Part["livenessProbe"];
        if (liveness["tcpSocket"].Exists)
            yield return LintRules.PortProbe.At(
                workload.Object,
                liveness["tcpSocket"],
                $"the livenessProbe of {container.Name} opens the port, which a hung server lets it do.",
                "Write: exec: { command: [\"/scripts/alive.sh\"] } that executes PING as the user probe, with a time-out."
            );
        else if (liveness["exec"].Exists && Script(context, workload, liveness["exec"]["command"]) is { } script && IsStrict(script))
            yield return LintRules.StrictLiveness.At(
                workload.Object,
                liveness,
                $"the livenessProbe of {container.Name} takes only PONG for a sign of life.",
                "Let it succeed on answers that begin with LOADING, BUSY or MASTERDOWN, too; readiness stays strict."
            );
        if (
            !container.Part["startupProbe"].Exists
            && liveness.Exists
            && context.Manifests.SettingsOf(workload).Any(settings => settings.Persists && !settings.IsSentinel)
        )
            yield return LintRules.NoStartupProbe.At(
                workload.Object,
                container.Part,
                $"{container.Name} reads its data when it starts, and has no startupProbe.",
                "Write a startupProbe that executes PING, with periodSeconds × failureThreshold of some minutes."
            );
    }

    // What the probe executes; where that is a script of a ConfigMap, its text, too.
    private static string Script(LintContext context, Workload workload, YamlPart command)
    {
        var words = command.Items.Select(word => word.Text ?? "").ToList();
        var files = words.Select(word => word[(word.LastIndexOf('/') + 1)..]).ToHashSet(StringComparer.Ordinal);
        var texts = context.Manifests.TextsOf(workload).Where(text => files.Contains(text.Key)).Select(text => text.Part.Text ?? "");
        return string.Join('\n', words.Concat(texts));
    }

    private static bool IsStrict(string script) =>
        script.Contains("ping", StringComparison.OrdinalIgnoreCase)
        && script.Contains("PONG", StringComparison.Ordinal)
        && !Array.TrueForAll(Signs, sign => script.Contains(sign, StringComparison.Ordinal));
}
