using System.CommandLine;
using Onggi.Cli.Checks;
using Onggi.Cli.Output;
using Onggi.Cli.Verification;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi verify</c>: whether this Redis is healthy, safe, and ours.</summary>
internal static class VerifyCommand
{
    private const int InstancesPerService = 2;
    private static readonly TimeSpan BetweenRounds = TimeSpan.FromSeconds(1);

    public static Command Create(ToolOutput output)
    {
        var options = new Options();
        var command = new Command(
            "verify",
            "Checks a Redis, and the files it is made from, against the catalog: is it there, who gets in and who must not, memory, times to live, speed, readiness. "
                + "Each finding says what was expected, why it matters and what to do. It changes nothing, unless --probe-writes or --drill ask for it.\n\n"
                + "Exit code 0: nothing but warnings. 1: findings. 2: something was not asked: it could not be, or the answer to --drill was no."
        );
        foreach (var option in options.All)
            command.Options.Add(option);
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, options, output, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, Options options, ToolOutput output, CancellationToken cancellationToken)
    {
        var format = parsed.GetValue(options.Json) ? VerifyFormat.Json : parsed.GetValue(options.Format);
        var checks = VerifyPlan.Choose(VerifyPlan.All(), parsed.GetValue(options.Categories) ?? [], Wanted(parsed, options));
        if (parsed.GetValue(options.List))
        {
            VerifyWriter.WriteList(checks, format == VerifyFormat.Json, output);
            return OnggiTool.Ok;
        }

        var settings = Settings(parsed, options);
        var wait = parsed.GetValue(options.Wait) is { } text ? Duration("--wait", text) : TimeSpan.Zero;
        var results = await RoundsAsync(checks, settings, wait, output, cancellationToken).ConfigureAwait(false);
        var subject = $"{settings.Keyspace.System} {settings.Keyspace.Environment}";
        VerifyWriter.Write(results, format, subject, output);
        if (parsed.GetValue(options.Report) is { } report)
        {
            await File.WriteAllTextAsync(report, VerifyWriter.Html(results, subject, output.Time.GetUtcNow()), cancellationToken)
                .ConfigureAwait(false);
            await output.Error.WriteLineAsync($"onggi: the report is in {report}.").ConfigureAwait(false);
        }

        return results.Any(result => result.State == CheckState.Failed || result.WasDeclined) ? OnggiTool.Failed
            : results.Any(result => result.State == CheckState.Finding) ? OnggiTool.Wrong
            : OnggiTool.Ok;
    }

