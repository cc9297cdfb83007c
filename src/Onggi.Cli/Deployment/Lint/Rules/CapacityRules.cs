using System.Globalization;
using Onggi.Cli.Configuration;

namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>Sums over several files: memory, processors, connections, waiting times.</summary>
internal static class CapacityRules
{
    private const int SocketsOfOthers = 64;
    private const int UsualSockets = 8;
    private const double RoomWithForks = 0.45;
    private const double Room = 0.8;
    private const int LongestKeepAlive = 240;

    // Variables and settings by which clients of other makes say how many connections they open.
    private static readonly string[] PoolNames = ["maxactive", "maxtotal", "poolsize", "maxpoolsize", "maxleases", "poolmaxactive"];

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        [
            .. context.Manifests.Workloads.SelectMany(Resources),
            .. context.Manifests.Workloads.Where(workload => workload.Redis is not null).SelectMany(workload => Memory(context, workload)),
            .. context.Manifests.Settings.Where(settings => !settings.IsSentinel).SelectMany(settings => Settings(context, settings)),
        ];

    private static IEnumerable<LintFinding> Resources(Workload workload)
    {
        if (!workload.Stays)
            yield break;
        foreach (var container in workload.Containers)
        {
            var isRedis = container == workload.Redis;
            var resources = container.Part["resources"];
            var (request, limit) = (
                Quantity.Bytes(resources["requests"]["memory"].Text),
                Quantity.Bytes(resources["limits"]["memory"].Text)
            );
            if (limit is null)
                yield return LintRules.NoMemoryLimit.At(
                    workload.Object,
                    resources.Exists ? resources : container.Part,
                    $"{container.Name} has no limit of memory.",
                    "Write: resources: { requests: { memory: 128Mi }, limits: { memory: 128Mi } }, by what it uses.",
                    isWarning: !isRedis
                );
            else if (request is not null && request != limit)
                yield return LintRules.Burstable.At(
                    workload.Object,
                    resources["requests"]["memory"],
                    $"{container.Name} requests {resources["requests"]["memory"].Text} of memory, and its limit is {resources["limits"]["memory"].Text}.",
                    $"Write: requests: {{ memory: {resources["limits"]["memory"].Text} }}",
                    isWarning: !isRedis
                );
            if (Quantity.Cores(resources["limits"]["cpu"].Text) is { } cores and < 2)
                yield return LintRules.CpuLimit.At(
                    workload.Object,
                    resources["limits"]["cpu"],
                    $"{container.Name} is stopped beyond {cores.ToString(CultureInfo.InvariantCulture)} cores.",
                    "Remove limits.cpu, and keep the request.",
                    isWarning: !isRedis
                );
        }
    }

    private static IEnumerable<LintFinding> Memory(LintContext context, Workload workload)
    {
        if (Quantity.Bytes(workload.Redis!.Part["resources"]["limits"]["memory"].Text) is not { } limit)
            yield break;
        foreach (var settings in context.Manifests.SettingsOf(workload).Where(settings => !settings.IsSentinel))
        {
            // Replicas get a snapshot each time they come anew, written or not.
            var forks = settings.Persists || workload.Replicas > 1;
            if (settings.Bytes("maxmemory") is not { } most || most <= 0)
                continue;
            var share = (double)most / limit;
            if (share > (forks ? RoomWithForks : Room))
                yield return LintRules.TightMemory.At(
                    workload.Object,
                    workload.Redis.Part["resources"]["limits"]["memory"],
                    $"maxmemory {settings.File["maxmemory"]!.Value} is {share * 100:0} % of the container's {Words.Size(limit)}{(forks ? ", and Redis forks" : "")}.",
                    $"Write: limits: {{ memory: {Quantity.Spell(forks ? ConfPlan.MemoryLimit(most) : (long)Math.Ceiling(most / Room))} }}, or less maxmemory."
                );
        }
    }

    private static IEnumerable<LintFinding> Settings(LintContext context, RedisSettings settings) =>
        [.. Clients(context, settings), .. Shares(context, settings), .. Waits(context, settings)];

    private static IEnumerable<LintFinding> Clients(LintContext context, RedisSettings settings)
    {
        var clients = context.Manifests.Workloads.Where(workload => workload.Stays && context.IsClient(workload)).ToList();
        var sum = clients.Sum(workload => workload.Replicas * SocketsOf(workload));
        var needed = (sum * 2) + SocketsOfOthers;
        // What the number of processes alone asks for is said by the lint of redis.conf.
        if (settings.Number("maxclients") is { } most && most < needed && most >= ConfPlan.MaxClients(Math.Max(1, context.Instances)))
            yield return LintRules.FewClients.At(
                settings.Object,
                settings.Part,
                $"maxclients {most} is less than the {needed} of {string.Join(" + ", clients.Select(workload => $"{workload.Object.Name} {workload.Replicas} × {SocketsOf(workload)}"))}, twice, and {SocketsOfOthers}.",
                $"Write: maxclients {needed}, or smaller pools."
            );
    }

    private static int SocketsOf(Workload workload)
    {
        var said = workload
            .Containers.SelectMany(container => container.Variables)
            .Where(variable => PoolNames.Any(name => Plain(variable.Name).EndsWith(name, StringComparison.Ordinal)))
            .Select(variable => int.TryParse(variable.Value, out var number) ? number : 0)
            .DefaultIfEmpty(0)
            .Max();
        return Math.Max(UsualSockets, said);
    }

    private static string Plain(string name) => string.Concat(name.Where(char.IsLetter)).ToLowerInvariant();

    private static IEnumerable<LintFinding> Shares(LintContext context, RedisSettings settings)
    {
        if (context.Keyspace?.MemoryLimit is not { } limit || settings.Bytes("maxmemory") is not { } most || most <= 0 || most >= limit)
            yield break;
        var shares = context.Keyspace.Families.Where(family => family.Share is not null).ToList();
        var sum = shares.Sum(family => (long)(family.Share!.Value * limit));
        yield return LintRules.OverfullShares.At(
            settings.Object,
            settings.Part,
            $"maxmemory is {Words.Size(most)}, the catalog shares out {Words.Size(limit)}"
                + (sum > 0 ? $", of which {Words.Size(sum)} to {string.Join(", ", shares.Select(family => family.Family.Name))}." : "."),
            $"Write: maxmemory {limit}; or less under \"memory\": \"limit\" of the catalog."
        );
    }

    private static IEnumerable<LintFinding> Waits(LintContext context, RedisSettings settings)
    {
        var timeout = settings.Number("timeout") ?? 0;
        foreach (
            var connection in context.Connections.Where(connection =>
                connection.IsRedis && connection.Options is not null && connection.Workload.Exporter is null
            )
        )
        {
            if (connection.Workload.Namespace != settings.Object.Namespace)
                continue;
            var alive = (int)connection.Options!.KeepAlive.TotalSeconds;
            if (timeout > 0 && alive >= timeout)
                yield return LintRules.SleepyClient.At(
                    connection.Object,
                    connection.Part,
                    $"{connection.Name} gives a sign of life each {alive} s, and Redis cuts after {timeout} s.",
                    "Write in redis.conf: timeout 0."
                );
            else if (alive > LongestKeepAlive)
                yield return LintRules.SleepyClient.At(
                    connection.Object,
                    connection.Part,
                    $"{connection.Name} gives a sign of life each {alive} s, and load balancers forget after {LongestKeepAlive} s.",
                    "Write: keepAlive=10"
                );
        }
    }
}
