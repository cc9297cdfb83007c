using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Cli.Migration;

/// <summary>Whether the fence will stop everybody who writes the old keys, and nobody else.</summary>
internal sealed class WriterChecks(MigrationRules rules, MigrationServers servers, List<Finding> findings)
{
    // One of each kind: who may not SET may still push.
    private static readonly string[][] Writes =
    [
        ["SET", "KEY", "x"],
        ["UNLINK", "KEY"],
        ["DEL", "KEY"],
        ["EXPIRE", "KEY", "1"],
        ["INCR", "KEY"],
        ["APPEND", "KEY", "x"],
        ["HSET", "KEY", "x", "x"],
        ["RPUSH", "KEY", "x"],
        ["LPUSH", "KEY", "x"],
        ["SADD", "KEY", "x"],
        ["ZADD", "KEY", "1", "x"],
        ["XADD", "KEY", "*", "x", "x"],
        ["RESTORE", "KEY", "0", "x"],
    ];

    private readonly WriteFence _fence = new(servers.Source(), rules, servers.IsOneServer);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        Dictionary<string, string> before;
        try
        {
            before = await _fence.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ToolException problem)
        {
            findings.Add(
                new Finding(
                    "MIG04",
                    FindingLevel.Fails,
                    $"The writers cannot be fenced: {problem.Message}",
                    "Put the names in \"writers\" right, or give the service a user of its own."
                )
            );
            return;
        }

        findings.Add(new Finding("MIG04", FindingLevel.Ok, $"The fence will stop {string.Join(", ", rules.Writers)}."));
        foreach (var (writer, patterns) in before)
        {
            var wider = _fence.Wider(patterns).ToList();
            if (wider.Count > 0)
                findings.Add(
                    new Finding(
                        "MIG04",
                        FindingLevel.Warning,
                        $"\"{writer}\" may write {string.Join(' ', wider)}; behind the fence it may only: {string.Join(' ', _fence.PatternsBehind(patterns))}.",
                        "Name under \"keep\" what else it needs, for example \"~orders:*\"."
                    )
                );
        }

