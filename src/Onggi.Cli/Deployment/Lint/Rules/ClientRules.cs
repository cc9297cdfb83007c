using Onggi.Cli.Access;

namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>What clients are told, against what is there: addresses, TLS, users, Sentinels.</summary>
internal static class ClientRules
{
    /// <summary>What stands for a value that Kubernetes puts in.</summary>
    private const string Unknown = "reference";

    private const int FewestSentinels = 3;

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        [
            .. context.Connections.SelectMany(connection =>
                (LintFinding[])
                    [.. Readable(connection), .. Addresses(context, connection), .. Tls(context, connection), .. Users(context, connection)]
            ),
            .. context.Manifests.Workloads.SelectMany(workload => Labels(context, workload)),
            .. context.Manifests.Settings.Where(settings => settings.IsSentinel).SelectMany(settings => Sentinels(context, settings)),
        ];

    // Other clients have other spellings; of our own we know what they read.
    private static IEnumerable<LintFinding> Readable(ClientConnection connection)
    {
        if (connection.Mistake is { } mistake && connection.Name.Contains("onggi", StringComparison.OrdinalIgnoreCase))
            yield return LintRules.UnreadableConnection.At(
                connection.Object,
                connection.Part,
                $"{connection.Name} cannot be read.",
                mistake
            );
    }

    private static IEnumerable<LintFinding> Addresses(LintContext context, ClientConnection connection)
    {
        foreach (var server in connection.Servers.Where(server => server.Host != Unknown && Reachability.IsInside(server.Host)))
        {
            var service = context.Reachability.ServiceOf(server.Host, connection.Workload.Namespace);
            if (service is null)
            {
                if (IsHere(context, server.Host) && !context.IsMadeElsewhere("Service", server.Host.Split('.')[0]))
                    yield return LintRules.UnknownHost.At(
                        connection.Object,
                        connection.Part,
                        $"{connection.Name} names the host {server.Host}, and there is no such Service.",
                        $"Write the name of a Service; if it is made elsewhere, say so: --external Service/{server.Host.Split('.')[0]}"
                    );
                continue;
            }

            var ports = service.Spec["ports"].Items.Select(port => port["port"].Number).ToList();
            if (!Reachability.IsHeadless(service) && !ports.Contains(server.Port))
                yield return LintRules.UnknownHost.At(
                    connection.Object,
                    connection.Part,
                    $"{connection.Name} names port {server.Port} of {service.Id}, which has {string.Join(", ", ports)}.",
                    $"Write: {server.Host}:{ports.FirstOrDefault()}"
                );
        }
    }

    // A Service of a namespace that is not among these manifests cannot be known.
    private static bool IsHere(LintContext context, string host)
    {
        var parts = host.Split('.');
        var at = Array.IndexOf(parts, "svc");
        return at < 1 || context.Manifests.Objects.Any(found => found.Namespace == parts[at - 1]);
    }

    private static IEnumerable<LintFinding> Tls(LintContext context, ClientConnection connection)
    {
        if (connection.Options is not { } options)
            yield break;
        foreach (var settings in SettingsOf(context, connection).DistinctBy(settings => settings.Key))
        {
            if (options.Tls is null && settings is { HasTls: true, HasPlain: false })
                yield return LintRules.OtherLanguage.At(
                    connection.Object,
                    connection.Part,
                    $"{connection.Name} speaks without TLS, and {settings.Object.Id} ({settings.Key}) opens no port without it.",
                    "Write: …,ssl=true,tlsCa=/tls/ca.crt; or rediss://"
                );
            else if (options.Tls is not null && !settings.HasTls)
                yield return LintRules.OtherLanguage.At(
                    connection.Object,
                    connection.Part,
                    $"{connection.Name} speaks TLS, and {settings.Object.Id} ({settings.Key}) has no tls-port.",
                    "Write in redis.conf tls-port and the certificates: onggi conf show --tls FOLDER; or leave ssl away."
                );
        }
    }

    private static IEnumerable<RedisSettings> SettingsOf(LintContext context, ClientConnection connection) =>
        from server in connection.Servers
        let service = context.Reachability.ServiceOf(server.Host, connection.Workload.Namespace)
        where service is not null
        from workload in context.Manifests.Behind(service)
        where workload.DataPorts().Count > 0
        from settings in context.Manifests.SettingsOf(workload)
        where settings.IsSentinel == workload.Sentinel is not null
        select settings;

