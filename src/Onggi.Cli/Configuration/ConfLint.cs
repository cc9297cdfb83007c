using System.Globalization;
using Onggi.Cli.Checks;
using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Configuration;

/// <summary>What is wrong with a redis.conf, for this catalog.</summary>
/// <param name="keyspace">The catalog; <c>null</c> for what can be said without one.</param>
/// <param name="isProduction">Whether it must survive a restart.</param>
/// <param name="instances">How many processes of services connect.</param>
internal sealed class ConfLint(Keyspace? keyspace, bool isProduction, int instances)
{
    private const int LongestKeepAlive = 240;

    private readonly List<Finding> _findings = [];
    private ConfFile _file = null!;

    private bool HasState => keyspace is null || ConfPlan.HasState(keyspace);

    /// <summary>Everything that is found, in the order of the file's lines, then what lacks.</summary>
    public IReadOnlyList<Finding> Check(ConfFile file)
    {
        _findings.Clear();
        _file = file;
        CheckNames();
        CheckSecrets();
        CheckAccess();
        CheckConnections();
        CheckMemory();
        CheckPersistence();
        CheckObservation();
        return [.. _findings];
    }

    private void CheckNames()
    {
        foreach (var line in _file.Lines)
        {
            if (ConfDirectives.PresentName(line.Name) is { } present)
                Add(
                    "ONG043",
                    line,
                    $"{line.Name} is the old name of {present}.",
                    "Later versions may not know it.",
                    $"Write: {present} {line.Value}",
                    isWarning: true
                );
            else if (!ConfDirectives.All.Contains(line.Name))
                Add(
                    "ONG030",
                    line,
                    $"Redis knows no directive {line.Name}.",
                    "Redis does not start with it.",
                    CatalogWords.Suggest(line.Name, [.. ConfDirectives.All], "")
                );
            else if (line.Values.Count == 0)
                Add("ONG031", line, $"{line.Name} has no value.", "Redis does not start with it.", $"Write a value, or remove the line.");
        }

        foreach (
            var group in _file
                .Lines.Where(line => !ConfDirectives.Repeatable.Contains(line.Name))
                .GroupBy(line => line.Name)
                .Where(group => group.Count() > 1)
        )
            Add(
                "ONG032",
                group.Last(),
                $"{group.Key} stands on the lines {string.Join(", ", group.Select(line => line.Number))}.",
                "Only the last one counts.",
                "Remove the others."
            );
        foreach (var name in (string[])["port", "timeout", "tcp-keepalive", "maxclients", "databases", "tcp-backlog"])
            if (_file[name] is { Values: [var value, ..] } line && Number(value) is null)
                Add("ONG031", line, $"{name} {value} is no whole number.", "Redis does not start with it.", $"Write a number.");
    }

    private void CheckSecrets()
    {
        foreach (var line in _file.Lines)
        {
            if (line.Name is "requirepass" or "masterauth" or "tls-key-file-pass")
                Add(
                    "ONG033",
                    line,
                    $"{line.Name} has a password in plain sight.",
                    "Whoever reads the file, a backup of it or the repository has it.",
                    "Use aclfile with digests: onggi acl file; give masterauth by the secret."
                );
            else if (line.Name == "user" && line.Values.Any(rule => rule.StartsWith('>')))
                Add(
                    "ONG033",
                    line,
                    "a user's password stands there in plain sight.",
                    "Whoever reads the file, a backup of it or the repository has it.",
                    "Write its digest: #<SHA-256>, as onggi acl file does."
                );
            else if (line.Name == "rename-command")
                Add(
                    "ONG036",
                    line,
                    "rename-command hides a command from everybody, the tools included.",
                    "It protects from accidents, not from users, and FLUSHDB or CONFIG do the same harm under names that were forgotten.",
                    "Take the right away by ACL: onggi acl file."
                );
        }
    }

