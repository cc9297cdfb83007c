using System.Text.Json.Nodes;
using Onggi.DeployTests.Monitoring;
using YamlDotNet.RepresentationModel;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>Development is off at night: what goes, what comes back, in which order, and with which rights.</summary>
public class NightTests
{
    [ToolFact("kubectl")]
    public async Task In_the_evening_all_goes_and_in_the_morning_it_comes_back()
    {
        var all = await Manifests.OfAsync(Manifests.Dev);
        var running = all.Of("Deployment")
            .Concat(all.Of("StatefulSet"))
            .ToDictionary(
                found => $"{found.Text("kind").ToLowerInvariant()}/{Manifests.NameOf(found)}",
                found => found.Text("spec.replicas")
            );

        Assert.Equal(running.Keys.Order(), Scaled(all, "evening").Keys.Order());
        Assert.All(Scaled(all, "evening").Values, count => Assert.Equal("0", count));
        Assert.Equal(running.OrderBy(pair => pair.Key), Scaled(all, "morning").OrderBy(pair => pair.Key));
    }

    [ToolFact("kubectl")]
    public async Task Redis_is_the_last_to_go_and_the_first_to_come()
    {
        var all = await Manifests.OfAsync(Manifests.Dev);

        // Init containers run one after the other; the container is what comes after them.
        Assert.Equal(["warn", "services", "redis"], Steps(all, "evening"));
        Assert.Equal(
            ["redis", "redis-ready", "services", "auth-ready", "bill-inquiry-ready", "product-change-ready", "log-in", "warm"],
            Steps(all, "morning")
        );
    }

    [ToolFact("kubectl")]
    public async Task Both_run_on_working_days_by_the_clock_of_the_team()
    {
        var all = await Manifests.OfAsync(Manifests.Dev);
        foreach (var (name, schedule) in (ReadOnlySpan<(string, string)>)[("evening", "0 20 * * 1-5"), ("morning", "0 8 * * 1-5")])
        {
            var job = all.One("CronJob", name);
            Assert.Equal(
                (schedule, "Asia/Seoul", "Forbid"),
                (job.Text("spec.schedule"), job.Text("spec.timeZone"), job.Text("spec.concurrencyPolicy"))
            );
            Assert.True(int.Parse(job.Text("spec.jobTemplate.spec.activeDeadlineSeconds")) > 0);
        }
    }

    // Otherwise somebody is called every evening, or nobody is when it does not come back in the morning.
    [ToolFact("kubectl")]
    public async Task Nobody_is_told_that_it_is_off_while_it_is_off()
    {
        var all = await Manifests.OfAsync(Manifests.Dev);
        var (evening, morning) = (all.One("CronJob", "evening"), all.One("CronJob", "morning"));
        var zone = TimeZoneInfo.FindSystemTimeZoneById(evening.Text("spec.timeZone"));
        var patience = TimeSpan.FromSeconds(int.Parse(morning.Text("spec.jobTemplate.spec.activeDeadlineSeconds")));
        var (off, on) = (TimeOf(evening), TimeOf(morning) + patience);
        var night = ((YamlSequenceNode)NightAlertTests.Configuration()["time_intervals"]).Single(one => $"{one["name"]}" == "night");

        var wrong = new List<string>();
        // A week in winter and one in summer, by five minutes.
        foreach (var week in (DateTime[])[new(2026, 1, 5, 0, 0, 0, DateTimeKind.Utc), new(2026, 7, 6, 0, 0, 0, DateTimeKind.Utc)])
            for (var at = week; at < week.AddDays(7); at = at.AddMinutes(5))
            {
                var there = TimeZoneInfo.ConvertTimeFromUtc(at, zone);
                var isWeekend = there.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday;
                var isOff = isWeekend || there.TimeOfDay >= off || there.TimeOfDay < on;
                if (isOff != ((YamlSequenceNode)night["time_intervals"]).Any(one => Holds((YamlMappingNode)one, at)))
                    wrong.Add($"{there:ddd HH:mm} {(isOff ? "off" : "on")}");
            }

        Assert.Empty(wrong);
    }

    // The hour and minute of a schedule.
    private static TimeSpan TimeOf(JsonNode job) =>
        job.Text("spec.schedule").Split(' ') is [var minute, var hour, ..] ? new TimeSpan(int.Parse(hour), int.Parse(minute), 0) : default;

