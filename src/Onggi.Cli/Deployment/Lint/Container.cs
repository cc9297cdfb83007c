namespace Onggi.Cli.Deployment.Lint;

/// <summary>A port that a container names.</summary>
internal sealed record ContainerPort(string? Name, int Number, string Protocol);

/// <summary>A variable of a container's environment.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its text; <c>null</c> where it comes from elsewhere.</param>
/// <param name="Part">Where it stands.</param>
internal sealed record Variable(string Name, string? Value, YamlPart Part);

/// <summary>One container of a pod.</summary>
/// <param name="part">Where it stands.</param>
/// <param name="isInit">Whether it ends before the others begin.</param>
internal sealed class Container(YamlPart part, bool isInit)
{
    public YamlPart Part => part;

    public bool IsInit => isInit;

    public string Name { get; } = part["name"].Text ?? "";

    public ImageReference? Image { get; } = ImageReference.Parse(part["image"].Text);

    public IReadOnlyList<ContainerPort> Ports { get; } =
    [
        .. part["ports"]
            .Items.Select(port => new ContainerPort(
                port["name"].Text,
                (int)(port["containerPort"].Number ?? 0),
                port["protocol"].Text ?? "TCP"
            )),
    ];

    public IReadOnlyList<Variable> Variables { get; } =
    [.. part["env"].Items.Select(variable => new Variable(variable["name"].Text ?? "", variable["value"].Text, variable))];

    /// <summary>Command and arguments, one after the other.</summary>
    public IReadOnlyList<YamlPart> Words { get; } = [.. part["command"].Items, .. part["args"].Items];

    /// <summary>All that is executed in it: its own command, and those of probes and hooks, each as one text.</summary>
    public IEnumerable<(string Role, YamlPart Part, string Text)> Commands()
    {
        if (Words.Count > 0)
            yield return ("command", Words[0], string.Join(' ', Words.Select(word => word.Text)));
        foreach (var (role, exec) in Executed())
            if (exec.IsList)
                yield return (role, exec, string.Join(' ', exec.Items.Select(word => word.Text)));
    }

    private IEnumerable<(string Role, YamlPart Exec)> Executed()
    {
        foreach (var probe in (string[])["startupProbe", "livenessProbe", "readinessProbe"])
            yield return (probe, part[probe]["exec"]["command"]);
        foreach (var hook in (string[])["postStart", "preStop"])
            yield return (hook, part["lifecycle"][hook]["exec"]["command"]);
    }
}