    private static IEnumerable<LintFinding> Users(LintContext context, ClientConnection connection)
    {
        if (!connection.IsRedis || connection.Options is not { } options)
            yield break;
        var user = UserOf(connection, options);
        if (user == Unknown)
            yield break;
        if (user is null or AccessUser.Default)
        {
            // Without a password the login comes from elsewhere: from a file, say, that code reads.
            var logsIn = options.Password is not null || connection.Workload.Exporter is not null;
            if (logsIn && SettingsOf(context, connection).Any(settings => settings.File["aclfile"] is not null))
                yield return LintRules.UnknownUser.At(
                    connection.Object,
                    connection.Part,
                    $"{connection.Name} names {(user is null ? "no user" : "the default user")}, who is off.",
                    "Write: …,user=<the service's name in the catalog>,password=$(VARIABLE); for the exporter REDIS_USER."
                );
            yield break;
        }

        if (Known(context) is { } known && !known.Contains(user))
            yield return LintRules.UnknownUser.At(
                connection.Object,
                connection.Part,
                $"{connection.Name} logs in as {user}, and the catalog has no such user.",
                $"Write one of: {string.Join(", ", known.Order(StringComparer.Ordinal))}."
            );
        else if (connection.Workload.Client is { } label && label != user)
            yield return LintRules.UnknownUser.At(
                connection.Object,
                connection.Part,
                $"{connection.Name} logs in as {user}, and the label {Workload.ClientLabel} says {label}.",
                "Write the same name in both."
            );
    }

    // The exporter says its user apart.
    private static string? UserOf(ClientConnection connection, Onggi.Client.RedisClientOptions options)
    {
        if (connection.Workload.Exporter is not { } exporter || options.User is not null)
            return options.User;
        const string Option = "--redis.user=";
        return exporter.Variables.FirstOrDefault(variable => variable.Name == "REDIS_USER")?.Value
            ?? exporter
                .Words.Select(word => word.Text ?? "")
                .FirstOrDefault(word => word.StartsWith(Option, StringComparison.Ordinal))
                ?[Option.Length..];
    }

    private static IEnumerable<LintFinding> Labels(LintContext context, Workload workload)
    {
        if (workload.Client is { } label && Known(context) is { } known && !known.Contains(label))
            yield return LintRules.UnknownUser.At(
                workload.Object,
                workload.Template["metadata"]["labels"],
                $"its label {Workload.ClientLabel} says {label}, and the catalog has no such service or user.",
                $"Write one of: {string.Join(", ", known.Order(StringComparer.Ordinal))}."
            );
    }

    private static HashSet<string>? Known(LintContext context) =>
        context.Keyspace is { Services.Count: > 0 } keyspace
            ? [.. AccessPlan.Of(keyspace, replicated: true).Where(user => user.IsOn).Select(user => user.Name)]
            : null;

    private static IEnumerable<LintFinding> Sentinels(LintContext context, RedisSettings settings)
    {
        var sentinels = context
            .Manifests.Workloads.Where(workload =>
                workload.Sentinel is not null && context.Manifests.SettingsOf(workload).Any(known => ReferenceEquals(known, settings))
            )
            .ToList();
        var count = sentinels.Sum(workload => workload.Replicas);
        foreach (var line in settings.File.Lines.Where(line => line is { Name: "sentinel", Values: ["monitor", _, _, _, _] }))
        {
            var (master, quorum) = (line.Values[1], int.TryParse(line.Values[4], out var number) ? number : 0);
            if (count is > 0 and < FewestSentinels)
                yield return LintRules.Quorum.At(
                    settings.Object,
                    settings.Part,
                    $"there {(count == 1 ? "is 1 Sentinel" : $"are {count} Sentinels")}.",
                    "Run three, on different nodes."
                );
            else if (count > 0 && (quorum <= count / 2 || quorum > count))
                yield return LintRules.Quorum.At(
                    settings.Object,
                    settings.Part,
                    $"the quorum of {master} is {quorum} of {count} Sentinels.",
                    $"Write: sentinel monitor {master} {line.Values[2]} {line.Values[3]} {(count / 2) + 1}"
                );
            foreach (
                var connection in context.Connections.Where(connection =>
                    connection.Options?.SentinelService is { } asked && asked != master && asked != Unknown
                )
            )
                yield return LintRules.Quorum.At(
                    connection.Object,
                    connection.Part,
                    $"{connection.Name} asks for the master {connection.Options!.SentinelService}, and the Sentinels watch {master}.",
                    $"Write: serviceName={master}"
                );
        }
    }
}