    // As the alert manager reads it: days, and on them times from the first minute to before the last.
    private static bool Holds(YamlMappingNode interval, DateTime at)
    {
        var days = ((YamlSequenceNode)interval["weekdays"])
            .Select(day => $"{day}".Split(':'))
            .Select(range => (From: Day(range[0]), To: Day(range[^1])));
        if (!days.Any(range => at.DayOfWeek >= range.From && at.DayOfWeek <= range.To))
            return false;
        return !interval.Children.TryGetValue(new YamlScalarNode("times"), out var times)
            || ((YamlSequenceNode)times).Any(time => at.TimeOfDay >= Time(time["start_time"]) && at.TimeOfDay < Time(time["end_time"]));
    }

    private static DayOfWeek Day(string name) => Enum.Parse<DayOfWeek>(name, ignoreCase: true);

    private static TimeSpan Time(YamlNode text) =>
        $"{text}".Split(':') is [var hour, var minute] ? new TimeSpan(int.Parse(hour), int.Parse(minute), 0) : default;

    [ToolFact("kubectl")]
    public async Task They_may_do_what_they_do_and_nothing_more()
    {
        var all = await Manifests.OfAsync(Manifests.Dev);
        var role = all.One("Role", "night");
        var granted = Granted(role).ToHashSet();
        var needed = Needed(all).ToHashSet();

        Assert.Empty(needed.Except(granted));
        // update is what older kubectl says for patch.
        Assert.DoesNotContain(granted.Except(needed), right => !right.EndsWith(" update", StringComparison.Ordinal));
        // Whoever may patch a workload may run anything in its place.
        Assert.DoesNotContain(
            granted,
            right =>
                right.Split(' ') is [var kind, _, "patch" or "update" or "create" or "delete" or "*"]
                && !kind.EndsWith("/scale", StringComparison.Ordinal)
        );
        Assert.Empty(all.Of("ClusterRole"));
        Assert.All(role.Items("rules"), rule => Assert.NotEmpty(rule.Texts("resourceNames")));
        var binding = all.One("RoleBinding", "night");
        Assert.Equal(("Role", "night"), (binding.Text("roleRef.kind"), binding.Text("roleRef.name")));
        Assert.Equal("night", Assert.Single(binding.Items("subjects")).Text("name"));
    }

    [Fact]
    public async Task The_evening_says_what_is_lost()
    {
        var run = await Tools.RunAsync("sh", ["deploy/kubernetes/overlays/dev/night/warn.sh"]);

        Assert.Equal(0, run.Code);
        foreach (var word in (string[])["WARNING", "sessions", "refresh tokens", "locks", "limits", "events", "signs in again", "suspend"])
            Assert.Contains(word, run.Output, StringComparison.Ordinal);
    }

    private static IEnumerable<JsonNode> Containers(Manifests all, string job) =>
        Manifests.Containers(all.One("CronJob", job).At("spec.jobTemplate.spec.template")!);

    private static IEnumerable<string> Steps(Manifests all, string job) => Containers(all, job).Select(container => container.Text("name"));

    private static IEnumerable<IReadOnlyList<string>> Kubectls(Manifests all, string job) =>
        Containers(all, job)
            .Where(container => container.Text("image").Contains("kubectl", StringComparison.Ordinal))
            .Select(container => container.Texts("args"));

    private static Dictionary<string, string> Scaled(Manifests all, string job) =>
        Kubectls(all, job)
            .Where(words => words[0] == "scale")
            .SelectMany(words =>
                words
                    .Where(word => word.Contains('/', StringComparison.Ordinal))
                    .Select(what => (what, Count: words.Single(word => word.StartsWith("--replicas=", StringComparison.Ordinal))[11..]))
            )
            .ToDictionary(pair => pair.what, pair => pair.Count);

    private static IEnumerable<string> Granted(JsonNode role) =>
        from rule in role.Items("rules")
        from kind in rule.Texts("resources")
        from name in rule.Texts("resourceNames")
        from verb in rule.Texts("verbs")
        select $"{kind} {name} {verb}";

    // What kubectl asks of the API for what it is told.
    private static IEnumerable<string> Needed(Manifests all)
    {
        foreach (var words in Kubectls(all, "evening").Concat(Kubectls(all, "morning")))
        foreach (var what in words.Where(word => word.Contains('/', StringComparison.Ordinal)))
        {
            var (kind, name) = ($"{what.Split('/')[0]}s", what.Split('/')[1]);
            string[] verbs = words switch
            {
                ["scale", ..] => [$"{kind} {name} get", $"{kind}/scale {name} get", $"{kind}/scale {name} patch"],
                ["rollout", "status", ..] => [$"{kind} {name} get", $"{kind} {name} list", $"{kind} {name} watch"],
                _ => throw new InvalidOperationException($"kubectl {string.Join(' ', words)}: what does it need?"),
            };
            foreach (var verb in verbs)
                yield return verb;
        }
    }
}