    private void CheckAccess()
    {
        var users =
            _file["aclfile"] is not null
            || _file.Lines.Any(line => line is { Name: "user", Values: ["default", ..] } && line.Values.Contains("off"));
        if (!users && _file["requirepass"] is null)
        {
            var comment = _file.Comments.FirstOrDefault(line => line.Name is "requirepass" or "aclfile");
            AddMissing(
                "ONG034",
                comment,
                comment is null
                    ? "nobody needs a password: there is neither aclfile nor requirepass."
                    : $"{comment.Name} stands in a comment, so nobody needs a password.",
                "Whoever reaches the port reads and deletes everything; and official images turn protected-mode off.",
                "Write: aclfile /data/users.acl, made by onggi acl file."
            );
        }
        else if (!users)
            AddMissing(
                "ONG034",
                _file["requirepass"],
                "all services share one user and one password.",
                "Each may read, delete and flush what is another's.",
                "Write: aclfile /data/users.acl, made by onggi acl file.",
                isWarning: true
            );
        if (Is("protected-mode", "no"))
            Add(
                "ONG035",
                _file["protected-mode"]!,
                "protected-mode is off.",
                "Should the users be lost, everybody is let in.",
                "Write: protected-mode yes"
            );
        foreach (var name in (string[])["enable-debug-command", "enable-module-command"])
            if (Is(name, "yes"))
                Add(
                    "ONG048",
                    _file[name]!,
                    $"{name} is on for everybody.",
                    "DEBUG stops the server, MODULE LOAD runs foreign code.",
                    $"Write: {name} no"
                );
    }

    private void CheckConnections()
    {
        if (NumberOf("timeout") is > 0 and var idle)
            Add(
                "ONG037",
                _file["timeout"]!,
                $"timeout {idle}: Redis cuts connections that are idle for {idle} s.",
                "Pools and subscribers are idle for longer, and each cut is an error to somebody.",
                "Write: timeout 0; dead peers are found by tcp-keepalive 60."
            );
        if (NumberOf("tcp-keepalive") is 0 or > LongestKeepAlive)
            Add(
                "ONG038",
                _file["tcp-keepalive"]!,
                $"tcp-keepalive {_file["tcp-keepalive"]!.Value}.",
                $"Cloud load balancers forget a connection after {LongestKeepAlive} s, and neither side is told.",
                "Write: tcp-keepalive 60"
            );
        var needed = ConfPlan.MaxClients(instances);
        if (NumberOf("maxclients") is { } most && most < needed)
            Add(
                "ONG039",
                _file["maxclients"]!,
                $"maxclients {most} is fewer than the {needed} that {Words.Count(instances, "process needs", "processes need")} during an update.",
                "At the limit probes and the exporter are refused, too: Redis seems down, and is taken out of the service.",
                $"Write: maxclients {needed}"
            );
        if (NumberOf("databases") is > 1 and var databases)
            Add(
                "ONG042",
                _file["databases"]!,
                $"databases {databases}: there is one keyspace, in database 0.",
                "Rights do not know databases, a cluster has one, and keys in another are nobody's.",
                "Write: databases 1",
                isWarning: true
            );
        else if (_file["databases"] is null)
            AddMissing(
                "ONG042",
                null,
                "databases is not said, so there are 16.",
                "Rights do not know databases, a cluster has one, and keys in another are nobody's.",
                "Write: databases 1",
                isWarning: true
            );
    }

