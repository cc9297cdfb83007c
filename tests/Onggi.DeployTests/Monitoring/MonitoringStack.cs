using System.Globalization;
using System.Text;
using System.Text.Json;
using Onggi.Testing;

namespace Onggi.DeployTests.Monitoring;

/// <summary>The exporter, Prometheus and, where it is asked for, the alert manager with somebody whom it tells: all on 127.0.0.1, scraping each second.</summary>
internal sealed class MonitoringStack : IAsyncDisposable
{
    // Rules are made for so short a time by the tool's own options.
    private const string Window = "10s";
    private const string Wait = "2s";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-monitoring-stack");
    private readonly Dictionary<string, string> _exporterEnvironment;
    private readonly int _exporterPort = LoopbackPorts.Free();
    private readonly int _prometheusPort = LoopbackPorts.Free();
    private readonly int _alertmanagerPort = LoopbackPorts.Free();
    private WatchedProcess? _exporter;
    private WatchedProcess? _prometheus;
    private WatchedProcess? _alertmanager;

    private MonitoringStack(string exporterPassword) =>
        _exporterEnvironment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["REDIS_ADDR"] = "",
            ["REDIS_USER"] = "exporter",
            ["REDIS_PASSWORD"] = exporterPassword,
            // Less than Prometheus waits: a Redis that hangs is one that is down, not one of which nothing is known.
            ["REDIS_EXPORTER_CONNECTION_TIMEOUT"] = "700ms",
        };

    public Webhook? Webhook { get; private set; }

    public string Exporter => $"127.0.0.1:{_exporterPort}";

    /// <summary>Starts it for some servers.</summary>
    /// <param name="exporterPassword">Of the user <c>exporter</c>.</param>
    /// <param name="catalog">The catalog that the rules are made from.</param>
    /// <param name="servers">Name, port and tier of each.</param>
    /// <param name="pages">Job, address and path of other metrics.</param>
    /// <param name="alerts">Whether alerts are told.</param>
    /// <param name="terms">What else the rules are made for.</param>
    public static async Task<MonitoringStack> StartAsync(
        string exporterPassword,
        string catalog,
        IReadOnlyList<(string Name, string Port, string Tier)> servers,
        IReadOnlyList<(string Job, string Address, string Path)> pages,
        bool alerts,
        params string[] terms
    )
    {
        var stack = new MonitoringStack(exporterPassword);
        try
        {
            await stack.MakeRulesAsync(catalog, terms);
            await stack.StartExporterAsync();
            if (alerts)
                await stack.StartAlertmanagerAsync(always: false);
            stack.Watch(servers);
            await stack.StartPrometheusAsync(pages, alerts);
            return stack;
        }
        catch
        {
            await stack.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts the alert manager alone, with somebody whom it tells, at a time when development sleeps or when it does not.</summary>
    public static async Task<MonitoringStack> StartAlertmanagerAloneAsync(bool isNight)
    {
        var stack = new MonitoringStack("");
        try
        {
            await stack.StartAlertmanagerAsync(always: isNight);
            return stack;
        }
        catch
        {
            await stack.DisposeAsync();
            throw;
        }
    }

    /// <summary>Says which servers are watched; Prometheus sees it within a second.</summary>
    public void Watch(IReadOnlyList<(string Name, string Port, string Tier)> servers) => Watch("servers.yaml", servers);

    /// <summary>The same of Sentinels.</summary>
    public void WatchSentinel(string name, int port) =>
        Watch("sentinels.yaml", [(name, port.ToString(CultureInfo.InvariantCulture), "none")]);

    private void Watch(string list, IReadOnlyList<(string Name, string Port, string Tier)> servers)
    {
        var text = new StringBuilder();
        foreach (var (name, port, tier) in servers)
            text.Append(
                CultureInfo.InvariantCulture,
                $"- targets: [\"redis://127.0.0.1:{port}\"]\n  labels: {{ instance: {name}, tier: {tier} }}\n"
            );
        var file = PathOf(list);
        File.WriteAllText(file + ".new", text.ToString());
        File.Move(file + ".new", file, overwrite: true);
    }

    public async Task StartExporterAsync()
    {
        _exporter = await WatchedProcess.StartAsync(
            Tools.Exporter,
            _folder.FullName,
            _exporterEnvironment,
            "--web.listen-address",
            Exporter
        );
        await _exporter.AnswersAsync(_http, new Uri($"http://{Exporter}/health"), Patience);
    }

    public async Task StopExporterAsync()
    {
        if (_exporter is not null)
            await _exporter.DisposeAsync();
        _exporter = null;
    }

    /// <summary>What the exporter says of a server.</summary>
    public Task<string> PageAsync(int port) => _http.GetStringAsync(new Uri($"http://{Exporter}/scrape?target=redis://127.0.0.1:{port}"));

    /// <summary>The series that an expression gives now: their labels and values.</summary>
    /// <exception cref="Xunit.Sdk.XunitException">Prometheus does not take it.</exception>
    public async Task<IReadOnlyList<(string Labels, string Value)>> AskAsync(string expression)
    {
        var address = new Uri($"http://127.0.0.1:{_prometheusPort}/api/v1/query?query={Uri.EscapeDataString(expression)}");
        using var response = await _http.GetAsync(address);
        var answer = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.True(answer.GetProperty("status").GetString() == "success", $"{expression}: {answer}");
        var data = answer.GetProperty("data");
        Assert.Equal("vector", data.GetProperty("resultType").GetString());
        return
        [
            .. data.GetProperty("result")
                .EnumerateArray()
                .Select(series => (series.GetProperty("metric").ToString(), series.GetProperty("value")[1].GetString()!)),
        ];
    }

    /// <summary>Tells the alert manager of alerts, as Prometheus does.</summary>
    public async Task AlertAsync(params IReadOnlyDictionary<string, string>[] alerts)
    {
        using var content = new StringContent(
            JsonSerializer.Serialize(alerts.Select(labels => new { labels })),
            Encoding.UTF8,
            "application/json"
        );
        using var posted = await _http.PostAsync(new Uri($"http://127.0.0.1:{_alertmanagerPort}/api/v2/alerts"), content);
        posted.EnsureSuccessStatusCode();
    }

    /// <summary>What the alert manager makes of an alert: <c>active</c> or <c>suppressed</c>; <c>null</c> while it does not know it.</summary>
    public async Task<string?> StateOfAsync(IReadOnlyDictionary<string, string> labels)
    {
        var api = new Uri($"http://127.0.0.1:{_alertmanagerPort}/api/v2/alerts");
        await AlertAsync(labels);
        var all = JsonElement.Parse(await _http.GetStringAsync(api));
        foreach (var alert in all.EnumerateArray())
            if (
                labels.All(label =>
                    alert.GetProperty("labels").TryGetProperty(label.Key, out var value) && value.GetString() == label.Value
                )
            )
                return alert.GetProperty("status").GetProperty("state").GetString();
        return null;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in (WatchedProcess?[])[_prometheus, _alertmanager, _exporter])
            if (process is not null)
                await process.DisposeAsync();
        if (Webhook is not null)
            await Webhook.DisposeAsync();
        _http.Dispose();
        _folder.Delete(recursive: true);
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private async Task MakeRulesAsync(string catalog, string[] terms)
    {
        var (code, output) = await Kit.RunAsync([
            "deploy",
            "monitoring",
            "--catalog",
            catalog,
            "--out",
            _folder.FullName,
            "--window",
            Window,
            "--for",
            Wait,
            .. terms,
        ]);
        Assert.True(code == 0, output);
    }

    // The committed configuration, with the test's own address and impatience. What is silent at night must not depend on when the test runs.
    private async Task StartAlertmanagerAsync(bool always)
    {
        Webhook = await Webhook.StartAsync();
        var text = RuleTests.UrlFile().Replace(Kit.Text($"{Kit.Folder}/alertmanager.yaml"), $"url: {Webhook.Address}");
        var lines = text.Split('\n').ToList();
        var night = lines.IndexOf("  - name: night") + 2;
        Assert.True(night > 1, "There is no interval of the night.");
        lines.RemoveRange(night, lines.IndexOf("", night) - night);
        lines.Insert(night, always ? "      - years: [\"1970:2999\"]" : "      - years: [\"1970\"]");
        text = string.Join('\n', lines);
        foreach (var (name, value) in ((string, string)[])[("group_wait", "0s"), ("group_interval", "1s"), ("repeat_interval", "1h")])
            text = string.Join(
                '\n',
                text.Split('\n')
                    .Select(line =>
                        line.TrimStart().StartsWith(name + ":", StringComparison.Ordinal)
                            ? $"{line[..line.IndexOf(':', StringComparison.Ordinal)]}: {value}"
                            : line
                    )
            );
        await File.WriteAllTextAsync(PathOf("alertmanager.yaml"), text);
        _alertmanager = await WatchedProcess.StartAsync(
            Tools.Alertmanager,
            _folder.FullName,
            new Dictionary<string, string>(),
            $"--config.file={PathOf("alertmanager.yaml")}",
            $"--storage.path={PathOf("alerts")}",
            $"--web.listen-address=127.0.0.1:{_alertmanagerPort}",
            "--cluster.listen-address="
        );
        await _alertmanager.AnswersAsync(_http, new Uri($"http://127.0.0.1:{_alertmanagerPort}/-/ready"), Patience);
    }

    private async Task StartPrometheusAsync(IReadOnlyList<(string Job, string Address, string Path)> pages, bool alerts)
    {
        var text = new StringBuilder();
        text.Append("global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\nrule_files: [rules/*.yaml]\n");
        if (alerts)
            text.Append(
                CultureInfo.InvariantCulture,
                $"alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"127.0.0.1:{_alertmanagerPort}\"] }}] }}] }}\n"
            );
        text.Append(
            CultureInfo.InvariantCulture,
            $"""
            scrape_configs:
              - job_name: redis
                metrics_path: /scrape
                file_sd_configs: [{"{"} files: [servers.yaml], refresh_interval: 1s {"}"}]
                relabel_configs:
                  - source_labels: [__address__]
                    target_label: __param_target
                  - target_label: __address__
                    replacement: {Exporter}
              - job_name: sentinel
                metrics_path: /scrape
                file_sd_configs: [{"{"} files: [sentinels.yaml], refresh_interval: 1s {"}"}]
                relabel_configs:
                  - source_labels: [__address__]
                    target_label: __param_target
                  - target_label: __address__
                    replacement: {Exporter}
              - job_name: redis-exporter
                static_configs: [{"{"} targets: ["{Exporter}"] {"}"}]

            """
        );
        foreach (var (job, address, path) in pages)
            text.Append(
                CultureInfo.InvariantCulture,
                $"  - job_name: {job}\n    honor_labels: true\n    metrics_path: {path}\n    static_configs: [{{ targets: [\"{address}\"] }}]\n"
            );
        await File.WriteAllTextAsync(PathOf("prometheus.yaml"), text.ToString());
        _prometheus = await WatchedProcess.StartAsync(
            Tools.Prometheus,
            _folder.FullName,
            new Dictionary<string, string>(),
            $"--config.file={PathOf("prometheus.yaml")}",
            $"--storage.tsdb.path={PathOf("series")}",
            $"--web.listen-address=127.0.0.1:{_prometheusPort}",
            "--rules.alert.resend-delay=1s",
            "--log.level=warn"
        );
        await _prometheus.AnswersAsync(_http, new Uri($"http://127.0.0.1:{_prometheusPort}/-/ready"), Patience);
    }
}
