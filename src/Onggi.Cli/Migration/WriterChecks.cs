using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>Whether the fence will stop everybody who writes the old keys, and nobody else.</summary>
internal sealed class WriterChecks(MigrationRules rules, MigrationServers servers, List<Finding> findings)
{
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var fence = new WriteFence(servers.Source(), rules, servers.IsOneServer);
        Dictionary<string, string> before;
        try
        {
            before = await fence.ReadAsync(cancellationToken).ConfigureAwait(false);
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
            var wider = fence.Wider(patterns).ToList();
            if (wider.Count > 0)
                findings.Add(
                    new Finding(
                        "MIG04",
                        FindingLevel.Warning,
                        $"\"{writer}\" may write {string.Join(' ', wider)}; behind the fence it may only: {string.Join(' ', fence.PatternsBehind(patterns))}.",
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
                || !await MayWriteAsync(source, user, cancellationToken).ConfigureAwait(false)
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

    private async Task<bool> MayWriteAsync(RedisClient client, string user, CancellationToken cancellationToken)
    {
        foreach (var rule in rules.Rules)
        {
            var answer = await client
                .SendAsync(["ACL", "DRYRUN", user, "SET", rule.From + "x", "x"], ReplyParsers.Text, cancellationToken)
                .ConfigureAwait(false);
            if (answer == "OK")
                return true;
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
                return;
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
}