    private void CheckMemory()
    {
        var line = _file["maxmemory"];
        var bytes = line is null ? 0 : ConfFile.Bytes(line.Value);
        if (bytes is null)
            Add(
                "ONG031",
                line!,
                $"maxmemory {line!.Value} is no size.",
                "Redis does not start with it.",
                "Write a number and kb, mb or gb."
            );
        else if (bytes == 0)
            AddMissing(
                "ONG040",
                line,
                "there is no maxmemory.",
                "Redis takes what there is, until the system kills it.",
                $"Write: maxmemory {keyspace?.MemoryLimit?.ToString(CultureInfo.InvariantCulture) ?? "512mb"}"
            );
        else if (keyspace?.MemoryLimit is { } limit && limit != bytes)
            Add(
                "ONG040",
                line!,
                $"maxmemory {line!.Value} is {bytes} bytes; the catalog says {limit} for {keyspace.Environment}.",
                "Shares of families and alerts are reckoned from the catalog.",
                $"Write: maxmemory {limit}, or change the catalog.",
                isWarning: true
            );
        var policy = _file["maxmemory-policy"]?.Value ?? "noeviction";
        if (policy != "noeviction" && HasState)
            AddMissing(
                "ONG041",
                _file["maxmemory-policy"],
                $"maxmemory-policy {policy} evicts sessions, locks and limits with the caches.",
                "A flood of cache entries signs people out and frees locks that are held.",
                isProduction
                    ? "Write: maxmemory-policy noeviction, or give caches a Redis of their own."
                    : "In development it may stay: onggi conf show writes it. Otherwise: maxmemory-policy noeviction, or a Redis of their own for caches.",
                isWarning: !isProduction
            );
        if (_file["maxmemory-clients"] is null)
            AddMissing(
                "ONG051",
                null,
                "maxmemory-clients is not said.",
                "Buffers of slow readers take memory that data is evicted for.",
                "Write: maxmemory-clients 10%",
                isWarning: true
            );
        if (
            ((string[])["eviction", "expire", "server-del", "user-del"]).FirstOrDefault(name => !Is($"lazyfree-lazy-{name}", "yes")) is
            { } eager
        )
            AddMissing(
                "ONG047",
                _file[$"lazyfree-lazy-{eager}"],
                $"lazyfree-lazy-{eager} is not on.",
                "Freeing a large value keeps everybody waiting.",
                $"Write: lazyfree-lazy-{eager} yes",
                isWarning: true
            );
    }

    private void CheckPersistence()
    {
        if (isProduction && HasState && !Is("appendonly", "yes"))
            AddMissing(
                "ONG044",
                _file["appendonly"],
                "nothing survives a restart: appendonly is not on.",
                "A restart signs everybody out, and fences of locks begin anew.",
                "Write: appendonly yes"
            );
        if (Is("appendonly", "yes") && (Is("appendfsync", "no") || Is("appendfsync", "always")))
            Add(
                "ONG045",
                _file["appendfsync"]!,
                $"appendfsync {_file["appendfsync"]!.Value}.",
                Is("appendfsync", "no") ? "Up to half a minute of writes can be lost." : "Every write waits for the disk.",
                "Write: appendfsync everysec",
                isWarning: true
            );
        if (_file["notify-keyspace-events"] is { } events && events.Value.Length > 0)
            Add(
                "ONG049",
                events,
                "keyspace notifications are on.",
                "Every write costs a message, and they come late or never: the end of sessions is found by their deadlines.",
                "Write: notify-keyspace-events \"\"",
                isWarning: true
            );
    }

    private void CheckObservation()
    {
        if (NumberOf("latency-monitor-threshold") is null or 0)
            AddMissing(
                "ONG046",
                _file["latency-monitor-threshold"],
                "latency-monitor-threshold is off.",
                "After a slow minute nobody can say what was slow.",
                "Write: latency-monitor-threshold 10",
                isWarning: true
            );
        if (NumberOf("slowlog-log-slower-than") is < 0)
            Add(
                "ONG046",
                _file["slowlog-log-slower-than"]!,
                "the slow log is off.",
                "After a slow minute nobody can say what was slow.",
                "Write: slowlog-log-slower-than 10000",
                isWarning: true
            );
    }

    private bool Is(string name, string value) => string.Equals(_file[name]?.Value, value, StringComparison.OrdinalIgnoreCase);

    private long? NumberOf(string name) => _file[name] is { Values: [var value, ..] } ? Number(value) : null;

    private static long? Number(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;

    private void Add(string code, ConfLine line, string what, string why, string fix, bool isWarning = false) =>
        _findings.Add(new Finding(code, $"{_file.Name}:{line.Number}", what, why, fix, isWarning));

    private void AddMissing(string code, ConfLine? line, string what, string why, string fix, bool isWarning = false) =>
        _findings.Add(new Finding(code, line is null ? _file.Name : $"{_file.Name}:{line.Number}", what, why, fix, isWarning));
}