    // Until nothing is bad, or the time is over; what is said is what the last round saw.
    private static async Task<IReadOnlyList<CheckResult>> RoundsAsync(
        IReadOnlyList<VerifyCheck> checks,
        VerifySettings settings,
        TimeSpan wait,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var began = output.Time.GetTimestamp();
        while (true)
        {
            var target = new VerifyTarget(settings, output);
            IReadOnlyList<CheckResult> results;
            await using (target.ConfigureAwait(false))
                results =
                [
                    .. await VerifyRun.AskAsync(checks, target, cancellationToken).ConfigureAwait(false),
                    .. Expired(settings, output),
                ];
            var bad = results.Where(result => result.IsBad).Select(result => result.Check.Code).ToList();
            var left = wait - output.Time.GetElapsedTime(began);
            if (bad.Count == 0 || left <= TimeSpan.Zero)
                return results;
            await output
                .Error.WriteLineAsync(
                    $"onggi: not yet: {string.Join(", ", bad)}; {Words.Time(TimeSpan.FromSeconds(Math.Ceiling(left.TotalSeconds)))} left."
                )
                .ConfigureAwait(false);
            await Task.Delay(left < BetweenRounds ? left : BetweenRounds, output.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private static IEnumerable<CheckResult> Expired(VerifySettings settings, ToolOutput output)
    {
        var found = settings.Suppressions.Expired(DateOnly.FromDateTime(output.Time.GetUtcNow().UtcDateTime)).ToList();
        if (settings.Suppressions.Entries.Count > 0)
            yield return new CheckResult(
                SuppressionCheck,
                found.Count > 0 ? CheckState.Finding : CheckState.Ok,
                $"{settings.Suppressions.Entries.Count} suppressions, {found.Count} past their end",
                found
            );
    }

    private static VerifyCheck SuppressionCheck { get; } =
        new(
            Suppressions.ExpiredCode,
            "files",
            "Nothing is lived with for longer than was decided",
            "no suppression past its day",
            "What was to be lived with for a while is lived with for ever.",
            CheckSource.Files,
            static (_, _) => Task.FromResult(CheckOutcome.Ok(""))
        );

    private static Func<VerifyCheck, bool> Wanted(ParseResult parsed, Options options)
    {
        var (pre, offline, live) = (parsed.GetValue(options.Pre), parsed.GetValue(options.Offline), parsed.GetValue(options.Live));
        if (offline && live)
            throw new ToolException("--offline looks at files only, --live at the server only: choose one, or neither for both.");
        if (offline && (parsed.GetValue(options.Drill) || parsed.GetValue(options.ProbeWrites)))
            throw new ToolException("--drill and --probe-writes need a server, and --offline asks none.");
        if (parsed.GetValue(options.Restart) is not null && !parsed.GetValue(options.Drill))
            throw new ToolException("--restart is a part of the drill: add --drill.");
        if (parsed.GetValue(options.Outside))
            return static check => check.Code == "ONG027";
        return check =>
            (!pre || !check.NeedsTraffic)
            && (!offline || check.Source == CheckSource.Files)
            && (!live || check.Source != CheckSource.Files);
    }

    private static VerifySettings Settings(ParseResult parsed, Options options)
    {
        var catalog = parsed.GetValue(options.Catalog);
        var keyspace = Inputs.NeedKeyspace(catalog, parsed.GetValue(options.Environment));
        var readiness = parsed.GetValue(options.Readiness);
        if (readiness is not null && !Directory.Exists(readiness))
            throw new ToolException($"there is no folder {readiness}. Name the root of the repository with --readiness.");
        return new VerifySettings
        {
            Keyspace = keyspace,
            CatalogFile = catalog ?? Inputs.DefaultCatalog,
            Redis = parsed.GetValue(options.Redis),
            IsProduction = parsed.GetValue(options.Production),
            Instances = parsed.GetValue(options.Instances) ?? (InstancesPerService * Math.Max(1, keyspace.Services.Count)),
            ConfFile = parsed.GetValue(options.Conf) ?? (File.Exists("redis.conf") ? "redis.conf" : null),
            AclFile = parsed.GetValue(options.Acl) ?? (File.Exists("users.acl") ? "users.acl" : null),
            Manifests = parsed.GetValue(options.Manifests) ?? [],
            Secrets = parsed.GetValue(options.Secrets),
            ProbeWrites = parsed.GetValue(options.ProbeWrites),
            Drill = parsed.GetValue(options.Drill),
            Restart = parsed.GetValue(options.Restart),
            Patience = Duration("--patience", parsed.GetRequiredValue(options.Patience)),
            Yes = parsed.GetValue(options.Yes),
            Outside = parsed.GetValue(options.Outside),
            Container = Size(parsed.GetValue(options.Container)),
            Metrics = [.. (parsed.GetValue(options.Metrics) ?? []).Select(Address)],
            Readiness = readiness,
            Suppressions = Suppressions.Find(parsed.GetValue(options.SuppressionFile)),
        };
    }

    private static TimeSpan Duration(string option, string text) =>
        CatalogWords.TryDuration(text, out var duration)
            ? duration
            : throw new ToolException($"{option} \"{text}\" is no duration. Write {CatalogWords.GuessDuration(text)}.");

    private static long? Size(string? text) =>
        text is null ? null
        : CatalogWords.TrySize(text, out var bytes) ? bytes
        : throw new ToolException($"--container \"{text}\" is no size. Write {CatalogWords.GuessSize(text)}.");

    private static Uri Address(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? address
            : throw new ToolException($"--metrics \"{text}\" is no address. Write http://host:9121/metrics.");

    private sealed class Options
    {
        public Option<string?> Redis { get; } = Inputs.Redis();

        public Option<string?> Catalog { get; } = Inputs.Catalog("It is needed here.");

        public Option<string?> Environment { get; } = Inputs.Environment();

        public Option<bool> Production { get; } =
            new("--production") { Description = "For what must survive a restart: what is a warning in development is a finding." };

        public Option<int?> Instances { get; } =
            new("--instances")
            {
                Description = $"How many processes of services connect; {InstancesPerService} for each service of the catalog otherwise.",
                HelpName = "COUNT",
            };

        public Option<string[]> Categories { get; } =
            new("--category")
            {
                Description =
                    "Only the checks of this category, and those that they need; may be given several times. --list-checks shows all.",
                HelpName = "NAME",
                AllowMultipleArgumentsPerToken = true,
            };

        public Option<bool> Pre { get; } = new("--pre") { Description = "Only what can be judged before the services run." };

        public Option<bool> Offline { get; } =
            new("--offline") { Description = "Only files: the catalog, redis.conf, the file of users, manifests. Asks no server." };

        public Option<bool> Live { get; } = new("--live") { Description = "Only the server." };

        public Option<string?> Wait { get; } =
            new("--wait") { Description = "Tries again until all is well, for so long: 30s, 5m.", HelpName = "DURATION" };

        public Option<bool> List { get; } = new("--list-checks") { Description = "Lists the checks and asks nothing." };

        public Option<string?> Conf { get; } =
            new("--conf") { Description = "redis.conf; the one of this folder otherwise.", HelpName = "FILE" };

        public Option<string?> Acl { get; } =
            new("--acl") { Description = "The file of users; users.acl of this folder otherwise.", HelpName = "FILE" };

        public Option<string[]> Manifests { get; } =
            new("--manifests")
            {
                Description =
                    "Manifests to be looked at as onggi deploy lint does: folders, files, - for standard input. May be given several times.",
                HelpName = "PATH",
            };

        public Option<string?> Secrets { get; } =
            new("--secrets", "-s")
            {
                Description = "The folder of passwords: each service logs in with its own, and is refused what is another's.",
                HelpName = "FOLDER",
            };

        public Option<string?> SuppressionFile { get; } =
            new("--suppressions")
            {
                Description = $"What is lived with: codes with a reason and an end. {Suppressions.DefaultFile} of this folder otherwise.",
                HelpName = "FILE",
            };

        public Option<string?> Report { get; } =
            new("--report") { Description = "Writes everything into one HTML page, as evidence.", HelpName = "FILE" };

        public Option<VerifyFormat> Format { get; } =
            new("--output", "-o") { Description = "table, short, json, junit or sarif.", HelpName = "FORMAT" };

        public Option<bool> Json { get; } = Inputs.Json();

        public Option<bool> ProbeWrites { get; } =
            new("--probe-writes")
            {
                Description = "Writes keys of its own, <prefix>onggi:verify:…, for 60 s at most, to see that they end.",
            };

        public Option<bool> Drill { get; } =
            new("--drill") { Description = "The test of recovery: cuts all connections and sees who comes back. Asks first." };

        public Option<string?> Restart { get; } =
            new("--restart")
            {
                Description = "A command that restarts Redis, for the drill: 'kubectl rollout restart statefulset/redis'. Asks first.",
                HelpName = "COMMAND",
            };

        public Option<string> Patience { get; } =
            new("--patience")
            {
                Description = "How long services may take to come back in the drill.",
                HelpName = "DURATION",
                DefaultValueFactory = _ => "30s",
            };

        public Option<bool> Yes { get; } = Inputs.Yes("Does the drill");

        public Option<bool> Outside { get; } =
            new("--outside")
            {
                Description = "Run from where nobody may reach Redis: well when there is no connection. Nothing else is checked.",
            };

        public Option<string?> Container { get; } =
            new("--container") { Description = "The memory of Redis's container: 1gb. That of the machine otherwise.", HelpName = "SIZE" };

        public Option<string[]> Metrics { get; } =
            new("--metrics")
            {
                Description =
                    "An address of metrics, of the exporter or of a service: it must answer, and hits are counted from it. May be given several times.",
                HelpName = "URL",
            };

        public Option<string?> Readiness { get; } =
            new("--readiness")
            {
                Description = "The folder in which documents, dashboards and alerts are looked for.",
                HelpName = "FOLDER",
            };

        public IEnumerable<Option> All =>
            [
                Redis,
                Catalog,
                Environment,
                Production,
                Instances,
                Categories,
                Pre,
                Offline,
                Live,
                Wait,
                List,
                Conf,
                Acl,
                Manifests,
                Secrets,
                SuppressionFile,
                Report,
                Format,
                Json,
                ProbeWrites,
                Drill,
                Restart,
                Patience,
                Yes,
                Outside,
                Container,
                Metrics,
                Readiness,
            ];
    }
}
