using System.CommandLine;
using System.Text.RegularExpressions;
using Onggi.Cli.Deployment.Monitoring;
using Onggi.Cli.Output;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi deploy monitoring</c>: rules of alerts and dashboards from the catalog.</summary>
internal sealed partial class DeployMonitoringCommand
{
    private const string DefaultFolder = "deploy/monitoring";

    private readonly Option<string?> _catalog = Inputs.Catalog("It is needed here.");
    private readonly Option<string?> _environment = Inputs.Environment();

    private readonly Option<bool> _production = new("--production")
    {
        Description = "For what must survive a restart: replicas, the append-only file and backups are missed when they are not there.",
    };

    private readonly Option<string?> _out = new("--out", "-o")
    {
        Description = $"The folder of rules/onggi-rules.yaml and grafana/*.json. {DefaultFolder} where nothing else is asked for.",
        HelpName = "FOLDER",
    };

    private readonly Option<string?> _resource = new("--prometheus-rule")
    {
        Description = "Writes the rules as a PrometheusRule for Prometheus's operator in Kubernetes.",
        HelpName = "FILE",
    };

    private readonly Option<int> _replicas = new("--replicas")
    {
        Description = "How many replicas a primary has in production; with 0 no Sentinel is missed either.",
        HelpName = "COUNT",
        DefaultValueFactory = _ => 2,
    };

    private readonly Option<int> _backupHours = new("--backup-hours")
    {
        Description = "After how many hours a proven backup is too old.",
        HelpName = "COUNT",
        DefaultValueFactory = _ => 36,
    };

    private readonly Option<string> _runbook = new("--runbook")
    {
        Description =
            "The page that the alerts' links lead to: its address, https://…, where your people read it. Nobody knows that but you: otherwise it is the path in the repository, which cannot be clicked.",
        HelpName = "PAGE",
        DefaultValueFactory = _ => MonitoringTerms.DefaultRunbook,
    };

    private readonly Option<string?> _window = new("--window")
    {
        Description = "Measures everything over this time, as 10s: to try alerts out, not to be called by.",
        HelpName = "TIME",
    };

    private readonly Option<string?> _wait = new("--for")
    {
        Description = "Every condition must hold for this time, as 2s: to try alerts out, not to be called by.",
        HelpName = "TIME",
    };

    private readonly Option<bool> _check = new("--check")
    {
        Description = "Writes nothing; exit code 1 when a file is not as it would be written.",
    };

    private DeployMonitoringCommand()
    {
        Inputs.Bound(_replicas, 0, 100);
        Inputs.Bound(_backupHours, 1, 24 * 365);
        foreach (var time in (Option<string?>[])[_window, _wait])
            time.Validators.Add(result =>
            {
                foreach (var token in result.Tokens)
                    if (!PrometheusTime().IsMatch(token.Value))
                        result.AddError($"{time.Name} \"{token.Value}\" is no time of Prometheus. Write it as 10s or 5m.");
            });
    }

    public static Command Create(ToolOutput output)
    {
        var inputs = new DeployMonitoringCommand();
        var command = new Command(
            "monitoring",
            "Makes rules of alerts and dashboards from the catalog: families and their owners, shares of memory, what can and cannot be loaded again."
        )
        {
            inputs._catalog,
            inputs._environment,
            inputs._production,
            inputs._out,
            inputs._resource,
            inputs._replicas,
            inputs._backupHours,
            inputs._runbook,
            inputs._window,
            inputs._wait,
            inputs._check,
        };
        command.SetAction(parsed => inputs.Run(parsed, output));
        return command;
    }

    private int Run(ParseResult parsed, ToolOutput output)
    {
        var terms = new MonitoringTerms(Inputs.NeedKeyspace(parsed.GetValue(_catalog), parsed.GetValue(_environment)))
        {
            IsProduction = parsed.GetValue(_production),
            Replicas = parsed.GetValue(_replicas),
            BackupHours = parsed.GetValue(_backupHours),
            Runbook = parsed.GetRequiredValue(_runbook),
            Window = parsed.GetValue(_window),
            Wait = parsed.GetValue(_wait),
        };
        var resource = parsed.GetValue(_resource);
        var folder = parsed.GetValue(_out) ?? (resource is null ? DefaultFolder : null);
        var files = new List<(string Path, string Text)>();
        if (folder is not null)
            files.AddRange(MonitoringFiles.All(terms).Select(file => (Path.Combine(folder, file.Name), file.Text)));
        if (resource is not null)
            files.Add((resource, RulesWriter.Resource(terms)));
        return parsed.GetValue(_check) ? Check(files, output) : Write(files, terms, output);
    }

    private static int Check(List<(string Path, string Text)> files, ToolOutput output)
    {
        var others = files.FindAll(file => !File.Exists(file.Path) || File.ReadAllText(file.Path) != file.Text);
        foreach (var (path, _) in others)
            output.Text.WriteLine($"{path} is not as the catalog says.");
        output.Text.WriteLine(
            others.Count == 0 ? $"All {files.Count} files are as the catalog says." : "Make them anew: the same command without --check."
        );
        return others.Count == 0 ? OnggiTool.Ok : OnggiTool.Wrong;
    }

    private static int Write(List<(string Path, string Text)> files, MonitoringTerms terms, ToolOutput output)
    {
        foreach (var (path, text) in files)
        {
            if (Path.GetDirectoryName(path) is { Length: > 0 } parent)
                Directory.CreateDirectory(parent);
            File.WriteAllText(path, text);
            output.Text.WriteLine(path);
        }

        output.Text.WriteLine(
            $"{AlertPlan.Alerts(terms).Count} alerts for {terms.Keyspace.System}, {terms.Keyspace.Environment}. Check them: promtool check rules FILE"
        );
        if (!IsAddress(terms.Runbook))
            output.Error.WriteLine(
                $"onggi: the alerts' links lead to {terms.Runbook}, a path in the repository that nobody can click. Say where your people read that page: --runbook https://…"
            );
        return OnggiTool.Ok;
    }

    private static bool IsAddress(string page) =>
        Uri.TryCreate(page, UriKind.Absolute, out var address)
        && (address.Scheme == Uri.UriSchemeHttps || address.Scheme == Uri.UriSchemeHttp);

    [GeneratedRegex("^[1-9][0-9]*(s|m|h|d)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex PrometheusTime();
}