        await FindOthersAsync(cancellationToken).ConfigureAwait(false);
        await FindNewRightsAsync(cancellationToken).ConfigureAwait(false);
        await CheckPersistenceAsync(cancellationToken).ConfigureAwait(false);
    }

    // Whoever else may write the old keys writes past the fence. Who is connected is likely to.
    private async Task FindOthersAsync(CancellationToken cancellationToken)
    {
        var source = servers.Source();
        var us = await source.SendAsync(["ACL", "WHOAMI"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
        var users = await source.SendAsync(["ACL", "USERS"], ReplyParsers.TextArray, cancellationToken).ConfigureAwait(false);
        var clients = await source.SendAsync(["CLIENT", "LIST"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false) ?? "";
        foreach (var user in users.OfType<string>().Where(user => user != us && !rules.Writers.Contains(user, StringComparer.Ordinal)))
        {
            var found = await source.ExecuteAsync(["ACL", "GETUSER", user], cancellationToken).ConfigureAwait(false);
            if (
                found["flags"]?.Items.Any(flag => flag.Text == "on") != true
                || !await MayWriteAsync(source, user, found, cancellationToken).ConfigureAwait(false)
            )
                continue;
            var connected = clients.Split('\n').Any(line => line.Contains($" user={user} ", StringComparison.Ordinal));
            findings.Add(
                new Finding(
                    "MIG04",
                    connected ? FindingLevel.Fails : FindingLevel.Warning,
                    $"The user \"{user}\" may write the old keys, is {(connected ? "connected" : "not connected now")}, and is no writer of the rules: what it writes behind the fence would be lost.",
                    $"Add it to \"writers\", or turn it off: ACL SETUSER {user} off."
                )
            );
        }
    }

    // By its patterns, as far as they can be told apart, and by a command of each kind on a name that the pattern matches: a user of some of the keys, or of lists only, writes past the fence as well.
    private async Task<bool> MayWriteAsync(RedisClient client, string user, Reply found, CancellationToken cancellationToken)
    {
        var patterns = new[] { found }
            .Concat(found["selectors"]?.Items ?? [])
            .SelectMany(rights => (rights["keys"]?.Text ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries));
        foreach (var pattern in patterns.Where(_fence.LetsWrite))
        {
            var name = WriteFence.NameLike(pattern);
            foreach (var write in Writes)
            {
                RedisArg[] words = ["ACL", "DRYRUN", user, .. write.Select(word => (RedisArg)(word == "KEY" ? name : word))];
                if (await client.SendAsync(words, ReplyParsers.Text, cancellationToken).ConfigureAwait(false) == "OK")
                    return true;
            }
        }

        return false;
    }

    private async Task FindNewRightsAsync(CancellationToken cancellationToken)
    {
        foreach (var writer in rules.Writers)
        {
            if (await DryRunAsync(writer, ["GET", rules.EpochKey], cancellationToken).ConfigureAwait(false) is { } blind)
                findings.Add(
                    new Finding(
                        "MIG04",
                        FindingLevel.Warning,
                        $"At the target \"{writer}\" may not read {rules.EpochKey}: {blind}",
                        $"A service that uses OnggiMigration needs it: ACL SETUSER {writer} %R~{rules.SystemPrefix}*."
                    )
                );

            // On one server the fence itself gives the new names.
            var rule = rules.Rules.FirstOrDefault(rule => rule.Moves) ?? rules.Rules[0];
            if (
                !servers.IsOneServer
                && await DryRunAsync(writer, ["SET", rule.To + "x", "x"], cancellationToken).ConfigureAwait(false) is { } refused
            )
                findings.Add(
                    new Finding(
                        "MIG04",
                        FindingLevel.Warning,
                        $"At the target \"{writer}\" may not write {rule.To}*: {refused}",
                        $"Give it the right before the cut-over, if the service uses this name there: ACL SETUSER {writer} ~{rule.To}*."
                    )
                );
        }
    }

    // Null where it may.
    private async Task<string?> DryRunAsync(string user, string[] command, CancellationToken cancellationToken)
    {
        try
        {
            RedisArg[] words = ["ACL", "DRYRUN", user, .. command.Select(word => (RedisArg)word)];
            var answer = await servers.Target().SendAsync(words, ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
            return answer == "OK" ? null : answer;
        }
        catch (RedisServerException refused)
        {
            return refused.Message;
        }
    }

    private async Task CheckPersistenceAsync(CancellationToken cancellationToken)
    {
        try
        {
            var file = await servers
                .Source()
                .SendAsync(["CONFIG", "GET", "aclfile"], ReplyParsers.TextArray, cancellationToken)
                .ConfigureAwait(false);
            if (file is [_, { Length: > 0 }])
            {
                await CheckSavingAsync(cancellationToken).ConfigureAwait(false);
                return;
            }
        }
        catch (RedisServerException)
        {
            // It does not say: then it may be.
        }

        findings.Add(
            new Finding(
                "MIG04",
                FindingLevel.Warning,
                "The server keeps its users in memory only: a restart takes the fence away.",
                "Set aclfile, or write the fenced users into the configuration right after the cut-over (onggi migrate status shows them)."
            )
        );
    }

    private async Task CheckSavingAsync(CancellationToken cancellationToken)
    {
        var source = servers.Source();
        var us = await source.SendAsync(["ACL", "WHOAMI"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
        var answer = await source
            .SendAsync(["ACL", "DRYRUN", us!, "ACL", "SAVE"], ReplyParsers.Text, cancellationToken)
            .ConfigureAwait(false);
        if (answer != "OK")
            findings.Add(
                new Finding(
                    "MIG04",
                    FindingLevel.Warning,
                    $"We may not write the users into the aclfile: {answer} A restart takes the fence away.",
                    $"ACL SETUSER {us} +acl|save, or ACL SAVE by hand right after the cut-over."
                )
            );
    }
}
